//! The host's own list, rule by rule, with the specification's texts.

use super::*;
use crate::manifest::names::{RecoveryKeyError, certificate_der, is_certificate, recovery_key_spki};

/// A manifest that nothing can be said against.
const MARBLES: &str = r#""Packages":{"p":{"UniqueID":"aa"}},"Marbles":{"m":{"Package":"p"}}"#;

pub(super) fn judged(text: &str, known: &Known<'_>) -> Vec<Finding> {
    host_findings(
        &ParsedManifest::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}")),
        known,
    )
}

/// Severity, code, path and text of all findings.
pub(super) fn findings(text: &str) -> Vec<(Severity, String, String, String)> {
    let all = judged(text, &Known::default());
    all.into_iter().map(|finding| (finding.severity, finding.code, finding.path, finding.message)).collect()
}

pub(super) fn error(code: &str, path: &str, message: &str) -> Vec<(Severity, String, String, String)> {
    vec![(Severity::Error, code.into(), path.into(), message.into())]
}

fn package(fields: &str) -> Vec<(Severity, String, String, String)> {
    findings(&format!(r#"{{"Packages":{{"p":{{{fields}}}}},"Marbles":{{"m":{{"Package":"p"}}}}}}"#))
}

pub(super) fn secret(definition: &str) -> Vec<(Severity, String, String, String)> {
    findings(&format!(r#"{{"Secrets":{{"s":{{{definition}}}}}}}"#))
}

fn config(definition: &str) -> Vec<(Severity, String, String, String)> {
    findings(&format!(r#"{{"Config":{{{definition}}}}}"#))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\r', "").replace('\n', "\\n"))
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["user".to_owned()]).unwrap().cert.pem()
}

/// A DER element with a length of up to two bytes.
pub(super) fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => [&[tag, 0x82][..], &(length as u16).to_be_bytes()].concat(),
    };
    out.extend_from_slice(contents);
    out
}

/// An RSA public key with a modulus of this many bytes (as they stand) and this exponent.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm =
        der(0x30, &[&der(6, &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1])[..], &[5, 0]].concat());
    let key = der(0x30, &[der(2, modulus), der(2, exponent)].concat());
    der(0x30, &[algorithm, der(3, &[&[0], &key[..]].concat())].concat())
}

/// A positive odd number of this many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0; bits / 8 + 1];
    bytes[0] = if bits.is_multiple_of(8) { 0 } else { 1 << (bits % 8 - 1) };
    if bits.is_multiple_of(8) {
        bytes[1] = 0x80;
    }
    *bytes.last_mut().unwrap() |= 1;
    bytes
}

fn pem(label: &str, der: &[u8]) -> String {
    ::pem::encode(&::pem::Pem::new(label, der))
}

// M-32, and so G-24: the package of an accepted Marble type is always there
#[test]
fn a_marble_needs_a_defined_package() {
    assert_eq!(
        findings(r#"{"Packages":{},"Marbles":{"m":{"Package":"q"}}}"#),
        error("M-32", "/Marbles/m/Package", "manifest does not contain marble package q")
    );
    assert_eq!(findings(r#"{"Marbles":{"m":{}}}"#)[0].3, "manifest does not contain marble package ");
    assert_eq!(findings(&format!("{{{MARBLES}}}")), []);
}

// M-33
#[test]
fn a_package_has_one_kind_of_identity() {
    let text = "manifest specifies both UniqueID *and* SignerID/ProductID/SecurityVersion in package p";
    for other in [r#""SignerID":"b""#, r#""ProductID":0"#, r#""SecurityVersion":0"#] {
        let fields = format!(r#""UniqueID":"a",{other}"#);
        assert_eq!(package(&fields), error("M-33", "/Packages/p", text), "{other}");
    }
    assert_eq!(package(r#""UniqueID":"a""#), []);
}

// M-34
#[test]
fn a_package_without_unique_id_needs_signer_product_and_version() {
    let misses = |fields: &str| package(fields).remove(0).3;
    assert_eq!(package(""), error("M-34", "/Packages/p", "manifest misses value for SignerID in package p"));
    assert_eq!(misses(r#""ProductID":1"#), "manifest misses value for SignerID in package p");
    assert_eq!(misses(r#""SignerID":"a""#), "manifest misses value for ProductID in package p");
    assert_eq!(
        misses(r#""SignerID":"a","ProductID":0"#),
        "manifest misses value for SecurityVersion in package p"
    );
    assert_eq!(package(r#""SignerID":"a","ProductID":0,"SecurityVersion":0"#), []);
}

// M-35
#[test]
fn of_a_debug_package_a_missing_identity_is_a_warning() {
    let found = package(r#""Debug":true"#);
    assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, Severity::Warning, "M-34"));
    assert_eq!(package(r#""Debug":true,"UniqueID":"a","ProductID":1"#)[0].0, Severity::Warning);
}

/// Codes, severities and texts.
fn told(fields: &str) -> Vec<(Severity, String, String)> {
    package(fields).into_iter().map(|(severity, code, _, message)| (severity, code, message)).collect()
}

// M-34, deviations
#[test]
fn a_virtual_machine_is_identified_by_what_its_tee_measures() {
    let (mrtd, both) = ("ab".repeat(48), format!(r#""RTMR1":"{0}","RTMR2":"{0}""#, "cd".repeat(48)));
    let tcb = r#""TCB":{"SNP":1}"#;
    assert_eq!(package(&format!(r#""TDX":{{"MRTD":"{mrtd}",{both}}}"#)), []);
    assert_eq!(package(&format!(r#""SNP":{{"Measurement":"{mrtd}",{tcb}}}"#)), []);
    assert_eq!(
        package(&format!(r#""TDX":{{{both}}}"#)),
        error("M-34", "/Packages/p/TDX", "manifest misses value for TDX.MRTD in package p")
    );
    assert_eq!(
        package(&format!(r#""SNP":{{"IDKeyDigest":"{mrtd}",{tcb}}}"#)),
        error("M-34", "/Packages/p/SNP", "manifest misses value for SNP.Measurement in package p")
    );
    for empty in [r#""TDX":{}"#, r#""SNP":{}"#] {
        assert_eq!(told(empty).iter().filter(|found| found.0 == Severity::Error).count(), 1, "{empty}");
    }
}

// M-33, M-34: each kind of TEE stands for itself
#[test]
fn what_is_given_for_one_tee_replaces_nothing_of_another() {
    let mrtd = "ab".repeat(48);
    let tdx = format!(r#""TDX":{{"MRTD":"{mrtd}","RTMR1":"{mrtd}","RTMR2":"{mrtd}"}}"#);
    assert_eq!(package(&format!(r#""UniqueID":"aa",{tdx}"#)), []);
    let text = "manifest misses value for ProductID in package p";
    assert_eq!(package(&format!(r#""SignerID":"aa",{tdx}"#)), error("M-34", "/Packages/p", text));
    assert_eq!(package(&format!(r#""UniqueID":"aa","ProductID":1,{tdx}"#))[0].1, "M-33");
    let found = told(&format!(r#"{tdx},"SNP":{{}}"#));
    assert_eq!(found[0].2, "manifest misses value for SNP.Measurement in package p");
    assert_eq!(told(r#""TDX":null"#)[0].2, "manifest misses value for SignerID in package p");
}

// M-34, M-81
#[test]
fn what_is_compared_too_little_is_warned_of() {
    let mrtd = "ab".repeat(48);
    for only in ["", r#","RTMR1":"""#, &format!(r#","RTMR1":"{mrtd}","RTMR3":"{mrtd}""#)] {
        let found = told(&format!(r#""TDX":{{"MRTD":"{mrtd}"{only}}}"#));
        let text = "package p does not compare both TDX.RTMR1 and TDX.RTMR2".to_owned();
        assert_eq!(found, [(Severity::Warning, "M-34".to_owned(), text)]);
    }
    let found = told(&format!(r#""SNP":{{"Measurement":"{mrtd}"}}"#));
    let text = "package p accepts platforms with any firmware: it has no SNP.TCB".to_owned();
    assert_eq!(found, [(Severity::Warning, "M-81".to_owned(), text)]);
}

// M-35, M-36
#[test]
fn a_debug_machine_or_one_that_no_marble_uses_is_only_warned_of() {
    for tee in [r#""TDX":{}"#, r#""SNP":{}"#] {
        let debug = told(&format!(r#""Debug":true,{tee}"#));
        let unused = findings(&format!(r#"{{"Packages":{{"p":{{{tee}}}}}}}"#));
        assert!(debug.iter().all(|found| found.0 == Severity::Warning) && !debug.is_empty());
        assert!(unused.iter().all(|found| found.0 == Severity::Warning) && !unused.is_empty());
    }
}

// M-36, X-8
#[test]
fn of_a_package_that_no_marble_uses_a_missing_identity_is_a_warning() {
    let found =
        findings(&format!("{{{}}}", MARBLES.replace("\"Packages\":{", "\"Packages\":{\"unused\":{},")));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0, found[0].2.as_str()), (Severity::Warning, "/Packages/unused"));
}

// M-37
#[test]
fn a_marbles_tls_tags_are_defined() {
    let marbles = MARBLES.replace("\"Package\":\"p\"", "\"Package\":\"p\",\"TLS\":[\"t\",\"u\"]");
    assert_eq!(
        findings(&format!("{{{marbles},\"TLS\":{{\"t\":{{}}}}}}")),
        error("M-37", "/Marbles/m/TLS/1", "manifest misses TLS entry for u")
    );
}

// M-41
#[test]
fn a_tls_tags_secret_is_defined() {
    let tls = r#""TLS":{"t":{"Incoming":[{"Port":"1"},{"Port":"1","Cert":"c","DisableClientAuth":true}]}}"#;
    assert_eq!(
        findings(&format!("{{{tls}}}")),
        error("M-41", "/TLS/t/Incoming/1/Cert", "TLS.Incoming.t references undefined secret c")
    );
    assert_eq!(findings(&format!(r#"{{{tls},"Secrets":{{"c":{{"Type":"cert-ed25519"}}}}}}"#)), []);
    // M-45: Outgoing.Cert is not looked at.
    assert_eq!(findings(r#"{"TLS":{"t":{"Outgoing":[{"Cert":"c"}]}}}"#), []);
}

#[test]
fn renderers_are_known_where_the_known_ones_are_given() {
    let marbles = MARBLES.replace(
        "\"Package\":\"p\"",
        r#""Package":"p","Parameters":{"Files":{"/a":{"Renderer":"liquid"}},"Env":{"E":{"Renderer":"jinja"}}}"#,
    );
    let text = format!("{{{marbles}}}");
    assert_eq!(judged(&text, &Known::default()), []);
    let renderers = ["go-template".to_owned(), "liquid".to_owned()];
    let found = judged(&text, &Known { renderers: Some(&renderers), coordinator_names: &[] });
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code.as_str(), found[0].severity), ("renderer", Severity::Error));
    assert_eq!(found[0].path, "/Marbles/m/Parameters/Env/E/Renderer");
    assert_eq!(found[0].message, "in Marble m: env variable E: unknown renderer jinja");
    assert_eq!(found[0].hint.as_deref(), Some("known renderers: go-template, liquid"));
}

// M-50, M-53
#[test]
fn a_user_needs_an_x509_certificate() {
    let user = |certificate: &str| {
        findings(&format!(r#"{{"Users":{{"u":{{"Certificate":{}}}}}}}"#, quoted(certificate)))
    };
    let path = "/Users/u/Certificate";
    assert_eq!(user(""), error("M-50", path, "manifest does not contain a certificate for user u"));
    let invalid = error("M-53", path, "received invalid certificate for user u");
    let valid = certificate();
    assert_eq!(user(&valid), []);
    assert_eq!(user("no PEM"), invalid);
    assert_eq!(user(&pem("CERTIFICATE", b"no DER")), invalid);
    let trailing = [certificate_der(&valid).unwrap(), vec![0]].concat();
    assert_eq!(user(&pem("CERTIFICATE", &trailing)), invalid);
    // Any label; only the first block counts, and text around it does not.
    let der = certificate_der(&valid).unwrap();
    assert_eq!(user(&format!("hello\n{}\nbye", pem("WHATEVER", &der))), []);
    assert_eq!(user(&format!("{}{}", pem("CERTIFICATE", b"x"), valid)), invalid);
    assert!(is_certificate(&der));
}

// M-51
#[test]
fn a_users_roles_exist() {
    let text = format!(
        r#"{{"Users":{{"u":{{"Certificate":{},"Roles":["r","q"]}}}},"Roles":{{"r":{{}}}}}}"#,
        quoted(&certificate())
    );
    assert_eq!(
        findings(&text),
        error("M-51", "/Users/u/Roles/1", "manifest specifies role q for user u, but role does not exist")
    );
}

// M-52, X-36
#[test]
fn two_users_have_different_certificates_however_they_are_written() {
    let one = certificate();
    let users = |a: &str, b: &str| {
        findings(&format!(
            r#"{{"Users":{{"b":{{"Certificate":{}}},"a":{{"Certificate":{}}}}}}}"#,
            quoted(b),
            quoted(a)
        ))
    };
    let same =
        error("M-52", "/Users/b/Certificate", "manifest contains the same certificate for users a and b");
    assert_eq!(users(&one, &one), same);
    assert_eq!(users(&one, &format!("\n{one}\n")), same);
    assert_eq!(users(&one, &certificate()), []);
}

// M-61
#[test]
fn private_secrets_are_never_read_and_generated_ones_never_written() {
    let roles = |kind: &str, action: &str| {
        findings(&format!(
            r#"{{"Secrets":{{"private":{{"Type":"symmetric-key","Size":8}},
            "shared":{{"Type":"symmetric-key","Size":8,"Shared":true}},"user":{{"Type":"plain","UserDefined":true}}}},
            "Roles":{{"r":{{"ResourceType":"{kind}","ResourceNames":["user","shared","private","none"],
            "Actions":["{action}"]}}}}}}"#
        ))
    };
    let read = "manifest specifies read permission for role r and per-marble-unique secret private";
    assert_eq!(roles("Secrets", "readsecret"), error("M-61", "/Roles/r/ResourceNames/2", read));
    let write = |secret: &str| {
        format!(
            "manifest specifies write permission for role r and secret {secret}, but secret is not user-defined"
        )
    };
    let mut expected = error("M-61", "/Roles/r/ResourceNames/1", &write("shared"));
    expected.extend(error("M-61", "/Roles/r/ResourceNames/2", &write("private")));
    assert_eq!(roles("Secrets", "WriteSecret"), expected);
    assert_eq!(roles("Secrets", "Other"), []);
    assert_eq!(roles("secrets", "WriteSecret"), []);
}

// M-70
#[test]
fn a_secrets_type_is_known() {
    for (definition, kind) in [(r#""Type":"Plain","UserDefined":true"#, "Plain"), ("", "")] {
        let text = format!("unknown type: {kind} for secret: s");
        assert_eq!(secret(definition), error("M-70", "/Secrets/s/Type", &text));
    }
}

// S-10, S-23
#[test]
fn a_symmetric_key_has_whole_bytes_and_not_too_many() {
    let key = |size: u64, more: &str| secret(&format!(r#""Type":"symmetric-key","Size":{size}{more}"#));
    for size in [0, 7, 129, u64::MAX] {
        assert_eq!(key(size, ""), error("S-10", "/Secrets/s/Size", "invalid secret size: s"), "{size}");
    }
    for size in [8, 128, 65280] {
        assert_eq!(key(size, ""), [], "{size}");
    }
    assert_eq!(key(65288, ""), error("S-23", "/Secrets/s/Size", "invalid secret size: s"));
    assert_eq!(key(65288, r#","Shared":true"#), []);
    assert_eq!(key(1 << 23, r#","Shared":true"#), []);
    assert_eq!(key((1 << 23) + 8, r#","Shared":true"#)[0].1, "S-10");
    assert_eq!(key(7, r#","UserDefined":true"#), []);
    // M-71a
    assert_eq!(key(8, r#","Cert":{}"#), []);
}

// S-11
#[test]
fn rsa_keys_have_1024_bits_at_least() {
    let key = |size: u64| secret(&format!(r#""Type":"cert-rsa","Size":{size}"#));
    for size in [0, 1023, 8193, u64::MAX] {
        let text = format!("invalid secret size for cert-rsa secret s: unsupported size {size}");
        assert_eq!(key(size), error("S-11", "/Secrets/s/Size", &text));
    }
    assert_eq!((key(1024), key(8192)), (vec![], vec![]));
}

// S-12
#[test]
fn ed25519_has_no_size() {
    assert_eq!(secret(r#""Type":"cert-ed25519""#), []);
    assert_eq!(
        secret(r#""Type":"cert-ed25519","Size":256"#),
        error(
            "S-12",
            "/Secrets/s/Size",
            "invalid secret size for cert-ed25519 secret s: none is expected, got: 256"
        )
    );
}

// S-13
#[test]
fn ecdsa_has_four_curves() {
    for size in [224, 256, 384, 521] {
        assert_eq!(secret(&format!(r#""Type":"cert-ecdsa","Size":{size}"#)), []);
    }
    for size in [0, 255, 512, 520] {
        let text = format!(
            "invalid secret size for cert-ecdsa secret s: unsupported size {size}: does not map to a supported curve"
        );
        assert_eq!(
            secret(&format!(r#""Type":"cert-ecdsa","Size":{size}"#)),
            error("S-13", "/Secrets/s/Size", &text)
        );
    }
}

// S-14
#[test]
fn plain_secrets_are_user_defined() {
    assert_eq!(secret(r#""Type":"plain","UserDefined":true"#), []);
    assert_eq!(
        secret(r#""Type":"plain","Shared":true"#),
        error("S-14", "/Secrets/s/Type", "secret s is invalid: unsupported secret of type plain")
    );
}

// M-78
#[test]
fn a_certificate_cannot_be_valid_beyond_what_can_be_written() {
    assert_eq!(secret(r#""Type":"cert-ed25519","ValidFor":2900000"#), []);
    assert_eq!(secret(r#""Type":"cert-ed25519","ValidFor":2900001"#)[0].1, "M-78");
}

// M-72, X-38
#[test]
fn enough_users_may_update() {
    let manifest = |threshold: u64| {
        findings(&format!(
            r#"{{"Users":{{"a":{{"Certificate":{},"Roles":["up","up2"]}},"b":{{"Certificate":{},"Roles":["up2"]}},
            "c":{{"Certificate":{},"Roles":["no"]}}}},"Config":{{"UpdateThreshold":{threshold}}},
            "Roles":{{"up":{{"ResourceType":"Manifest","Actions":["updatemanifest"]}},
            "up2":{{"ResourceType":"Manifest","Actions":["ReadAudit","UpdateManifest"]}},
            "no":{{"ResourceType":"Secrets","Actions":["UpdateManifest"]}}}}}}"#,
            quoted(&certificate()),
            quoted(&certificate()),
            quoted(&certificate())
        ))
    };
    assert_eq!(manifest(2), []);
    let text = "not enough users with manifest update permissions (2) to meet the threshold of 3";
    assert_eq!(manifest(3), error("M-72", "/Config/UpdateThreshold", text));
}

// M-73
#[test]
fn three_seal_modes_are_offered_in_their_exact_case_and_no_other() {
    for mode in ["", "ProductKey", "UniqueKey", "Disabled"] {
        assert_eq!(config(&format!(r#""SealMode":"{mode}""#)), []);
    }
    for mode in ["productkey", "disabled", "Unique", " ProductKey"] {
        let text = format!("unknown seal mode: {mode}");
        assert_eq!(config(&format!(r#""SealMode":"{mode}""#)), error("M-73", "/Config/SealMode", &text));
    }
}

// M-74; M-75: the gate AzureHSMSealing is refused whatever the environment says
#[test]
fn two_feature_gates_are_offered_and_others_are_not_supported_or_unknown() {
    assert_eq!(config(r#""FeatureGates":["signquoteendpoint","MonotonicCounter"]"#), []);
    for (gate, text) in [
        ("AzureHSMSealing", "feature gate AzureHSMSealing is not supported yet"),
        ("Nope", "unknown feature gate: Nope"),
        ("", "unknown feature gate: "),
    ] {
        assert_eq!(
            config(&format!(r#""FeatureGates":["{gate}"]"#)),
            error("M-74", "/Config/FeatureGates/0", text)
        );
    }
    assert_eq!(config(r#""FeatureGates":[]"#), []);
}

// M-76, M-77
#[test]
fn the_recovery_threshold_fits_the_keys() {
    let manifest = |threshold: u64| {
        let keys: Vec<String> = (1..=2_u8)
            .map(|last| {
                let mut modulus = modulus(2048);
                modulus[9] = last;
                format!("\"k{last}\":{}", quoted(&pem("PUBLIC KEY", &rsa_key(&modulus, &[1, 0, 1]))))
            })
            .collect();
        let keys = keys.join(",");
        findings(&format!(r#"{{"RecoveryKeys":{{{keys}}},"Config":{{"RecoveryThreshold":{threshold}}}}}"#))
    };
    assert_eq!((manifest(0), manifest(2)), (vec![], vec![]));
    let path = "/Config/RecoveryThreshold";
    let text = "not enough recovery keys (2) defined to meet the recovery threshold of 3";
    assert_eq!(manifest(3), error("M-76", path, text));
    let text = "invalid recovery threshold: if set, threshold must be at least 2";
    assert_eq!(manifest(1), error("M-77", path, text));
    // M-76 is tested first.
    assert_eq!(config(r#""RecoveryThreshold":1"#)[0].1, "M-76");
}

// M-79
#[test]
fn recovery_keys_are_rsa_public_keys_of_a_usable_size() {
    let judged = |label: &str, der: &[u8]| recovery_key_spki(&pem(label, der)).map(|_| ());
    let good = rsa_key(&modulus(2048), &[1, 0, 1]);
    assert_eq!(recovery_key_spki(&pem("PUBLIC KEY", &good)), Ok(good.clone()));
    for label in ["RSA PUBLIC KEY", "public key", "CERTIFICATE"] {
        assert_eq!(judged(label, &good), Err(RecoveryKeyError::NotAPublicKey), "{label}");
    }
    assert_eq!(recovery_key_spki("no PEM"), Err(RecoveryKeyError::NotAPublicKey));
    assert_eq!(judged("PUBLIC KEY", b"no DER"), Err(RecoveryKeyError::NotAPublicKey));
    assert_eq!(judged("PUBLIC KEY", &[good, vec![0]].concat()), Err(RecoveryKeyError::NotAPublicKey));
    let ecdsa = rcgen::PublicKeyData::subject_public_key_info(&rcgen::KeyPair::generate().unwrap());
    assert_eq!(judged("PUBLIC KEY", &ecdsa), Err(RecoveryKeyError::NotRsa));
    for (bits, fits) in [(784, false), (785, true), (1024, true), (16384, true), (16385, false)] {
        let result = judged("PUBLIC KEY", &rsa_key(&modulus(bits), &[1, 0, 1]));
        assert_eq!(result, if fits { Ok(()) } else { Err(RecoveryKeyError::Unusable { bits }) });
    }
    for exponent in [&[1][..], &[2], &[0], &[0x83], &[1, 0, 0, 0, 1], &[0, 0x80, 0, 0, 1]] {
        let result = judged("PUBLIC KEY", &rsa_key(&modulus(2048), exponent));
        assert_eq!(result, Err(RecoveryKeyError::Unusable { bits: 2048 }), "{exponent:?}");
    }
    assert_eq!(judged("PUBLIC KEY", &rsa_key(&modulus(2048), &[3])), Ok(()));
    let mut even = modulus(2048);
    even[256] = 2;
    assert!(judged("PUBLIC KEY", &rsa_key(&even, &[3])).is_err());
}

// M-79
#[test]
fn a_bad_recovery_key_refuses_the_manifest() {
    assert_eq!(
        findings(r#"{"RecoveryKeys":{"k":"x"}}"#),
        error("M-79", "/RecoveryKeys/k", "given PEM data is not a public key")
    );
    assert_eq!(RecoveryKeyError::NotRsa.to_string(), "unsupported type of public key");
}

fn parsed(text: &str) -> ParsedManifest {
    ParsedManifest::parse(text.as_bytes()).unwrap()
}

fn finding(severity: Severity, code: &str, path: &str, message: &str) -> Finding {
    Finding { severity, code: code.into(), path: path.into(), message: message.into(), hint: None }
}

#[test]
fn a_safe_manifest_may_have_warnings_but_no_errors() {
    let known = Known::default();
    let safe = SafeManifest::check(parsed(r#"{"Packages":{"p":{}}}"#), &known).unwrap();
    assert!(safe.manifest().packages.contains_key("p"));
    let refusal = SafeManifest::check(parsed(r#"{"Marbles":{"m":{}}}"#), &known).unwrap_err();
    assert_eq!(refusal.findings[0].code, "M-32");
}

#[test]
fn a_manifest_is_accepted_when_host_and_validators_agree() {
    let known = Known::default();
    let text = format!(r#"{{"Comment":1,{MARBLES}}}"#);
    let warning = finding(Severity::Warning, "corp", "/Packages/p", "no release");
    let accepted = AcceptedManifest::judge(parsed(&text), vec![warning], &known).unwrap();
    let codes: Vec<_> = accepted.warnings().iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["X-9", "corp"]);
    assert_eq!(accepted.marbles.len(), 1);

    let veto = finding(Severity::Error, "corp", "/Packages/p", "no release");
    assert!(AcceptedManifest::judge(parsed(&text), vec![veto], &known).is_err());
    assert!(AcceptedManifest::restore(parsed(&text), &known).is_ok());
}

#[test]
fn what_host_and_validators_both_find_is_reported_once_and_in_order() {
    let text = r#"{"Marbles":{"m":{"Package":"q"}}}"#;
    let validators = vec![
        finding(Severity::Error, "M-32", "/Marbles/m/Package", "manifest does not contain marble package q"),
        finding(Severity::Error, "M-30", "/Packages", "no allowed packages defined"),
    ];
    let refusal = AcceptedManifest::judge(parsed(text), validators, &Known::default()).unwrap_err();
    let codes: Vec<_> = refusal.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["M-30", "M-32"]);
    assert!(AcceptedManifest::restore(parsed(text), &Known::default()).is_err());
}

#[test]
fn a_lax_validator_cannot_soften_what_the_host_refuses() {
    let text = r#"{"Packages":{"p":{}},"Marbles":{"m":{"Package":"p"}}}"#;
    let message = "manifest misses value for SignerID in package p";
    let softened = vec![finding(Severity::Warning, "M-34", "/Packages/p", message)];
    assert!(AcceptedManifest::judge(parsed(text), softened, &Known::default()).is_err());
}
