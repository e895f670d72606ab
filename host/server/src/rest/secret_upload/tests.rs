//! What an upload's body is read as.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::Pair;

fn read(version: Version, body: &str) -> Vec<SecretUpload> {
    uploads(version, body.as_bytes()).map_err(|error| panic!("{body}: {error}")).unwrap()
}

fn refusal(version: Version, body: &str) -> String {
    uploads(version, body.as_bytes()).map(|_| ()).unwrap_err().to_string()
}

/// The only secret of a body.
fn only(entry: &str) -> SecretUpload {
    let mut uploads = read(Version::V1, &format!("{{\"s\":{entry}}}"));
    assert_eq!(uploads.len(), 1);
    uploads.remove(0)
}

fn shown(part: Option<SecretBytes>) -> Option<Vec<u8>> {
    part.map(|part| part.expose().to_vec())
}

// R-53, R-24
#[test]
fn v1_is_the_map_itself_and_v2_has_it_in_a_field() {
    let map = r#"{"b":{"Key":"AQ=="},"a":null,"":{}}"#;
    for uploads in [read(Version::V1, map), read(Version::V2, &format!("{{\"SECRETS\":{map}}} more"))] {
        assert_eq!(uploads.iter().map(|upload| upload.name.as_str()).collect::<Vec<_>>(), ["", "a", "b"]);
    }
    for body in ["{}", "null", r#"{"secrets":null}"#, r#"{"secrets":{}}"#, r#"{"other":{"a":{}}}"#] {
        assert!(read(Version::V2, body).is_empty(), "{body}");
    }
    assert!(read(Version::V1, "{}").is_empty());
    assert_eq!(refusal(Version::V2, ""), "EOF");
    assert_eq!(refusal(Version::V1, ""), "unexpected end of JSON input");
    assert_eq!(refusal(Version::V2, r#"{"secrets":[]}"#), "field \"secrets\" must be an object");
}

#[test]
fn an_upload_has_a_greatest_number_of_secrets() {
    let body = |number: usize| {
        let secrets: Vec<String> = (0..number).map(|index| format!("\"{index}\":null")).collect();
        format!("{{{}}}", secrets.join(","))
    };
    assert_eq!(read(Version::V1, &body(SECRETS_AT_ONCE)).len(), SECRETS_AT_ONCE);
    let error = refusal(Version::V1, &body(SECRETS_AT_ONCE + 1));
    assert!(error.contains("more than 10000 secrets"), "{error}");
}

// X-63, X-54, S-50, S-54a, M-9
#[test]
fn fields_match_in_any_case_and_bytes_are_base64_or_integers() {
    let upload = only(r#"{"kEY":[0,255],"PRIVATE":"AQI=","other":1}"#);
    assert_eq!(shown(upload.key), Some(vec![0, 255]));
    assert_eq!(shown(upload.private), Some(vec![1, 2]));
    assert_eq!(upload.cert, None);
    for entry in ["null", "{}", r#"{"Key":null,"Private":null,"Cert":null}"#] {
        let upload = only(entry);
        assert!(upload.key.is_none() && upload.private.is_none() && upload.cert.is_none(), "{entry}");
    }
    assert_eq!(shown(only(r#"{"Key":""}"#).key), Some(Vec::new()));
    assert_eq!(shown(only("{\"Key\":\"AQ\\r\\nI=\\n\"}").key), Some(vec![1, 2]));
    assert_eq!(shown(only(r#"{"Key":"\/w=="}"#).key), Some(vec![255]));
}

// R-24
#[test]
fn of_a_name_that_occurs_twice_the_last_value_counts() {
    let uploads = read(Version::V1, r#"{"s":{"Key":"AQ=="},"S":{},"\u0073":{"Key":"AA==","key":"Ag=="}}"#);
    assert_eq!(uploads.len(), 2);
    assert_eq!(shown(uploads.into_iter().find(|upload| upload.name == "s").unwrap().key), Some(vec![2]));
}

// S-50: embedded newlines are accepted
#[test]
fn a_certificate_is_the_base64_of_its_der() {
    let der = Pair::p256().certificate.to_vec();
    let text = STANDARD.encode(&der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for text in [text.clone(), lines.join("\\n"), lines.join("\\r\\n")] {
        let upload = only(&format!("{{\"cert\":\"{text}\"}}"));
        assert_eq!(upload.cert, Some(UploadedCertificate::Der(der.clone())));
    }
}

// S-54b, X-24: whatever the secret's type
#[test]
fn base64_that_is_no_certificate_is_refused_with_secret_and_field_named() {
    let mut longer = Pair::p256().certificate.to_vec();
    longer.push(0);
    for cert in [String::new(), "AAAA".to_owned(), STANDARD.encode(&longer)] {
        let text = refusal(Version::V1, &format!("{{\"s\":{{\"Cert\":\"{cert}\"}}}}"));
        assert!(text.starts_with("x509: malformed certificate") && text.contains("\"s\""), "{text}");
        assert!(text.contains("\"Cert\""), "{text}");
    }
}

// S-54b, S-2
#[test]
fn what_is_no_base64_or_a_template_is_left_to_the_judgement_of_the_secret() {
    for cert in [r#""-----BEGIN CERTIFICATE-----""#, r#""AQ""#, "{}", r#"{"Subject":{}}"#] {
        assert_eq!(
            only(&format!("{{\"Cert\":{cert}}}")).cert,
            Some(UploadedCertificate::Unreadable),
            "{cert}"
        );
    }
}

// R-53
#[test]
fn wrong_types_are_refused_by_secret_and_field_and_never_by_value() {
    for (entry, words) in [
        ("\"hunter2\"", "secret \"s\" must be an object"),
        ("[]", "secret \"s\" must be an object"),
        (r#"{"Key":"hunter2!"}"#, "secret \"s\": field \"Key\" must be a string of standard base64"),
        (r#"{"Private":[256]}"#, "secret \"s\": field \"Private\" must be a string of standard base64"),
        (r#"{"Key":{}}"#, "secret \"s\": field \"Key\" must be"),
        (r#"{"Cert":7}"#, "secret \"s\": field \"Cert\" must be a string"),
    ] {
        let text = refusal(Version::V1, &format!("{{\"s\":{entry}}}"));
        assert!(text.starts_with(words) && !text.contains("hunter2"), "{text}");
    }
}
