//! Every type of secret, every template field, judged by OpenSSL.

use carrara_types::manifest::secret::{ExtraExtension, NameConstraints, NameSubtrees, SubjectTemplate};
use time::macros::datetime;

use super::*;
use crate::test_authority::{NOW, Random, authority, definition, openssl, text, verify};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn make(definition: &SecretDefinition) -> Result<SecretValue, Cause> {
    generate("s", definition, Source::Shared, &authority(), NOW, &Random)
}

/// The certificate of a P-256 secret with this template.
fn templated(template: CertificateTemplate) -> Result<Vec<u8>, Cause> {
    let definition =
        SecretDefinition { cert: Some(Box::new(template)), ..definition(SecretKind::CertEcdsa, 256) };
    make(&definition).map(|value| value.certificate.unwrap())
}

fn refusal(template: CertificateTemplate) -> String {
    templated(template).unwrap_err().0
}

fn assert_lines(certificate: &[u8], lines: &[&str]) {
    let text = text(certificate);
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

// S-3, S-11, S-12, S-13, S-30, X-59
#[test]
fn every_key_type_gives_a_certificate_that_chains_to_the_root() {
    let authority = authority();
    for (kind, size, algorithm) in [
        (SecretKind::CertEcdsa, 224, "NIST CURVE: P-224"),
        (SecretKind::CertEcdsa, 256, "NIST CURVE: P-256"),
        (SecretKind::CertEcdsa, 384, "NIST CURVE: P-384"),
        (SecretKind::CertEcdsa, 521, "NIST CURVE: P-521"),
        (SecretKind::CertEd25519, 0, "Public Key Algorithm: ED25519"),
        (SecretKind::CertRsa, 1024, "Public-Key: (1024 bit)"),
        (SecretKind::CertRsa, 2048, "Public-Key: (2048 bit)"),
    ] {
        let value = generate("s", &definition(kind, size), Source::Shared, &authority, NOW, &Random).unwrap();
        let certificate = value.certificate.unwrap();
        verify(&certificate, &[authority.intermediate_der()], authority.root_der(), &[]).unwrap();
        verify(&certificate, &[], authority.marble_root_der(), &[]).unwrap();
        assert_lines(&certificate, &[algorithm, "Signature Algorithm: ecdsa-with-SHA384"]);

        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), value.private.unwrap().expose()).unwrap();
        let arguments = ["pkey", "-inform", "DER", "-in", "key", "-pubout", "-outform", "DER"];
        let public = openssl(directory.path(), &arguments).unwrap();
        assert!(value.public.unwrap().equals(&public), "{algorithm}");
        std::fs::write(directory.path().join("c"), &certificate).unwrap();
        let arguments = ["x509", "-inform", "DER", "-in", "c", "-noout", "-pubkey"];
        let of_certificate = openssl(directory.path(), &arguments).unwrap();
        assert_eq!(pem::parse(of_certificate).unwrap().contents(), public, "{algorithm}");
    }
}

// S-3: PKCS#8, not the older forms
#[test]
fn private_keys_are_pkcs8() {
    for (kind, size) in
        [(SecretKind::CertEcdsa, 224), (SecretKind::CertRsa, 1032), (SecretKind::CertEd25519, 0)]
    {
        let value = make(&definition(kind, size)).unwrap();
        let private = value.private.unwrap();
        <p384::pkcs8::PrivateKeyInfo<'_> as der::Decode<'_>>::from_der(private.expose()).unwrap();
    }
}

// S-11
#[test]
fn rsa_keys_have_at_least_1024_bits_and_exponent_65537() {
    let value = make(&definition(SecretKind::CertRsa, 1024)).unwrap();
    assert_lines(&value.certificate.unwrap(), &["Exponent: 65537"]);
    for size in [0, 512, 1023, 16_385, u64::MAX] {
        let error = make(&definition(SecretKind::CertRsa, size)).unwrap_err().0;
        assert!(error.starts_with("invalid secret size for cert-rsa secret s: "), "{error}");
    }
}

// S-12
#[test]
fn an_ed25519_secret_has_no_size() {
    let error = make(&definition(SecretKind::CertEd25519, 256)).unwrap_err();
    assert_eq!(error.0, "invalid secret size for cert-ed25519 secret s: none is expected, got: 256");
}

// S-13
#[test]
fn other_curves_are_refused() {
    for size in [0, 192, 255, 512] {
        let error = make(&definition(SecretKind::CertEcdsa, size)).unwrap_err().0;
        let expected = format!(
            "invalid secret size for cert-ecdsa secret s: unsupported size {size}: does not map to a supported curve"
        );
        assert_eq!(error, expected);
    }
}

// S-14, M-70
#[test]
fn plain_and_unknown_secrets_are_not_made() {
    let error = make(&definition(SecretKind::Plain, 0)).unwrap_err();
    assert_eq!(error.0, "secret s is invalid: unsupported secret of type plain");
    let error = make(&definition(SecretKind::Unknown("x".into()), 0)).unwrap_err();
    assert_eq!(error.0, "secret s is invalid: unsupported secret of type x");
}

#[test]
fn user_defined_secrets_are_not_made() {
    let definition = SecretDefinition { user_defined: true, ..definition(SecretKind::SymmetricKey, 128) };
    assert!(make(&definition).is_err());
}

// S-10, S-25, S-3
#[test]
fn a_shared_symmetric_key_is_random_bytes_of_the_declared_size() {
    let value = make(&definition(SecretKind::SymmetricKey, 136)).unwrap();
    let private = value.private.unwrap();
    assert_eq!(private.len(), 17);
    assert!(value.public.unwrap().equals(private.expose()));
    assert!(value.certificate.is_none());
    assert_eq!(value.valid_for, 0);
    let other = make(&definition(SecretKind::SymmetricKey, 136)).unwrap();
    assert!(!other.private.unwrap().equals(private.expose()));
}

// S-10
#[test]
fn a_size_that_is_no_number_of_bytes_is_refused() {
    for size in [0, 1, 127, 129] {
        let error = make(&definition(SecretKind::SymmetricKey, size)).unwrap_err();
        assert_eq!(error.0, "invalid secret size: s");
    }
    assert!(make(&definition(SecretKind::SymmetricKey, 8)).is_ok());
    assert!(make(&definition(SecretKind::SymmetricKey, u64::MAX - 7)).is_err());
}

// S-20, S-26
#[test]
fn a_private_symmetric_key_is_derived() {
    let root_secret = SecretBytes::new("root secret", vec![7; 32]);
    let private = |marble_type| {
        let source = Source::Private { root_secret: &root_secret, uuid: UUID, marble_type };
        let definition = definition(SecretKind::SymmetricKey, 256);
        generate("disk", &definition, source, &authority(), NOW, &Random).unwrap().private.unwrap()
    };
    let expected = derive_symmetric(&root_secret, UUID, "disk", Some("api"), 32).unwrap();
    assert!(private(Some("api")).equals(expected.expose()));
    assert!(!private(None).equals(expected.expose()));
}

// S-23
#[test]
fn a_private_symmetric_key_has_at_most_8160_bytes() {
    let root_secret = SecretBytes::new("root secret", vec![7; 32]);
    let source = Source::Private { root_secret: &root_secret, uuid: UUID, marble_type: None };
    let make =
        |size| generate("k", &definition(SecretKind::SymmetricKey, size), source, &authority(), NOW, &Random);
    assert!(make(8160 * 8).is_ok());
    assert!(make(8161 * 8).unwrap_err().0.starts_with("invalid secret size: k"));
}

// X-58, S-31, S-32
#[test]
fn without_a_template_the_defaults_hold() {
    let certificate = make(&definition(SecretKind::CertEcdsa, 256)).unwrap().certificate.unwrap();
    assert_lines(
        &certificate,
        &[
            "Issuer: CN=MarbleRun Coordinator - Intermediate CA\n",
            "Subject: CN=localhost\n",
            "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n",
            "Digital Signature, Certificate Sign\n",
            "TLS Web Server Authentication, TLS Web Client Authentication\n",
            "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
            "Not Before: Feb  3 04:05:06 2031 GMT",
        ],
    );
}

// S-31
#[test]
fn the_common_name_is_the_only_dns_name() {
    let with = |names: &[&str], common_name: &str| {
        let dns_names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        let subject = SubjectTemplate { common_name: common_name.to_owned(), ..SubjectTemplate::default() };
        text(&templated(CertificateTemplate { dns_names, subject, ..Default::default() }).unwrap())
    };
    assert!(with(&["a.example"], "").contains("Subject: CN=a.example\n"));
    assert!(with(&["a.example", "b.example"], "").contains("Subject: CN=MarbleRun Generated Certificate\n"));
    assert!(with(&[], "").contains("Subject: CN=MarbleRun Generated Certificate\n"));
    assert!(with(&["a.example"], "given").contains("Subject: CN=given\n"));
}

// S-33
#[test]
fn a_certificate_lives_for_its_days_and_365_by_default() {
    for (valid_for, stored, end) in
        [(0, 365, "Feb  3 04:05:06 2032 GMT"), (1, 1, "Feb  4 04:05:06 2031 GMT"), (7000, 7000, "2050 GMT")]
    {
        let definition = SecretDefinition { valid_for, ..definition(SecretKind::CertEd25519, 0) };
        let value = make(&definition).unwrap();
        assert_eq!(value.valid_for, stored);
        let text = text(&value.certificate.unwrap());
        let line = text.lines().find(|line| line.contains("Not After")).unwrap();
        assert!(line.ends_with(end), "{line}");
    }
}

// S-33
#[test]
fn a_given_end_is_kept_and_no_days_are_stored() {
    let not_after = Some(datetime!(2400-01-01 0:00 UTC));
    let cert = Some(Box::new(CertificateTemplate { not_after, ..Default::default() }));
    let definition = SecretDefinition { cert, ..definition(SecretKind::CertEd25519, 0) };
    let value = make(&definition).unwrap();
    assert_eq!(value.valid_for, 0);
    assert_lines(&value.certificate.unwrap(), &["Not After : Jan  1 00:00:00 2400 GMT"]);
    // M-71
    assert!(make(&SecretDefinition { valid_for: 1, ..definition }).is_err());
}

// S-33
#[test]
fn days_that_no_calendar_holds_are_refused() {
    for valid_for in [u64::MAX, i64::MAX as u64, 4_000_000] {
        let definition = SecretDefinition { valid_for, ..definition(SecretKind::CertEd25519, 0) };
        assert!(make(&definition).unwrap_err().0.contains("year 9999"));
    }
}

// S-34
#[test]
fn a_shared_certificate_issued_again_keeps_its_end_with_a_new_key() {
    let authority = authority();
    let definition = SecretDefinition { valid_for: 10, ..definition(SecretKind::CertEcdsa, 256) };
    let first = generate("s", &definition, Source::Shared, &authority, NOW, &Random).unwrap();
    let renewed = authority.renew_intermediate(NOW, &Random).unwrap();
    let later = NOW + Duration::days(3);
    let source = Source::Reissued { previous_certificate: first.certificate.as_deref().unwrap() };
    let second = generate("s", &definition, source, &renewed, later, &Random).unwrap();
    let certificate = second.certificate.unwrap();
    assert_eq!(not_after(&certificate).unwrap(), NOW + Duration::days(10));
    assert_eq!(second.valid_for, 10);
    assert!(!second.public.unwrap().equals(first.public.unwrap().expose()));
    assert_lines(&certificate, &["Not Before: Feb  6 04:05:06 2031 GMT"]);
}

// S-34
#[test]
fn a_private_certificate_gets_its_days_anew() {
    let root_secret = SecretBytes::new("root secret", vec![7; 32]);
    let source = Source::Private { root_secret: &root_secret, uuid: UUID, marble_type: Some("api") };
    let definition = SecretDefinition { valid_for: 10, ..definition(SecretKind::CertEcdsa, 256) };
    let later = NOW + Duration::days(3);
    let value = generate("s", &definition, source, &authority(), later, &Random).unwrap();
    assert_eq!(not_after(&value.certificate.unwrap()).unwrap(), later + Duration::days(10));
}

#[test]
fn a_symmetric_key_is_not_issued_again() {
    let source = Source::Reissued { previous_certificate: &[] };
    let definition = definition(SecretKind::SymmetricKey, 128);
    assert!(generate("s", &definition, source, &authority(), NOW, &Random).is_err());
}

// S-35
#[test]
fn a_ca_secret_issues_leaves_that_verify_to_the_root() {
    let authority = authority();
    let template = CertificateTemplate { is_ca: true, ..Default::default() };
    let definition =
        SecretDefinition { cert: Some(Box::new(template)), ..definition(SecretKind::CertEcdsa, 384) };
    let ca = generate("ca", &definition, Source::Shared, &authority, NOW, &Random).unwrap();
    let certificate = ca.certificate.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("ca.pem"), crate::certificate::certificate_pem(&certificate)).unwrap();
    let key = pem::encode(&pem::Pem::new("PRIVATE KEY", ca.private.unwrap().expose()));
    std::fs::write(path.join("ca.key"), key).unwrap();
    let request =
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-subj", "/CN=leaf", "-out", "r"];
    openssl(path, &request).unwrap();
    let sign =
        ["x509", "-req", "-in", "r", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "9999", "-outform", "DER"];
    let leaf = openssl(path, &sign).unwrap();

    // OpenSSL dates the leaf by the machine's clock, so the chain is looked at without dates.
    let options = ["-no_check_time"];
    verify(&leaf, &[&certificate, authority.intermediate_der()], authority.root_der(), &options).unwrap();
    assert!(verify(&leaf, &[authority.intermediate_der()], authority.root_der(), &options).is_err());
}

// S-32, S-35
#[test]
fn a_secret_that_is_no_ca_cannot_issue() {
    let certificate = templated(CertificateTemplate::default()).unwrap();
    let authority = authority();
    assert!(text(&certificate).contains("CA:FALSE"));
    assert!(verify(authority.root_der(), &[], &certificate, &["-partial_chain"]).is_err());
}

// M-17
#[test]
fn key_usage_bits_are_taken_as_given() {
    let with = |key_usage| templated(CertificateTemplate { key_usage, ..Default::default() });
    assert_lines(&with(4).unwrap(), &["Key Usage: critical\n                Key Encipherment\n"]);
    assert_lines(&with(0).unwrap(), &["Digital Signature, Certificate Sign\n"]);
    assert_lines(
        &with(511).unwrap(),
        &[
            "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Key Agreement, Certificate Sign, CRL Sign, Encipher Only, Decipher Only\n",
        ],
    );
    for unknown in [512, 513, -1, i64::MAX] {
        assert!(with(unknown).unwrap_err().0.contains("KeyUsage"));
    }
}

// M-18
#[test]
fn extended_key_usages_are_numbers_and_an_empty_list_means_none() {
    let with = |numbers: Option<Vec<i64>>| {
        templated(CertificateTemplate { ext_key_usage: numbers, ..Default::default() })
    };
    assert_lines(
        &with(Some((0..=13).collect())).unwrap(),
        &[
            "Any Extended Key Usage, TLS Web Server Authentication, TLS Web Client Authentication, Code Signing, E-mail Protection, IPSec End System, IPSec Tunnel, IPSec User, Time Stamping, OCSP Signing, Microsoft Server Gated Crypto, Netscape Server Gated Crypto, Microsoft Commercial Code Signing, 1.3.6.1.4.1.311.61.1.1\n",
        ],
    );
    assert!(!text(&with(Some(Vec::new())).unwrap()).contains("Extended Key Usage"));
    assert!(
        text(&with(None).unwrap()).contains("TLS Web Server Authentication, TLS Web Client Authentication")
    );
    for unknown in [-1, 14] {
        assert!(with(Some(vec![unknown])).unwrap_err().0.contains("ExtKeyUsage"));
    }
    let unknown = CertificateTemplate {
        ext_key_usage: Some(Vec::new()),
        unknown_ext_key_usage: vec![vec![1, 2, 3, 4]],
        ..Default::default()
    };
    assert_lines(&templated(unknown).unwrap(), &["Extended Key Usage: \n                1.2.3.4\n"]);
}

// M-19
#[test]
fn empty_lists_of_names_suppress_the_defaults() {
    let with = |dns_names, ip_addresses| {
        text(&templated(CertificateTemplate { dns_names, ip_addresses, ..Default::default() }).unwrap())
    };
    assert!(!with(Some(Vec::new()), Some(Vec::new())).contains("Subject Alternative Name"));
    let only_ip = with(Some(Vec::new()), None);
    assert!(only_ip.contains("Name: \n                IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n"));
    assert!(with(None, Some(Vec::new())).contains("Name: \n                DNS:localhost\n"));
}

// manifest.md 2.9
#[test]
fn every_field_of_a_template_is_honoured() {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let template = CertificateTemplate {
        subject: SubjectTemplate {
            organization: texts(&["Org"]),
            serial_number: "77".into(),
            extra_names: vec![(vec![2, 5, 4, 12], "Dr".into())],
            ..SubjectTemplate::default()
        },
        is_ca: true,
        max_path_len: 2,
        subject_key_id: vec![0xAB, 0xCD],
        ocsp_server: texts(&["http://ocsp.example/"]),
        issuing_certificate_url: texts(&["http://ca.example/ca.crt"]),
        dns_names: Some(texts(&["a.example", "*.b.example"])),
        email_addresses: texts(&["who@example.org"]),
        ip_addresses: Some(vec!["10.0.0.9".parse().unwrap()]),
        uris: texts(&["spiffe://example.org/x"]),
        name_constraints: NameConstraints {
            critical: true,
            permitted: NameSubtrees {
                dns_domains: texts(&[".example"]),
                ip_ranges: vec![("10.1.2.3".parse().unwrap(), vec![255, 255, 0, 0])],
                email_addresses: texts(&["example.org"]),
                uri_domains: Vec::new(),
            },
            excluded: NameSubtrees { uri_domains: texts(&["bad.example"]), ..NameSubtrees::default() },
        },
        crl_distribution_points: texts(&["http://crl.example/1", "http://crl.example/2"]),
        policy_identifiers: vec![vec![1, 3, 6, 1, 4, 1, 99999, 1]],
        extra_extensions: vec![ExtraExtension {
            id: vec![1, 2, 3, 4, 5],
            critical: false,
            value: b"hello".to_vec(),
        }],
        ..CertificateTemplate::default()
    };
    assert_lines(
        &templated(template).unwrap(),
        &[
            "Subject: title=Dr,serialNumber=77,CN=MarbleRun Generated Certificate,O=Org\n",
            "CA:TRUE, pathlen:2\n",
            "Subject Key Identifier: \n                AB:CD\n",
            "OCSP - URI:http://ocsp.example/\n",
            "CA Issuers - URI:http://ca.example/ca.crt\n",
            "DNS:a.example, DNS:*.b.example, email:who@example.org, IP Address:10.0.0.9, URI:spiffe://example.org/x\n",
            "X509v3 Name Constraints: critical\n",
            "DNS:.example\n                  IP:10.1.0.0/255.255.0.0\n                  email:example.org\n",
            "Excluded:\n                  URI:bad.example\n",
            "URI:http://crl.example/1",
            "URI:http://crl.example/2",
            "Policy: 1.3.6.1.4.1.99999.1\n",
            "1.2.3.4.5: \n                hello",
        ],
    );
}

// M-21: a CA's key identifier is that of its key; a template's authority key identifier never breaks the chain
#[test]
fn key_identifiers_fit_the_chain() {
    let authority = authority();
    let template = CertificateTemplate {
        is_ca: true,
        authority_key_id: vec![1, 2, 3],
        ..CertificateTemplate::default()
    };
    let definition =
        SecretDefinition { cert: Some(Box::new(template)), ..definition(SecretKind::CertEcdsa, 224) };
    let value = generate("s", &definition, Source::Shared, &authority, NOW, &Random).unwrap();
    let certificate = value.certificate.unwrap();
    verify(&certificate, &[authority.intermediate_der()], authority.root_der(), &[]).unwrap();
    assert_lines(&certificate, &["Subject Key Identifier: \n"]);
}

// 2.9: the issuer's key is ECDSA P-384
#[test]
fn the_signature_algorithm_must_suit_the_issuers_key() {
    let authority = authority();
    for (number, name) in [
        (0, "ecdsa-with-SHA384"),
        (10, "ecdsa-with-SHA256"),
        (11, "ecdsa-with-SHA384"),
        (12, "ecdsa-with-SHA512"),
    ] {
        let template = CertificateTemplate { signature_algorithm: number, ..Default::default() };
        let definition =
            SecretDefinition { cert: Some(Box::new(template)), ..definition(SecretKind::CertEcdsa, 256) };
        let value = generate("s", &definition, Source::Shared, &authority, NOW, &Random).unwrap();
        let certificate = value.certificate.unwrap();
        assert_lines(&certificate, &[&format!("Signature Algorithm: {name}")]);
        verify(&certificate, &[authority.intermediate_der()], authority.root_der(), &[]).unwrap();
    }
    for signature_algorithm in [-1, 1, 4, 9, 13, 16] {
        let error = refusal(CertificateTemplate { signature_algorithm, ..Default::default() });
        assert!(error.contains("does not suit the ECDSA P-384 issuer key"), "{error}");
    }
}

// X-11a
#[test]
fn the_marble_type_extension_is_refused() {
    let extra = |id| ExtraExtension { id, critical: false, value: b"backend".to_vec() };
    let with = |id| CertificateTemplate { extra_extensions: vec![extra(id)], ..Default::default() };
    assert!(refusal(with(vec![1, 3, 9903, 2, 1])).contains("reserved for Marbles"));
    templated(with(vec![1, 3, 9903, 2, 2])).unwrap();
}

// X-5
#[test]
fn the_coordinators_names_are_refused_in_templates() {
    let name =
        CertificateTemplate { dns_names: Some(vec!["coordinator.example".into()]), ..Default::default() };
    assert!(refusal(name).contains("belongs to the coordinator"));
    let address =
        CertificateTemplate { ip_addresses: Some(vec!["10.1.2.3".parse().unwrap()]), ..Default::default() };
    assert!(refusal(address).contains("belongs to the coordinator"));
}

// X-5: some clients take a common name for a host where there are no alternative names
#[test]
fn the_coordinators_names_are_refused_as_common_names() {
    let given = |common_name: &str| SubjectTemplate { common_name: common_name.into(), ..Default::default() };
    let extra = |name: &str| SubjectTemplate {
        extra_names: vec![(vec![2, 5, 4, 3], name.into())],
        ..Default::default()
    };
    for name in ["Coordinator.example", "10.1.2.3"] {
        for subject in [given(name), extra(name)] {
            let error = refusal(CertificateTemplate { subject, ..Default::default() });
            assert!(error.contains("belongs to the coordinator"), "{error}");
        }
    }
    for name in ["localhost", "api.example", "10.1.2.4"] {
        for subject in [given(name), extra(name)] {
            templated(CertificateTemplate { subject, ..Default::default() }).unwrap();
        }
    }
}

// X-5: an extra extension is no way around
#[test]
fn alternative_names_written_by_hand_are_looked_at_too() {
    let with = |value: &[u8]| CertificateTemplate {
        extra_extensions: vec![ExtraExtension {
            id: vec![2, 5, 29, 17],
            critical: false,
            value: value.to_vec(),
        }],
        ..Default::default()
    };
    assert!(refusal(with(b"\x30\x06\x87\x04\x0a\x01\x02\x03")).contains("belongs to the coordinator"));
    assert!(refusal(with(b"no DER")).contains("does not hold alternative names"));
    let certificate = templated(with(b"\x30\x06\x87\x04\x0a\x01\x02\x04")).unwrap();
    assert_lines(&certificate, &["Alternative Name: \n                IP Address:10.1.2.4\n"]);
}

// X-70 with M-19a: what the original loses when it issues again
#[test]
fn a_certificate_issued_again_keeps_everything_of_its_template() {
    let authority = authority();
    let template = CertificateTemplate {
        is_ca: true,
        dns_names: Some(Vec::new()),
        ip_addresses: Some(Vec::new()),
        ext_key_usage: Some(Vec::new()),
        extra_extensions: vec![ExtraExtension {
            id: vec![1, 2, 3, 4, 5],
            critical: true,
            value: b"hello".to_vec(),
        }],
        ..Default::default()
    };
    let definition =
        SecretDefinition { cert: Some(Box::new(template)), ..definition(SecretKind::CertEcdsa, 256) };
    let first =
        generate("s", &definition, Source::Shared, &authority, NOW, &Random).unwrap().certificate.unwrap();
    let source = Source::Reissued { previous_certificate: &first };
    let second = generate("s", &definition, source, &authority, NOW, &Random).unwrap().certificate.unwrap();
    let second = text(&second);
    assert!(second.contains("1.2.3.4.5: critical"), "{second}");
    assert!(!second.contains("Alternative Name") && !second.contains("Extended Key Usage"), "{second}");
    let key_identifier = |text: &str| {
        text.lines().skip_while(|line| !line.contains("Subject Key Identifier")).nth(1).unwrap().to_owned()
    };
    assert_ne!(key_identifier(&text(&first)), key_identifier(&second));
}

// M-78
#[test]
fn a_template_that_cannot_be_encoded_is_refused_and_names_the_secret() {
    let max_path_len = CertificateTemplate { max_path_len: 1, ..Default::default() };
    assert!(refusal(max_path_len).starts_with("creating certificate for secret s: MaxPathLen"));
    let too_long = CertificateTemplate { is_ca: true, max_path_len: 256, ..Default::default() };
    assert!(refusal(too_long).contains("MaxPathLen 256"));
    let policy = CertificateTemplate { policy_identifiers: vec![vec![9, 9, 9]], ..Default::default() };
    assert!(refusal(policy).contains("\"9.9.9\" is no object identifier"));
    let name = CertificateTemplate { dns_names: Some(vec!["\u{fc}".into()]), ..Default::default() };
    assert!(refusal(name).contains("is not ASCII"));
    let mut mask = CertificateTemplate::default();
    mask.name_constraints.permitted.ip_ranges = vec![("10.0.0.0".parse().unwrap(), vec![255; 16])];
    assert!(refusal(mask).contains("needs a mask of 4 bytes"));
}

// 2.9: MaxPathLenZero, and Go's -1
#[test]
fn a_path_length_of_zero_is_meant_only_if_said_so() {
    let with = |max_path_len, max_path_len_zero| {
        let template =
            CertificateTemplate { is_ca: true, max_path_len, max_path_len_zero, ..Default::default() };
        text(&templated(template).unwrap())
    };
    assert!(with(0, true).contains("CA:TRUE, pathlen:0\n"));
    assert!(with(0, false).contains("CA:TRUE\n"));
    assert!(with(-1, false).contains("CA:TRUE\n"));
}
