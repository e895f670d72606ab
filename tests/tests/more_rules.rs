//! Rules that no other file covers from outside: what both ports show in a handshake, clients that know only what FIPS
//! allows, Marbles while the state waits for recovery, and how secrets are written.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Request;
use carrara_tests::marble::premain;
use carrara_tests::openssl::Chain;
use carrara_tests::users::User;
use carrara_tests::{fail, manifests, run, succeed};
use serde_json::{Value, json};

fn set(coordinator: &Coordinator, manifest: &Value) {
    let answer = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// What `openssl s_client` tells of a handshake.
fn handshake(address: std::net::SocketAddr, options: &[&str]) -> String {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-showcerts", "-connect", &address.to_string()]).args(options);
    // The end of its input is its end.
    String::from_utf8_lossy(&run(client.stdin(Stdio::null())).stdout).into_owned()
}

/// The certificates in a text, each from its first line to its last.
fn certificates(text: &str) -> Vec<String> {
    let begin = "-----BEGIN CERTIFICATE-----";
    let end = "-----END CERTIFICATE-----\n";
    let blocks = text.split(begin).skip(1).filter_map(|block| block.split_once(end));
    blocks.map(|(body, _)| format!("{begin}{body}{end}")).collect()
}

// G-10, G-11, X-56
#[test]
fn each_port_presents_its_own_root_alone_and_asks_for_a_certificate_of_any_authority() {
    let folder = tempfile::tempdir().unwrap();
    let marble = User::new(folder.path(), "marble");
    let coordinator = Coordinator::start();
    let chain = Chain::fetch(&coordinator, folder.path());
    let root = std::fs::read_to_string(&chain.root).unwrap();
    let identity = [marble.certificate_file.to_str().unwrap(), marble.key_file.to_str().unwrap()];
    let identity = ["-cert", identity[0], "-key", identity[1]];

    let rest = handshake(coordinator.rest, &identity);
    assert_eq!(certificates(&rest)[0], root);
    let mesh = handshake(coordinator.mesh, &[&identity[..], &["-alpn", "h2"]].concat());
    let marble_root = &certificates(&mesh)[0];
    assert_ne!(*marble_root, std::fs::read_to_string(&chain.intermediate).unwrap(), "it is self-signed");
    for role in ["s", "i"] {
        assert!(mesh.contains(&format!("{role}:CN = MarbleRun Coordinator - Intermediate CA")), "{mesh}");
    }
    for shown in [&rest, &mesh] {
        // One in the chain, and the same one again as the summary's.
        assert_eq!(shown.matches(" s:").count(), 1, "{shown}");
        assert!(shown.contains("No client certificate CA names sent"), "{shown}");
        assert!(
            shown.contains("Client Certificate Types") || shown.contains("Requested Signature Algorithms")
        );
    }
}

// the original's clients are built for FIPS alone and must reach us
#[test]
fn a_client_that_knows_only_what_fips_allows_is_served() {
    let coordinator = Coordinator::start();
    let url = coordinator.url("/status");
    // Of the second, OpenSSL uses the first curve for the exchange; in TLS 1.2 the certificate's must be known as well.
    for curve in ["P-384", "P-256:P-384"] {
        for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
            let request = Request::get(&url).option("--tlsv1.3").option("--curves").option(curve);
            assert_eq!(request.option("--tls13-ciphers").option(suite).send().status, 200, "{curve} {suite}");
        }
        for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"] {
            let request =
                Request::get(&url).option("--tls-max").option("1.2").option("--curves").option(curve);
            assert_eq!(request.option("--ciphers").option(suite).send().status, 200, "{curve} {suite}");
        }
    }
    // The boundary: what is weaker than that is no way in.
    let mut weak = Command::new("curl");
    weak.args(["--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "60"]);
    weak.args(["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA256", &url]);
    assert!(fail(&mut weak).contains("handshake failure"));
}

// G-13, G-20: in states 1 and 2 a Marble gets an answer, not a broken connection
#[test]
fn a_marble_is_told_that_the_state_waits_for_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let text = "cannot accept marbles in current state";
    let early = fail(&mut premain(&coordinator, folder.path(), "svc"));
    assert!(early.contains(text), "{early}");
    let mut manifest = manifests::minimal();
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/true"]);
    set(&coordinator, &manifest);
    succeed(&mut premain(&coordinator, folder.path(), "svc"));
    coordinator.kill();
    std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();

    let locked = launch.start();
    assert_eq!(Request::get(&locked.url("/status")).send().data()["StatusCode"], 1);
    let refused = fail(&mut premain(&locked, folder.path(), "svc"));
    assert!(refused.contains(text), "{refused}");
}

// S-2, S-3, S-32: only the DER of a certificate is written; an unset one is null, its template is lost
#[test]
fn a_certificate_is_written_as_its_der_and_an_unset_one_as_null() {
    let folder = tempfile::tempdir().unwrap();
    let alice = User::new(folder.path(), "alice");
    let coordinator = Coordinator::start();
    let template = json!({ "Subject": { "CommonName": "made" }, "DNSNames": ["made.example"] });
    let secrets = json!({
        "made": { "Type": "cert-ecdsa", "Size": 256, "Shared": true, "Cert": template },
        "again": { "Type": "cert-ecdsa", "Size": 256, "Shared": true, "Cert": template },
        "unset": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true, "Cert": template },
    });
    set(
        &coordinator,
        &manifests::with_reader("alice", &alice.certificate, &["made", "again", "unset"], secrets),
    );
    let url = coordinator.url("/secrets?s=made&s=again&s=unset");
    let answer = Request::get(&url).as_user(&alice).send().data();
    assert_eq!(answer["unset"]["Cert"], Value::Null);
    assert_eq!(answer["unset"]["Private"], Value::Null);

    let serial = |name: &str| {
        let der = STANDARD.decode(answer[name]["Cert"].as_str().unwrap()).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, der).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-inform", "DER", "-noout", "-subject", "-serial", "-in"]).arg(&file);
        let text = succeed(&mut openssl);
        assert!(text.contains("subject=CN = made\n"), "{text}");
        text.lines().find_map(|line| line.strip_prefix("serial=")).unwrap().to_owned()
    };
    let (made, again) = (serial("made"), serial("again"));
    assert_ne!(made, again, "serial numbers are random");
    assert!(made.len() <= 32 && again.len() <= 32, "and below 2^128: {made} {again}");
    assert!(made.len() > 16 || again.len() > 16, "and not small ones: {made} {again}");
}

/// Processor time that a process has used, in ticks of 10 ms.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

// X-14, S-16: what no template, tag or reserved name of a Marble uses is not made for it
#[test]
fn private_secrets_that_a_marble_does_not_use_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let mut manifest = manifests::minimal();
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/true"]);
    // Half a minute of work, if they were made.
    let secrets = (0..30).map(|n| (format!("s{n}"), json!({ "Type": "cert-rsa", "Size": 4096 })));
    manifest["Secrets"] = Value::Object(secrets.collect());
    set(&coordinator, &manifest);
    let before = ticks(coordinator.id());
    succeed(&mut premain(&coordinator, folder.path(), "svc"));
    let used = ticks(coordinator.id()) - before;
    assert!(used < 500, "{used} ticks");
}
