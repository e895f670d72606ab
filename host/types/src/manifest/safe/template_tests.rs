//! What certificates' templates must not say: the coordinator's names, and a Marble's type.

use super::tests::{der, judged, secret};
use super::*;

fn template(fields: &str, names: &[&str]) -> Vec<(String, String)> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let text = format!(r#"{{"Secrets":{{"s":{{"Type":"cert-ed25519","Cert":{{{fields}}}}}}}}}"#);
    let found = judged(&text, &Known { renderers: None, coordinator_names: &names });
    found.into_iter().map(|finding| (finding.code, finding.path)).collect()
}

// X-5
#[test]
fn templates_do_not_name_the_coordinator() {
    let own = ["coordinator.example", "LOCALHOST", "10.0.0.1", "127.0.0.1", "::1"];
    let refused = |path: &str| vec![("X-5".to_owned(), format!("/Secrets/s/Cert/{path}"))];
    assert_eq!(template(r#""DNSNames":["a","Coordinator.EXAMPLE."]"#, &own), refused("DNSNames/1"));
    assert_eq!(template(r#""DNSNames":["*.example"]"#, &own), refused("DNSNames/0"));
    assert_eq!(template(r#""IPAddresses":["10.0.0.1"]"#, &own), refused("IPAddresses/0"));
    assert_eq!(template(r#""IPAddresses":["::ffff:10.0.0.1"]"#, &own), refused("IPAddresses/0"));
    let allowed = r#""DNSNames":["localhost","x.coordinator.example","example"],"IPAddresses":["127.0.0.1","::1","10.0.0.2"]"#;
    assert_eq!(template(allowed, &own), []);
    assert_eq!(template(r#""DNSNames":["coordinator.example"]"#, &[]), []);
}

// X-5
#[test]
fn names_written_as_an_extension_are_found_too() {
    let own = ["coordinator.example", "10.0.0.1"];
    let extension = |names: &[u8]| {
        let value = crate::encoding::encode_base64(names);
        template(&format!(r#""ExtraExtensions":[{{"Id":[2,5,29,17],"Value":"{value}"}}]"#), &own)
    };
    let refused = [("X-5".to_owned(), "/Secrets/s/Cert/ExtraExtensions/0".to_owned())];
    let names = |names: &[Vec<u8>]| der(0x30, &names.concat());
    assert_eq!(extension(&names(&[der(0x81, b"a@b"), der(0x82, b"Coordinator.example")])), refused);
    assert_eq!(extension(&names(&[der(0x87, &[10, 0, 0, 1])])), refused);
    assert_eq!(
        extension(&names(&[der(0x82, b"other"), der(0x87, &[10, 0, 0, 2]), der(0x81, &[b'a'; 300])])),
        []
    );
    // What cannot be read might be anything.
    for broken in [&b""[..], b"x", &[0x30, 5], &[0x30, 0x84, 0, 0, 0, 0], &names(&[der(0x87, &[10])])] {
        assert_eq!(extension(broken), refused, "{broken:?}");
    }
}

// S-35, X-11a
#[test]
fn templates_do_not_carry_a_marbles_type() {
    for fields in [
        r#""ExtraExtensions":[{"Id":[1,3,9903,2,1]}]"#,
        r#""Subject":{"ExtraNames":[{"Type":[1,3,9903,2,1],"Value":"m"}]}"#,
        r#""UnknownExtKeyUsage":[[1,3,9903,2,1]]"#,
        r#""PolicyIdentifiers":[[1,3,9903,2,1]]"#,
    ] {
        assert_eq!(template(fields, &[]), [("X-11a".to_owned(), "/Secrets/s/Cert".to_owned())], "{fields}");
    }
    assert_eq!(template(r#""ExtraExtensions":[{"Id":[1,3,9903,2,2]}]"#, &[]), []);
}

#[test]
fn a_template_without_effect_is_not_judged() {
    let cert = r#""Cert":{"ExtraExtensions":[{"Id":[1,3,9903,2,1]}]}"#;
    assert_eq!(secret(&format!(r#""Type":"symmetric-key","Size":8,{cert}"#)), []);
    assert_eq!(secret(&format!(r#""Type":"cert-rsa","UserDefined":true,{cert}"#)), []);
}
