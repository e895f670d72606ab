//! Activation with the real coordinator: through `carrara-premain`, and through gRPC's Python library, which knows
//! nothing of this project but the message table. Chains are verified by openssl.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::Request;
use carrara_tests::marble::premain;
use carrara_tests::openssl::Chain;
use carrara_tests::users::User;
use carrara_tests::{fail, manifests, skip, succeed};
use serde_json::{Value, json};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn set(coordinator: &Coordinator, manifest: &Value) {
    let answer = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A manifest whose Marble `svc` runs a shell script.
fn running(script: &str) -> Value {
    let mut manifest = manifests::minimal();
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/sh", "-c", script]);
    manifest
}

fn env_of(output: &str, name: &str) -> String {
    let prefix = format!("{name}=");
    output
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}

/// gRPC's Python library, or the test's end with a note of what is missing.
struct Grpc {
    python: PathBuf,
    identity: User,
    csr: PathBuf,
}

impl Grpc {
    fn new(test: &str, folder: &Path) -> Option<Self> {
        let Some(python) = std::env::var_os("CARRARA_PYTHON").map(PathBuf::from) else {
            skip::skip(test, "apt-get install -y python3-venv (and run the tests by `cargo xtask test`)");
            return None;
        };
        let identity = User::new(folder, "marble");
        let csr = folder.join("csr.der");
        let mut request = Command::new("openssl");
        request.args(["req", "-new", "-outform", "DER", "-subj", "/O=Acme/OU=Unit/CN=ignored"]);
        request.args(["-addext", "subjectAltName=DNS:svc.example,IP:10.1.2.3,email:a@b.example"]);
        request.arg("-key").arg(&identity.key_file).arg("-out").arg(&csr);
        succeed(&mut request);
        Some(Self { python, identity, csr })
    }

    fn activate(&self, coordinator: &Coordinator, marble_type: &str, uuid: &str) -> Value {
        let mut command = Command::new(&self.python);
        command.arg(carrara_tests::root().join("tests/clients/activate.py"));
        command.arg(format!("127.0.0.1:{}", coordinator.mesh.port()));
        command.arg(&self.identity.certificate_file).arg(&self.identity.key_file).arg(&self.csr);
        command.args([marble_type, uuid]).env("GRPC_VERBOSITY", "NONE");
        serde_json::from_str(&succeed(&mut command)).expect("the client prints JSON")
    }
}

fn decoded(answer: &Value, kind: &str, name: &str) -> Vec<u8> {
    STANDARD
        .decode(answer[kind][name].as_str().unwrap_or_else(|| panic!("no {kind} {name}: {answer}")))
        .unwrap()
}

// marble-api.md section 9, S-80
#[test]
fn a_marble_gets_files_environment_and_arguments_through_premain() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let mut manifest = running("cat conf/app.conf; env; stat -c %a conf/app.conf");
    manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    manifest["Marbles"]["svc"]["Parameters"]["Files"] =
        json!({ "conf/app.conf": "k={{ hex .Secrets.key }}\n" });
    manifest["Marbles"]["svc"]["Parameters"]["Env"] = json!({
        "KEY": "{{ hex .Secrets.key }}", "PLAIN": "as it stands", "MARBLE_PREDEFINED_ROOT_CA": "overridden"
    });
    set(&coordinator, &manifest);
    let output = succeed(&mut premain(&coordinator, folder.path(), "svc"));
    let key = env_of(&output, "KEY");
    assert_eq!(key.len(), 32);
    assert!(output.starts_with(&format!("k={key}\n")), "{output}");
    assert_eq!(env_of(&output, "PLAIN"), "as it stands");
    assert_eq!(env_of(&output, "MARBLE_PREDEFINED_ROOT_CA"), "-----BEGIN CERTIFICATE-----", "X-67");
    assert!(output.ends_with("600\n"), "files are private to their owner: {output}");

    let uuid = std::fs::read_to_string(folder.path().join("uuid")).unwrap();
    assert_eq!(uuid.len(), 36, "no newline");
    let mode = std::fs::metadata(folder.path().join("uuid")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

// X-7, S-16, S-20, S-26
#[test]
fn a_private_key_is_the_same_for_the_same_uuid_and_type_only() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let coordinator = Coordinator::start();
    let mut manifest = running("echo KEY=$KEY");
    manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 256 } });
    manifest["Marbles"]["svc"]["Parameters"]["Env"] = json!({ "KEY": "{{ hex .Secrets.key }}" });
    manifest["Marbles"]["other"] = manifest["Marbles"]["svc"].clone();
    set(&coordinator, &manifest);
    let key = |folder: usize, marble_type: &str| {
        env_of(&succeed(&mut premain(&coordinator, folders[folder].path(), marble_type)), "KEY")
    };
    let first = key(0, "svc");
    assert_eq!(key(0, "svc"), first, "the same Marble again");
    assert_ne!(key(1, "svc"), first, "another UUID");
    assert_ne!(key(0, "other"), first, "another type");
}

// M-92, G-27
#[test]
fn activations_beyond_the_limit_are_refused_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let launch = carrara_tests::coordinator::Launch::new();
    let mut coordinator = launch.start();
    let mut manifest = running("true");
    manifest["Marbles"]["svc"]["MaxActivations"] = json!(2);
    set(&coordinator, &manifest);
    succeed(&mut premain(&coordinator, folder.path(), "svc"));
    succeed(&mut premain(&coordinator, folder.path(), "svc"));
    let expected = "reached max activations count (2) for marble type \"svc\"";
    let refused = fail(&mut premain(&coordinator, folder.path(), "svc"));
    assert!(refused.contains(expected), "{refused}");
    coordinator.kill();
    let again = launch.start();
    let refused = fail(&mut premain(&again, folder.path(), "svc"));
    assert!(refused.contains(expected), "{refused}");
}

// G-20, G-23
#[test]
fn a_marble_is_refused_before_a_manifest_and_with_an_unknown_type_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let early = fail(&mut premain(&coordinator, folder.path(), "svc"));
    assert!(early.contains("cannot accept marbles in current state"), "{early}");
    let mut manifest = running("true");
    manifest["Marbles"]["svc"]["Parameters"]["Files"] = json!({ "written": "x" });
    set(&coordinator, &manifest);
    let unknown = fail(&mut premain(&coordinator, folder.path(), "nope"));
    assert!(unknown.contains("marble verification failed: unknown marble type requested"), "{unknown}");
    assert!(!folder.path().join("written").exists());
}

// G-40..G-48, S-30, X-57
#[test]
fn the_marble_certificate_verifies_with_openssl_to_both_roots_and_is_as_specified() {
    let folder = tempfile::tempdir().unwrap();
    let Some(grpc) = Grpc::new("the_marble_certificate_verifies_with_openssl", folder.path()) else { return };
    let coordinator = Coordinator::start();
    set(&coordinator, &manifests::minimal());
    let answer = grpc.activate(&coordinator, "svc", &UUID.to_uppercase());
    let pem =
        String::from_utf8(decoded(&answer, "env", "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN")).unwrap();
    let leaf = folder.path().join("leaf.pem");
    std::fs::write(&leaf, &pem).unwrap();
    let chain = Chain::fetch(&coordinator, folder.path());
    let mut through = Command::new("openssl");
    through
        .arg("verify")
        .arg("-CAfile")
        .arg(&chain.root)
        .arg("-untrusted")
        .arg(&chain.intermediate)
        .arg(&leaf);
    succeed(&mut through);
    let marble_root = folder.path().join("marble-root.pem");
    std::fs::write(&marble_root, decoded(&answer, "env", "MARBLE_PREDEFINED_ROOT_CA")).unwrap();
    succeed(Command::new("openssl").arg("verify").arg("-CAfile").arg(&marble_root).arg(&leaf));

    let text = succeed(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&leaf));
    assert!(text.contains(&format!("CN = {UUID}")), "G-41: canonical UUID: {text}");
    assert!(text.contains("OU = Unit") && !text.contains("Acme"), "G-41: {text}");
    assert!(text.contains("DNS:svc.example, IP Address:10.1.2.3\n"), "G-43: no email: {text}");
    assert!(
        text.contains("X509v3 Key Usage: critical\n                Digital Signature, Key Agreement\n"),
        "G-44"
    );
    assert!(text.contains("1.3.9903.2.1: \n                svc\n"), "G-45: raw bytes: {text}");
    assert!(text.contains("CA:FALSE"), "G-44");
    assert!(text.contains("ecdsa-with-SHA384") && text.contains("secp384r1"), "G-40, G-42");
    assert!(!text.contains(&fingerprint(&grpc.identity)), "G-40: not the CSR's key");
}

/// The public key of a user's certificate as openssl prints it in one of its lines.
fn fingerprint(user: &User) -> String {
    let text =
        succeed(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&user.certificate_file));
    text.lines().skip_while(|line| !line.contains("pub:")).nth(1).unwrap().trim().to_owned()
}

// G-23, G-28, X-21, G-43 with X-5
#[test]
fn a_client_that_is_not_ours_gets_the_specified_codes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(grpc) = Grpc::new("a_client_that_is_not_ours_gets_the_specified_codes", folder.path()) else {
        return;
    };
    let coordinator = Coordinator::start();
    assert_eq!(grpc.activate(&coordinator, "svc", UUID)["code"], 9, "G-20");
    set(&coordinator, &manifests::minimal());
    let unknown = grpc.activate(&coordinator, "nope", UUID);
    assert_eq!(
        unknown,
        json!({ "code": 7, "message": "marble verification failed: unknown marble type requested" })
    );
    let uuid = grpc.activate(&coordinator, "svc", "abc");
    assert_eq!(uuid, json!({ "code": 3, "message": "invalid UUID: invalid UUID length: 3" }));
    assert_eq!(grpc.activate(&coordinator, "svc", "00000000-0000-0000-0000-000000000000")["code"], 3, "X-21");
    assert!(grpc.activate(&coordinator, "svc", UUID)["env"].is_object());
}

// S-81..S-84
#[test]
fn a_marble_with_a_tls_tag_gets_its_ttls_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let Some(grpc) = Grpc::new("a_marble_with_a_tls_tag_gets_its_ttls_configuration", folder.path()) else {
        return;
    };
    let coordinator = Coordinator::start();
    let mut manifest = manifests::minimal();
    manifest["Secrets"] = json!({ "web": { "Type": "cert-ecdsa", "Size": 256, "Shared": true } });
    manifest["TLS"] = json!({ "t": {
        "Outgoing": [{ "Addr": "db.local", "Port": "5432" }],
        "Incoming": [{ "Port": "8443" }, { "Port": "8444", "Cert": "web", "DisableClientAuth": true }],
    }});
    manifest["Marbles"]["svc"]["TLS"] = json!(["t"]);
    set(&coordinator, &manifest);
    let answer = grpc.activate(&coordinator, "svc", UUID);
    let config: Value = serde_json::from_slice(&decoded(&answer, "env", "MARBLE_TTLS_CONFIG")).unwrap();
    let (incoming, outgoing) = (&config["tls"]["Incoming"], &config["tls"]["Outgoing"]);
    let own_key = String::from_utf8(decoded(&answer, "env", "MARBLE_PREDEFINED_PRIVATE_KEY")).unwrap();
    assert_eq!(outgoing["db.local:5432"]["clikey"], json!(own_key));
    assert_eq!(incoming["*:8443"]["clientAuth"], true);
    assert_eq!(incoming["*:8444"]["clientAuth"], false);
    assert_ne!(incoming["*:8444"]["clikey"], json!(own_key));
    let leaf = outgoing["db.local:5432"]["clicrt"].as_str().unwrap();
    assert_eq!(leaf.matches("BEGIN CERTIFICATE").count(), 1, "the leaf, not the chain");

    let refused = fail(&mut premain(&coordinator, folder.path(), "svc"));
    assert!(refused.contains("TTLS configured, but Marble runtime doesn't support TTLS"), "{refused}");
}

// S-60..S-62, S-73, secrets-and-templates.md section 7
#[test]
fn templates_that_do_not_render_refuse_the_manifest_with_marble_file_line_and_column() {
    let coordinator = Coordinator::start();
    let refusal = |section: &str, value: Value| {
        let mut manifest = manifests::minimal();
        manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        manifest["Marbles"]["svc"]["Parameters"][section] = json!({ "/x": value });
        let answer = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.message()
    };
    let missing = refusal("Files", json!("line one\n{{ raw .Secrets.nope }}"));
    let prefix = "running manifest template dry run: in Marble svc: file /x: template: data:2:";
    assert!(missing.starts_with(prefix) && missing.contains("secret does not exist"), "{missing}");
    let unknown = refusal("Env", json!("{{ raw .Secrets.key }}"));
    let expected = "running manifest template dry run: in Marble svc: env variable /x: template: data:1: function \"raw\" not defined";
    assert!(unknown.starts_with(expected), "{unknown}");
    let nul = refusal("Env", json!({ "Data": "AA==", "Encoding": "base64", "NoTemplates": true }));
    assert_eq!(
        nul,
        "running manifest template dry run: in Marble svc: env variable: /x: content contains null bytes"
    );
    assert_eq!(
        Request::get(&coordinator.url("/status")).send().data()["StatusCode"],
        2,
        "state is unchanged"
    );
}

// M-13, M-15, the option Renderer
#[test]
fn both_renderers_and_files_of_any_bytes_reach_the_marble() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let mut manifest = running("cat go; cat liquid; base64 raw; base64 binary");
    manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 64, "Shared": true } });
    manifest["Marbles"]["svc"]["Parameters"]["Files"] = json!({
        "go": "{{ base64 .Secrets.key }}\n",
        "liquid": { "Data": "{{ Secrets.key | base64 }}\n", "Renderer": "liquid" },
        "raw": "{{ raw .Secrets.key }}",
        "binary": { "Data": "ff00fe", "Encoding": "hex", "NoTemplates": true },
    });
    set(&coordinator, &manifest);
    let output = succeed(&mut premain(&coordinator, folder.path(), "svc"));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[0] == lines[1] && lines[1] == lines[2], "{output}");
    assert_eq!(lines[3], "/wD+");
}
