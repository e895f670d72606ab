//! Handshakes in memory: client and server hand each other their bytes, without sockets.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

use super::*;
use crate::testing::{Client, Pair};

fn server(port: TlsPort) -> Arc<ServerConfig> {
    let identity = Pair::new(&PKCS_ECDSA_P384_SHA384).identity();
    config(port, Arc::new(move || Arc::clone(&identity)), groups::any()).unwrap()
}

/// Runs a handshake to its end on both sides; the server's error counts.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<rustls::ClientConfig>,
) -> Result<(ServerConnection, ClientConnection), Error> {
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok((server, client))
}

fn with(client: Client, server: &Arc<ServerConfig>) -> Result<(ServerConnection, ClientConnection), Error> {
    handshake(server, &Arc::new(client.config()))
}

fn key_pairs() -> Vec<Pair> {
    let made = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519];
    made.into_iter().map(Pair::new).chain([Pair::version_1()]).collect()
}

// R-2, G-11
#[test]
fn any_client_certificate_is_taken_whatever_its_key_in_both_versions_of_tls() {
    for port in [TlsPort::Rest, TlsPort::Mesh] {
        for version in [&version::TLS13, &version::TLS12] {
            for pair in key_pairs() {
                let mut client = Client::new(&[]).presents(&pair.certificate, &pair);
                client.versions = vec![version];
                let (server, _) = with(client, &server(port)).unwrap();
                assert_eq!(server.peer_certificates().unwrap(), [pair.certificate]);
            }
        }
    }
}

// R-2, G-11
#[test]
fn a_client_that_does_not_hold_the_key_is_refused() {
    for version in [&version::TLS13, &version::TLS12] {
        for pair in key_pairs() {
            // Of the same kind, where rcgen can make one: else the kinds do not fit, which is refused too.
            let thief = Pair::p256();
            let mut client = Client::new(&[]).presents(&pair.certificate, &thief);
            client.versions = vec![version];
            let refusal = with(client, &server(TlsPort::Rest)).unwrap_err();
            assert_eq!(refusal, Error::InvalidCertificate(CertificateError::BadSignature));
        }
    }
}

//
#[test]
fn rest_asks_for_a_certificate_and_does_without() {
    let (server, client) = with(Client::new(&[]), &server(TlsPort::Rest)).unwrap();
    assert_eq!(server.peer_certificates(), None);
    assert_eq!(client.peer_certificates().unwrap().len(), 1);
}

// G-11
#[test]
fn a_marble_without_a_certificate_is_refused() {
    for version in [&version::TLS13, &version::TLS12] {
        let mut client = Client::new(&["h2"]);
        client.versions = vec![version];
        assert_eq!(with(client, &server(TlsPort::Mesh)).unwrap_err(), Error::NoCertificatesPresented);
    }
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let pair = Pair::p256();
    let client = Client::new(&[]).presents(&CertificateDer::from(vec![0x30, 0]), &pair);
    let refusal = with(client, &server(TlsPort::Rest)).unwrap_err();
    assert_eq!(refusal, Error::InvalidCertificate(CertificateError::BadEncoding));
    let trailing = CertificateDer::from([&pair.certificate[..], &[0]].concat());
    let refusal = with(Client::new(&[]).presents(&trailing, &pair), &server(TlsPort::Rest)).unwrap_err();
    assert_eq!(refusal, Error::InvalidCertificate(CertificateError::BadEncoding));
}

#[test]
fn the_key_exchange_resists_quantum_computers_where_the_client_can() {
    let (server, _) = with(Client::new(&[]), &server(TlsPort::Rest)).unwrap();
    assert_eq!(server.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn no_session_is_resumed_since_that_would_skip_the_proof_of_the_key() {
    for version in [&version::TLS13, &version::TLS12] {
        let server = server(TlsPort::Rest);
        let pair = Pair::p256();
        let mut client = Client::new(&[]).presents(&pair.certificate, &pair);
        client.versions = vec![version];
        let client = Arc::new(client.config());
        for _ in 0..2 {
            let (server, _) = handshake(&server, &client).unwrap();
            assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
            assert!(server.peer_certificates().is_some());
        }
    }
}

// R-1, G-3
#[test]
fn rest_offers_both_versions_of_http_and_the_mesh_port_only_the_second() {
    let negotiated = |port, alpn: &[&str]| {
        let pair = Pair::p256();
        let client = Client::new(alpn).presents(&pair.certificate, &pair);
        with(client, &server(port)).map(|(server, _)| server.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(negotiated(TlsPort::Rest, &["http/1.1"]).unwrap().unwrap(), b"http/1.1");
    assert_eq!(negotiated(TlsPort::Rest, &["http/1.1", "h2"]).unwrap().unwrap(), b"h2");
    assert_eq!(negotiated(TlsPort::Mesh, &["http/1.1", "h2"]).unwrap().unwrap(), b"h2");
    assert_eq!(negotiated(TlsPort::Mesh, &["http/1.1"]).unwrap_err(), Error::NoApplicationProtocol);
    assert_eq!(negotiated(TlsPort::Mesh, &[]).unwrap(), None);
}

// R-1, G-10
#[test]
fn a_new_identity_shows_at_the_next_handshake_and_an_unchanged_one_is_not_parsed_again() {
    let (old, new) = (Pair::p256(), Pair::p256());
    let current = Arc::new(Mutex::new(old.identity()));
    let source = Arc::clone(&current);
    let server =
        config(TlsPort::Rest, Arc::new(move || Arc::clone(&source.lock().unwrap())), groups::any()).unwrap();
    let shown = || with(Client::new(&[]), &server).unwrap().1.peer_certificates().unwrap().to_vec();
    assert_eq!(shown(), std::slice::from_ref(&old.certificate));
    assert_eq!(shown(), std::slice::from_ref(&old.certificate));
    *current.lock().unwrap() = new.identity();
    assert_eq!(shown(), [new.certificate]);
}

#[test]
fn an_identity_that_cannot_be_used_fails_the_handshake_only() {
    let broken = Arc::new(TlsIdentity {
        certificate: vec![1],
        key: carrara_types::secret::SecretBytes::new("key", vec![2]),
    });
    let server = config(TlsPort::Rest, Arc::new(move || Arc::clone(&broken)), groups::any()).unwrap();
    assert!(with(Client::new(&[]), &server).is_err());
}

/// A ClientHello of TLS 1.1 (RFC 4346 section 7.4.1.2) with two cipher suites of its time.
fn tls_1_1_hello() -> Vec<u8> {
    let body = [&[3, 2], &[7; 32][..], &[0], &[0, 4, 0xc0, 0x13, 0, 0x2f], &[1, 0]].concat();
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    [&[22, 3, 1, 0, length(body.len() + 4), 1, 0, 0, length(body.len())], &body[..]].concat()
}

//
#[test]
fn tls_1_1_is_refused_with_a_fatal_alert() {
    let mut server = ServerConnection::new(server(TlsPort::Rest)).unwrap();
    server.read_tls(&mut tls_1_1_hello().as_slice()).unwrap();
    assert!(server.process_new_packets().is_err());
    let mut alert = Vec::new();
    server.write_tls(&mut alert).unwrap();
    // An alert, fatal: handshake_failure or protocol_version.
    assert_eq!((alert[0], alert[5]), (21, 2));
    assert!([40, 70].contains(&alert[6]), "{alert:?}");
}
