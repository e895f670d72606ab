use super::*;

fn info(kind: &str, parts: &[Part]) -> SecretInfo {
    SecretInfo {
        name: "s".into(),
        kind: kind.to_owned(),
        size: 0,
        shared: false,
        user_defined: false,
        valid_for: 0,
        parts: parts.to_vec(),
    }
}

const KEY: [Part; 2] = [Part::Public, Part::Private];
const ALL: [Part; 3] = [Part::Public, Part::Private, Part::Certificate];
const ENCODINGS: [Encoding; 4] = [Encoding::Raw, Encoding::Hex, Encoding::Base64, Encoding::Pem];

fn wrong_kind(answer: Result<(), wit::AccessError>) -> String {
    match answer {
        Err(wit::AccessError::WrongKind(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn string_is_for_whole_plain_secrets_only() {
    assert!(may_encode(&info("plain", &KEY), Part::Whole, Encoding::Text).is_ok());
    assert_eq!(wrong_kind(may_encode(&info("plain", &KEY), Part::Private, Encoding::Text)), NO_TEXT);
    assert_eq!(wrong_kind(may_encode(&info("symmetric-key", &KEY), Part::Whole, Encoding::Text)), NO_TEXT);
    assert_eq!(wrong_kind(may_encode(&info("cert-rsa", &ALL), Part::Whole, Encoding::Text)), NO_TEXT);
}

#[test]
fn pem_of_a_whole_secret_is_a_certificates_only() {
    assert!(may_encode(&info("cert-ecdsa", &ALL), Part::Whole, Encoding::Pem).is_ok());
    assert!(may_encode(&info("cert-ecdsa", &[Part::Certificate]), Part::Whole, Encoding::Pem).is_ok());
    assert_eq!(wrong_kind(may_encode(&info("symmetric-key", &KEY), Part::Whole, Encoding::Pem)), NO_PEM);
    assert_eq!(wrong_kind(may_encode(&info("plain", &KEY), Part::Whole, Encoding::Pem)), NO_PEM);
}

// S-65
#[test]
fn a_part_that_is_not_set_is_empty_in_every_encoding() {
    for encoding in ENCODINGS {
        let key = info("symmetric-key", &KEY);
        assert!(matches!(may_encode(&key, Part::Certificate, encoding), Err(wit::AccessError::Empty)));
        assert!(may_encode(&key, Part::Private, encoding).is_ok());
        let uploaded = info("cert-rsa", &[Part::Certificate, Part::Public]);
        assert!(matches!(may_encode(&uploaded, Part::Private, encoding), Err(wit::AccessError::Empty)));
    }
}

#[test]
fn a_bare_secret_stands_for_its_public_bytes() {
    assert!(may_encode(&info("cert-rsa", &ALL), Part::Whole, Encoding::Hex).is_ok());
    let reserved = info("cert-ecdsa", &[Part::Certificate]);
    assert!(matches!(may_encode(&reserved, Part::Whole, Encoding::Hex), Err(wit::AccessError::Empty)));
    assert!(matches!(
        may_encode(&info("plain", &[]), Part::Whole, Encoding::Text),
        Err(wit::AccessError::Empty)
    ));
}
