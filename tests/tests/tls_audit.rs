//! TLS as an auditor wants it, on both ports: sslyze, a scanner that is not ours, finds nothing but what the specification
//! demands, and the key exchange resists quantum computers wherever the client can.
//!
//! sslyze does not know hybrid groups; a client that offers chosen groups does that part.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use carrara_tests::coordinator::Coordinator;
use carrara_tests::tls_report::{SCANS, findings};
use carrara_tests::users::User;
use carrara_tests::{run, skip};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup, ProtocolVersion,
    SignatureScheme, SupportedProtocolVersion, version,
};
use serde_json::{Value, json};

/// What the specification demands and an auditor of public servers would object to, with the rule.
const EXCEPTIONS: [(&str, &str); 2] = [
    // Clients pin the root that they attested, or that the manifest's readers verified.
    ("certificate: no public authority vouches for it", "L-10: the root is self-signed"),
    ("certificate: valid for years", "L-10: 292 years"),
];

/// What sslyze reports about an address.
fn scan(python: &PathBuf, folder: &std::path::Path, address: SocketAddr, client: Option<&User>) -> Value {
    let report = folder.join(format!("{}.json", address.port()));
    let mut sslyze = Command::new(python);
    // Slowly: the machine may be busy with other tests, and a scan that timed out is a finding.
    sslyze.args(["-m", "sslyze", "--quiet", "--slow_connection"]).args(SCANS);
    if let Some(client) = client {
        sslyze.arg("--cert").arg(&client.certificate_file).arg("--key").arg(&client.key_file);
    }
    let output = run(sslyze.arg("--json_out").arg(&report).arg(address.to_string()));
    let text = std::fs::read_to_string(&report)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&text).expect("sslyze writes JSON")
}

// G-10, G-11, L-10
#[test]
fn an_auditor_finds_nothing_on_either_port() {
    let Some(python) = std::env::var_os("CARRARA_PYTHON").map(PathBuf::from) else {
        skip::skip(
            "an_auditor_finds_nothing_on_either_port",
            "apt-get install -y python3-venv (and run the tests by `cargo xtask test`)",
        );
        return;
    };
    let coordinator = Coordinator::start();
    let client = User::new(coordinator.folder(), "auditor");
    let ports = [
        ("REST", coordinator.rest, None),
        ("REST with a certificate", coordinator.rest, Some(&client)),
        ("Marbles", coordinator.mesh, Some(&client)),
    ];
    for (name, address, client) in ports {
        let found = findings(&scan(&python, coordinator.folder(), address, client));
        let expected: Vec<&str> = EXCEPTIONS.iter().map(|(finding, _)| *finding).collect();
        assert_eq!(found, expected, "{name}: left: found, right: demanded by the specification");
    }
}

/// A report without a finding, as short as the judge takes it.
fn good() -> Value {
    let suites = |names: &[&str]| {
        let suites: Vec<Value> =
            names.iter().map(|name| json!({ "cipher_suite": { "name": name } })).collect();
        json!({ "accepted_cipher_suites": suites })
    };
    let results = json!({
        "ssl_2_0_cipher_suites": suites(&[]),
        "ssl_3_0_cipher_suites": suites(&[]),
        "tls_1_0_cipher_suites": suites(&[]),
        "tls_1_1_cipher_suites": suites(&[]),
        "tls_1_2_cipher_suites": suites(&["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]),
        "tls_1_3_cipher_suites": suites(&["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]),
        "tls_compression": { "supports_compression": false },
        "openssl_ccs_injection": { "is_vulnerable_to_ccs_injection": false },
        "tls_fallback_scsv": { "supports_fallback_scsv": true },
        "heartbleed": { "is_vulnerable_to_heartbleed": false },
        "robot": { "robot_result": "NOT_VULNERABLE_RSA_NOT_SUPPORTED" },
        "session_renegotiation":
            { "supports_secure_renegotiation": true, "is_vulnerable_to_client_renegotiation_dos": false },
        "session_resumption":
            { "session_id_resumption_result": "NOT_SUPPORTED", "tls_ticket_resumption_result": "NOT_SUPPORTED" },
        "tls_1_3_early_data": { "supports_early_data": false },
        "tls_extended_master_secret": { "supports_ems_extension": true },
        "elliptic_curves": { "supported_curves": [{ "name": "X25519" }, { "name": "secp384r1" }] },
        "certificate_info": { "certificate_deployments": [{
            "path_validation_results": [{ "was_validation_successful": true }],
            "received_chain_has_valid_order": true,
            "received_certificate_chain": [{
                "not_valid_before": "2026-01-01T00:00:00Z",
                "not_valid_after": "2027-01-01T00:00:00Z",
                "signature_hash_algorithm": { "name": "sha384" },
                "public_key": { "ec_curve_name": "secp384r1" },
            }],
        }]},
    });
    let scans: serde_json::Map<String, Value> = results
        .as_object()
        .unwrap()
        .iter()
        .map(|(scan, result)| (scan.clone(), json!({ "status": "COMPLETED", "result": result })))
        .collect();
    json!({ "server_scan_results": [{ "scan_result": scans }] })
}

#[test]
fn the_judge_finds_whatever_is_bad_and_whatever_was_not_looked_at() {
    assert_eq!(findings(&good()), Vec::<String>::new());
    assert_eq!(findings(&json!({})), ["scan: 0 servers instead of one"]);
    let results = good()["server_scan_results"][0]["scan_result"].clone();
    for scan in results.as_object().unwrap().keys() {
        for lost in [Value::Null, json!({ "status": "ERROR", "result": null })] {
            let mut report = good();
            report["server_scan_results"][0]["scan_result"][scan] = lost;
            let found = findings(&report);
            assert!(found.contains(&format!("scan: {scan} did not take place ({})", {
                &report["server_scan_results"][0]["scan_result"][scan]["status"]
            })));
        }
    }
    let suite = |name: &str| json!([{ "cipher_suite": { "name": name } }]);
    let certificate = "certificate_info/result/certificate_deployments/0";
    let leaf = format!("{certificate}/received_certificate_chain/0");
    for (place, bad, start) in [
        ("ssl_2_0_cipher_suites/result/accepted_cipher_suites", suite("SSL_CK"), "protocol: ssl_2_0"),
        (
            "tls_1_0_cipher_suites/result/accepted_cipher_suites",
            suite("TLS_AES_128_GCM_SHA256"),
            "protocol: tls_1_0",
        ),
        ("tls_1_2_cipher_suites/result/accepted_cipher_suites", json!([]), "protocol: tls_1_2 is not"),
        (
            "tls_1_2_cipher_suites/result/accepted_cipher_suites",
            suite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
            "cipher: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        ),
        ("tls_compression/result/supports_compression", json!(true), "compression"),
        ("openssl_ccs_injection/result/is_vulnerable_to_ccs_injection", json!(true), "ccs"),
        ("tls_fallback_scsv/result/supports_fallback_scsv", json!(false), "fallback"),
        ("heartbleed/result/is_vulnerable_to_heartbleed", json!(true), "heartbleed"),
        ("robot/result/robot_result", json!("VULNERABLE_STRONG_ORACLE"), "robot"),
        (
            "session_renegotiation/result/is_vulnerable_to_client_renegotiation_dos",
            json!(true),
            "renegotiation",
        ),
        ("session_renegotiation/result/supports_secure_renegotiation", json!(false), "renegotiation"),
        ("session_resumption/result/session_id_resumption_result", json!("FULLY_SUPPORTED"), "resumption"),
        (
            "session_resumption/result/tls_ticket_resumption_result",
            json!("PARTIALLY_SUPPORTED"),
            "resumption",
        ),
        ("tls_1_3_early_data/result/supports_early_data", json!(true), "early data"),
        (
            "tls_extended_master_secret/result/supports_ems_extension",
            json!(false),
            "no extended master secret",
        ),
        ("elliptic_curves/result/supported_curves", json!([{ "name": "secp192r1" }]), "curve: \"secp192r1\""),
        (&format!("{certificate}/received_chain_has_valid_order"), json!(false), "certificate: the chain"),
        (&format!("{leaf}/not_valid_after"), json!("2319-03-04T09:44:15Z"), "certificate: valid for years"),
        (&format!("{leaf}/signature_hash_algorithm/name"), json!("sha1"), "certificate: signed with sha1"),
        (&format!("{leaf}/public_key/ec_curve_name"), Value::Null, "certificate: key on"),
    ] {
        let mut report = good();
        let pointer = format!("/server_scan_results/0/scan_result/{place}");
        *report.pointer_mut(&pointer).unwrap_or_else(|| panic!("no {place}")) = bad;
        let found = findings(&report);
        assert!(found.len() == 1 && found[0].starts_with(start), "{place}: {found:?}");
    }
}

/// Takes any certificate: what is looked at here is the key exchange.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The group that a client agrees on which prefers the given ones in this order.
fn group(
    address: SocketAddr,
    client: &User,
    groups: &[&'static dyn SupportedKxGroup],
    version: &'static SupportedProtocolVersion,
) -> (NamedGroup, ProtocolVersion) {
    let provider = CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(aws_lc_rs::default_provider())))
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_file(&client.certificate_file).unwrap()],
            PrivateKeyDer::from_pem_file(&client.key_file).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    // The preface of HTTP/2; the server's own settings show that the handshake is over on both sides.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    stream.read_exact(&mut [0; 9]).unwrap();
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    (group, connection.protocol_version().unwrap())
}

// R-1, G-10: whoever records what is sent cannot read it with a quantum computer later, unless the client is too old.
#[test]
fn the_key_exchange_is_post_quantum_first_on_both_ports() {
    let coordinator = Coordinator::start();
    let client = User::new(coordinator.folder(), "client");
    for address in [coordinator.rest, coordinator.mesh] {
        for (groups, expected) in [
            (&[X25519MLKEM768, X25519] as &[_], NamedGroup::X25519MLKEM768),
            // The server's order counts, not the client's.
            (&[X25519, SECP384R1, X25519MLKEM768], NamedGroup::X25519MLKEM768),
            (&[SECP256R1, SECP256R1MLKEM768], NamedGroup::secp256r1MLKEM768),
            // Clients that know nothing else are served.
            (&[X25519], NamedGroup::X25519),
            (&[SECP384R1], NamedGroup::secp384r1),
        ] {
            let found = group(address, &client, groups, &version::TLS13);
            assert_eq!(found, (expected, ProtocolVersion::TLSv1_3), "{address}");
        }
        // RFC 8446 alone knows hybrid groups.
        let old = group(address, &client, &[X25519, SECP256R1], &version::TLS12);
        assert_eq!(old, (NamedGroup::X25519, ProtocolVersion::TLSv1_2));
    }
}
