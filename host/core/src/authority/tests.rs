//! The authority's certificates and the Marbles', judged by OpenSSL and by another parser.

use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::test_authority::{NOW, Random, authority, openssl, text, verify};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// A request made by OpenSSL, DER.
fn request_der(key: &[&str], subject: &str, names: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = vec!["genpkey", "-out", "key"];
    arguments.extend_from_slice(key);
    openssl(directory.path(), &arguments).unwrap();
    let mut arguments = vec!["req", "-new", "-key", "key", "-subj", subject, "-outform", "DER"];
    let names = format!("subjectAltName={names}");
    if names != "subjectAltName=" {
        arguments.extend_from_slice(&["-addext", &names]);
    }
    openssl(directory.path(), &arguments).unwrap()
}

const P384: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];

fn request(names: &str) -> MarbleRequest {
    MarbleRequest::parse(&request_der(&P384, "/", names)).unwrap()
}

fn issue(authority: &Authority, names: &str) -> Result<MarbleIdentity, Cause> {
    authority.issue_marble(&request(names), "backend", UUID, NOW, &Random)
}

fn extension_value<'a>(certificate: &'a X509Certificate<'_>, oid: &str) -> &'a [u8] {
    let all = certificate.extensions();
    all.iter().find(|extension| extension.oid.to_id_string() == oid).unwrap().value
}

// L-10, S-30
#[test]
fn openssl_verifies_the_three_certificates() {
    let authority = authority();
    let (root, intermediate) = (authority.root_der(), authority.intermediate_der());
    verify(root, &[], root, &["-x509_strict"]).unwrap();
    verify(intermediate, &[], root, &["-x509_strict"]).unwrap();
    verify(authority.marble_root_der(), &[], authority.marble_root_der(), &["-x509_strict"]).unwrap();
    assert!(verify(authority.marble_root_der(), &[], root, &["-partial_chain"]).is_err());
}

// L-10, L-11, L-12
#[test]
fn the_certificates_say_what_the_specification_says() {
    let authority = authority();
    let expected = [
        (authority.root_der(), "MarbleRun Coordinator", "MarbleRun Coordinator"),
        (authority.intermediate_der(), "MarbleRun Coordinator", "MarbleRun Coordinator - Intermediate CA"),
        (
            authority.marble_root_der(),
            "MarbleRun Coordinator - Intermediate CA",
            "MarbleRun Coordinator - Intermediate CA",
        ),
    ];
    for (certificate, issuer, subject) in expected {
        let text = text(certificate);
        for line in [
            format!("Issuer: CN={issuer}\n"),
            format!("Subject: CN={subject}\n"),
            "Signature Algorithm: ecdsa-with-SHA384".to_owned(),
            "NIST CURVE: P-384".to_owned(),
            "CA:TRUE\n".to_owned(),
            "Digital Signature, Certificate Sign\n".to_owned(),
            "TLS Web Server Authentication, TLS Web Client Authentication\n".to_owned(),
            "Not Before: Feb  3 04:05:06 2031 GMT".to_owned(),
            "DNS:localhost, DNS:coordinator.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, \
             IP Address:10.1.2.3\n"
                .to_owned(),
        ] {
            assert!(text.contains(&line), "{line:?} is not in\n{text}");
        }
    }
}

// L-10, X-61
#[test]
fn the_authority_lives_292_years_in_generalized_time() {
    let (_, root) = X509Certificate::from_der(authority().root_der())
        .map(|(rest, c)| (rest.len(), c.validity().clone()))
        .unwrap();
    let end = (NOW + Duration::nanoseconds(i64::MAX)).unix_timestamp();
    assert_eq!(root.not_before.timestamp(), NOW.unix_timestamp());
    assert_eq!(root.not_after.timestamp(), end);
    assert!(root.not_after.is_generalizedtime());
    assert!(root.not_before.is_utctime());
}

//
#[test]
fn intermediate_and_marble_root_share_key_subject_and_key_identifier() {
    let authority = authority();
    let (_, intermediate) = X509Certificate::from_der(authority.intermediate_der()).unwrap();
    let (_, marble_root) = X509Certificate::from_der(authority.marble_root_der()).unwrap();
    let (_, root) = X509Certificate::from_der(authority.root_der()).unwrap();
    assert_eq!(intermediate.public_key().raw, marble_root.public_key().raw);
    assert_eq!(intermediate.subject().as_raw(), marble_root.subject().as_raw());
    assert_eq!(extension_value(&intermediate, "2.5.29.14"), extension_value(&marble_root, "2.5.29.14"));
    assert_ne!(extension_value(&intermediate, "2.5.29.14"), extension_value(&root, "2.5.29.14"));
    assert_ne!(intermediate.raw_serial(), marble_root.raw_serial());
}

// L-13, L-34
#[test]
fn an_authority_survives_its_records() {
    let authority = authority();
    let again = Authority::from_records(authority.to_records().unwrap()).unwrap();
    assert_eq!(again.root_der(), authority.root_der());
    assert_eq!(again.coordinator_names(), authority.coordinator_names());
    let leaf = issue(&again, "DNS:api.example").unwrap().leaf_der;
    verify(&leaf, &[authority.intermediate_der()], authority.root_der(), &[]).unwrap();
}

// L-34
#[test]
fn records_that_do_not_belong_together_are_refused() {
    let (one, other) = (authority(), authority());
    let mixed = |change: &dyn Fn(&mut AuthorityRecords)| {
        let mut records = one.to_records().unwrap();
        change(&mut records);
        Authority::from_records(records).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        mixed(&|records| records.root_certificate = other.root_der().to_vec()),
        "reading the root certificate: it is not of its key"
    );
    assert_eq!(
        mixed(&|records| records.marble_root_certificate = other.marble_root_der().to_vec()),
        "reading the marble root certificate: it is not of its key"
    );
    assert_eq!(
        mixed(&|records| records.intermediate_certificate = vec![1, 2, 3]),
        "reading the intermediate certificate: it is malformed"
    );
}

// L-60, L-61, X-22
#[test]
fn a_renewed_intermediate_keeps_the_root_and_all_names() {
    let authority = authority();
    let renewed = authority.renew_intermediate(NOW, &Random).unwrap();
    assert_eq!(renewed.root_der(), authority.root_der());
    assert_ne!(renewed.marble_root_der(), authority.marble_root_der());
    assert!(text(renewed.marble_root_der()).contains("IP Address:10.1.2.3"));
    verify(renewed.intermediate_der(), &[], authority.root_der(), &[]).unwrap();

    let leaf = issue(&renewed, "").unwrap().leaf_der;
    verify(&leaf, &[renewed.intermediate_der()], authority.root_der(), &[]).unwrap();
    assert!(verify(&leaf, &[], authority.marble_root_der(), &[]).is_err());
}

//
#[test]
fn openssl_verifies_a_fingerprint_signature_with_the_root_key() {
    let (authority, directory) = (authority(), tempfile::tempdir().unwrap());
    let path = directory.path();
    std::fs::write(path.join("manifest.json"), b"{}").unwrap();
    std::fs::write(path.join("signature"), authority.sign_fingerprint(b"{}").unwrap()).unwrap();
    std::fs::write(path.join("root.pem"), authority.root_pem()).unwrap();
    let public = openssl(path, &["x509", "-in", "root.pem", "-noout", "-pubkey"]).unwrap();
    std::fs::write(path.join("root.pub"), public).unwrap();
    let check = ["dgst", "-sha256", "-verify", "root.pub", "-signature", "signature", "manifest.json"];
    openssl(path, &check).unwrap();
    std::fs::write(path.join("manifest.json"), b"{ }").unwrap();
    assert!(openssl(path, &check).is_err());
}

// G-48
#[test]
fn a_marbles_chain_ends_at_the_coordinators_root_and_at_the_marble_root() {
    let authority = authority();
    let leaf = issue(&authority, "DNS:api.example,IP:10.9.9.9").unwrap().leaf_der;
    for purpose in ["sslserver", "sslclient"] {
        let options = ["-x509_strict", "-purpose", purpose];
        verify(&leaf, &[authority.intermediate_der()], authority.root_der(), &options).unwrap();
        verify(&leaf, &[], authority.marble_root_der(), &options).unwrap();
        verify(&leaf, &[authority.marble_root_der()], authority.root_der(), &options).unwrap_err();
    }
}

// G-40, G-41, G-42, G-43, G-44, G-45, G-46, G-47
#[test]
fn a_marbles_certificate_says_what_the_specification_says() {
    let authority = authority();
    let names = "DNS:api.example,IP:10.9.9.9,IP:2001:db8::1,email:a@example.org,URI:https://example.org/";
    let der = request_der(&P384, "/C=CH/O=Someone/OU=Unit/CN=anything", names);
    let request = MarbleRequest::parse(&der).unwrap();
    let marble = authority.issue_marble(&request, "back\u{e9}nd", UUID, NOW, &Random).unwrap();
    let (rest, leaf) = X509Certificate::from_der(&marble.leaf_der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(extension_value(&leaf, "1.3.9903.2.1"), "back\u{e9}nd".as_bytes());
    assert!(leaf.raw_serial().len() <= 17);
    assert_eq!(leaf.validity().not_before.timestamp(), NOW.unix_timestamp());
    assert_eq!(
        leaf.validity().not_after.timestamp(),
        (NOW + Duration::nanoseconds(i64::MAX)).unix_timestamp()
    );
    assert!(leaf.validity().not_after.is_generalizedtime());
    assert_eq!(leaf.public_key().raw, marble.public_spki);

    let text = text(&marble.leaf_der);
    for line in [
        "Issuer: CN=MarbleRun Coordinator - Intermediate CA\n".to_owned(),
        format!("Subject: CN={UUID},OU=Unit,C=CH\n"),
        "X509v3 Key Usage: critical\n                Digital Signature, Key Agreement\n".to_owned(),
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n".to_owned(),
        "TLS Web Server Authentication, TLS Web Client Authentication\n".to_owned(),
        "1.3.9903.2.1: \n".to_owned(),
        "DNS:api.example, IP Address:10.9.9.9, IP Address:2001:DB8:0:0:0:0:0:1\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is not in\n{text}");
    }
}

// G-40, X-55
#[test]
fn the_marbles_key_is_new_and_belongs_to_the_certificate() {
    let authority = authority();
    let (one, other) = (issue(&authority, "").unwrap(), issue(&authority, "").unwrap());
    assert_ne!(one.public_spki, other.public_spki);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), one.key_pkcs8.expose()).unwrap();
    let arguments = ["pkey", "-inform", "DER", "-in", "key", "-pubout", "-outform", "DER"];
    assert_eq!(openssl(directory.path(), &arguments).unwrap(), one.public_spki);
}

// G-43: a request without names leads to a certificate without names
#[test]
fn a_request_without_names_is_fine() {
    let leaf = issue(&authority(), "").unwrap().leaf_der;
    assert!(!text(&leaf).contains("Subject Alternative Name"));
}

//
#[test]
fn a_request_for_the_coordinators_names_is_refused() {
    let authority = authority();
    for names in
        ["DNS:coordinator.example", "DNS:ok.example,DNS:Coordinator.Example", "IP:10.1.2.3", "DNS:*.example"]
    {
        let error = issue(&authority, names).unwrap_err().to_string();
        assert!(error.contains("belongs to the coordinator"), "{names}: {error}");
    }
    for names in ["DNS:localhost,IP:127.0.0.1,IP:::1", "DNS:api.example", "IP:10.1.2.4"] {
        issue(&authority, names).unwrap();
    }
}

// G-29
#[test]
fn requests_with_all_usual_keys_pass() {
    let keys: [&[&str]; 5] = [
        &P384,
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["-algorithm", "ED25519"],
    ];
    for key in keys {
        let request = MarbleRequest::parse(&request_der(key, "/", "DNS:a.example,IP:1.2.3.4")).unwrap();
        assert_eq!(request.dns_names(), ["a.example"]);
        assert_eq!(request.ip_addresses(), ["1.2.3.4".parse::<IpAddr>().unwrap()]);
    }
}

// G-29
#[test]
fn a_request_with_a_wrong_signature_is_refused() {
    let mut der = request_der(&P384, "/", "DNS:aaaa.example");
    let position = der.windows(4).position(|window| window == b"aaaa").unwrap();
    der[position] = b'b';
    let error = MarbleRequest::parse(&der).unwrap_err();
    assert_eq!(error.0, "the signature of the certificate request does not verify");
}

// G-29
#[test]
fn what_is_no_request_is_refused() {
    let mut longer = request_der(&P384, "/", "");
    longer.push(0);
    for der in [&b""[..], b"\x30\x00", b"-----BEGIN CERTIFICATE REQUEST-----", &longer, &longer[..40]] {
        assert_eq!(MarbleRequest::parse(der).unwrap_err().0, "malformed certificate request");
    }
}

// G-29: a curve that the coordinator cannot verify
#[test]
fn a_request_with_an_unusual_key_is_refused_with_a_remedy() {
    let key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP384r1"];
    let error = MarbleRequest::parse(&request_der(&key, "/", "")).unwrap_err();
    assert!(error.0.contains("use ECDSA P-384"), "{error}");
}

// L-12
#[test]
fn empty_names_are_left_out_and_addresses_are_not_repeated() {
    let names = ["", "::1", "10.0.0.1", "10.0.0.1", " localhost"].map(str::to_owned);
    let authority = Authority::generate(&names, NOW, &Random).unwrap();
    assert_eq!(authority.coordinator_names().dns_names, [" localhost"]);
    let addresses: Vec<_> =
        authority.coordinator_names().ip_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1", "10.0.0.1"]);
}

#[test]
fn debug_shows_no_key() {
    let authority = authority();
    assert!(format!("{authority:?}").starts_with("Authority { names: CoordinatorNames"));
    let records = format!("{:?}", authority.to_records().unwrap());
    assert!(records.contains("SecretBytes(coordinator root key)"), "{records}");
}
