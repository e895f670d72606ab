//! Clients that send nonsense, stop half-way or never speak, on both ports: others are served meanwhile, nothing panics.

use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::Request;
use carrara_tests::marble::premain;
use carrara_tests::users::User;
use carrara_tests::{manifests, run};

/// Only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn is_healthy(coordinator: &Coordinator) {
    assert_eq!(Request::get(&coordinator.url("/status")).send().status, 200);
    let log = coordinator.log();
    assert!(!log.contains("panic place="), "as the coordinator logs a panic: {log}");
}

// G-13, X-17
#[test]
fn garbage_on_either_port_is_closed_and_others_are_served() {
    let coordinator = Coordinator::start();
    let garbage: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01\xff\xff\xff\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0; 4096],
        &[0xff; 4096],
    ];
    for address in [coordinator.rest, coordinator.mesh] {
        for bytes in garbage {
            let mut stream = connect(address);
            stream.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // A reset is as good as an end.
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.len() < 1024, "an alert at the most");
        }
    }
    is_healthy(&coordinator);
}

// the only method whose request has no path
#[test]
fn connect_panics_nowhere() {
    let coordinator = Coordinator::start();
    let mut request = tempfile::tempfile().unwrap();
    request.write_all(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n").unwrap();
    request.rewind().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-quiet", "-connect", &coordinator.rest.to_string()]);
    let answer = String::from_utf8(run(openssl.stdin(request)).stdout).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"status\":\"error\",\"data\":null}\n"), "{answer}");
    is_healthy(&coordinator);
}

//
#[test]
fn hundreds_of_silent_connections_keep_nobody_waiting() {
    let coordinator = Coordinator::start();
    let set = Request::post(&coordinator.url("/manifest"), manifests::minimal().to_string()).send();
    assert_eq!(set.status, 200);
    let silent: Vec<TcpStream> =
        (0..400).map(|n| connect(if n % 2 == 0 { coordinator.rest } else { coordinator.mesh })).collect();
    is_healthy(&coordinator);
    let folder = tempfile::tempdir().unwrap();
    // Argv is empty: the Marble is activated, and then there is no ./marble to start.
    let refused = carrara_tests::fail(&mut premain(&coordinator, folder.path(), "svc"));
    assert!(refused.contains("./marble"), "{refused}");
    drop(silent);
    is_healthy(&coordinator);
}

// R-1, "TLS as an auditor wants it": nothing below TLS 1.2.
#[test]
fn old_versions_of_tls_are_refused_on_both_ports() {
    let coordinator = Coordinator::start();
    for address in [coordinator.rest, coordinator.mesh] {
        for (version, works) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
            let mut openssl = Command::new("openssl");
            openssl.args([
                "s_client",
                version,
                "-cipher",
                "DEFAULT@SECLEVEL=0",
                "-connect",
                &address.to_string(),
            ]);
            let output = run(openssl.stdin(Stdio::null()));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let negotiated = text.contains("Server public key is 384 bit");
            assert_eq!(negotiated, works, "{version} on {address}: {text}");
        }
    }
}

// R-1, G-10, X-56: which certificate each port presents, and only that one.
#[test]
fn each_port_presents_its_one_certificate() {
    let coordinator = Coordinator::start();
    for (address, subject) in [
        (coordinator.rest, "CN = MarbleRun Coordinator\n"),
        (coordinator.mesh, "CN = MarbleRun Coordinator - Intermediate CA\n"),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-showcerts", "-connect", &address.to_string()]);
        let text = String::from_utf8_lossy(&run(openssl.stdin(Stdio::null())).stdout).into_owned();
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1, "{text}");
        assert!(
            text.contains(&format!("subject={subject}")) && text.contains(&format!("issuer={subject}")),
            "{text}"
        );
    }
}

// G-11: the Marble port demands a certificate, the REST port does not; neither names acceptable CAs.
#[test]
fn a_client_certificate_is_demanded_on_the_marble_port_only() {
    let folder = tempfile::tempdir().unwrap();
    let user = User::new(folder.path(), "marble");
    let coordinator = Coordinator::start();
    let mesh = format!("https://{}/", coordinator.mesh);
    let mut without = Command::new("curl");
    without.args(["--silent", "--insecure", "--noproxy", "*", "--http2-prior-knowledge", &mesh]);
    assert!(!run(&mut without).status.success(), "no certificate, no connection");
    let with = Request::get(&mesh).option("--http2").as_user(&user).send();
    assert!(with.headers.starts_with("http/2"), "{}", with.headers);
    is_healthy(&coordinator);
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &coordinator.rest.to_string()]);
    let text = String::from_utf8_lossy(&run(openssl.stdin(Stdio::null())).stdout).into_owned();
    assert!(text.contains("No client certificate CA names sent"), "{text}");
}
