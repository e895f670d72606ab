//! How much one manifest may ask for, whoever sets it.

use super::*;

/// Severity, code and path of all findings.
fn findings(text: &str) -> Vec<(Severity, String, String)> {
    let manifest = ParsedManifest::parse(text.as_bytes()).unwrap();
    let all = host_findings(&manifest, &Known::default());
    all.into_iter().map(|finding| (finding.severity, finding.code, finding.path)).collect()
}

/// A section with so many entries of one definition.
fn section(name: &str, count: usize, definition: &str) -> String {
    let entries: Vec<_> = (0..count).map(|index| format!(r#""{index}":{{{definition}}}"#)).collect();
    format!(r#""{name}":{{{}}}"#, entries.join(","))
}

// Anybody may set the first manifest: what it makes the coordinator do has limits.
#[test]
fn all_secrets_together_are_bounded_in_number_length_and_work() {
    let many = |count: usize, definition: &str| {
        let found = findings(&format!("{{{}}}", section("Secrets", count, definition)));
        found.into_iter().map(|(_, code, path)| (code, path)).collect::<Vec<_>>()
    };
    let refused = |code: &str| vec![(code.to_owned(), "/Secrets".to_owned())];
    let limits = [
        (16, r#""Type":"symmetric-key","Size":8388608,"Shared":true"#, "S-10"),
        (256, r#""Type":"cert-rsa","Size":2048"#, "S-11"),
        (4, r#""Type":"cert-rsa","Size":8192,"Shared":true"#, "S-11"),
        (50_000, r#""Type":"plain","UserDefined":true"#, "M-78"),
    ];
    for (count, definition, code) in limits {
        assert_eq!(many(count, definition), [], "{count} times {definition}");
        assert_eq!(many(count + 1, definition), refused(code), "{count} and one times {definition}");
    }
    // What is not made counts only as one more.
    assert_eq!(many(300, r#""Type":"cert-rsa","Size":8192,"UserDefined":true"#), []);
    assert_eq!(many(20, r#""Type":"symmetric-key","Size":65280"#), []);
}

#[test]
fn what_is_found_is_bounded_and_warnings_never_hide_an_error() {
    let errors = findings(&format!("{{{}}}", section("Secrets", MAX_FINDINGS + 1, "")));
    assert_eq!(errors.len(), MAX_FINDINGS);
    // Packages that no Marble uses are warnings, and they are judged before secrets.
    let packages = section("Packages", MAX_FINDINGS + 1, "");
    let both = findings(&format!("{{{packages},{}}}", section("Secrets", 1, "")));
    assert_eq!(both.len(), MAX_FINDINGS + 1);
    assert!(both.contains(&(Severity::Error, "M-70".to_owned(), "/Secrets/0/Type".to_owned())));
}

fn refusals(text: &str) -> Vec<Finding> {
    let manifest = ParsedManifest::parse(text.as_bytes()).unwrap();
    let all = host_findings(&manifest, &Known::default());
    all.into_iter().filter(|finding| finding.path == "/Users" || finding.path == "/Roles").collect()
}

// X-17
#[test]
fn users_and_roles_are_bounded_in_number() {
    for (name, definition) in [("Users", ""), ("Roles", "")] {
        assert_eq!(refusals(&format!("{{{}}}", section(name, users::MAX_USERS, definition))), []);
        let found = refusals(&format!("{{{}}}", section(name, users::MAX_USERS + 1, definition)));
        assert!(found.len() == 1 && found[0].code == "X-17" && found[0].message.contains(name), "{found:?}");
    }
}

// X-17, L-40
#[test]
fn recovery_keys_are_bounded_in_number() {
    let found = |count: usize| {
        let keys: Vec<_> = (0..count).map(|index| format!(r#""{index}":"x""#)).collect();
        let text = format!(r#"{{"RecoveryKeys":{{{}}}}}"#, keys.join(","));
        let manifest = ParsedManifest::parse(text.as_bytes()).unwrap();
        let found = host_findings(&manifest, &Known::default());
        found.into_iter().map(|found| (found.code, found.path, found.message)).collect::<Vec<_>>()
    };
    // Each is no key, which says that it was looked at.
    let fits = found(255);
    assert!(fits.len() == 255 && fits.iter().all(|found| found.0 == "M-79"), "{fits:?}");
    let text = "256 recovery keys are too many: at most 255 are allowed";
    assert_eq!(found(256), [("X-17".to_owned(), "/RecoveryKeys".to_owned(), text.to_owned())]);
}

// R-60: a line that could not be written would stop every update
#[test]
fn those_who_may_update_the_manifest_fit_into_one_line_of_the_log() {
    // A name has 4096 bytes at most: with fourteen of them there is room for one more.
    let long: Vec<String> =
        (0..14_u8).map(|index| char::from(b'c' + index).to_string().repeat(4096)).collect();
    let others: String = long.iter().map(|name| format!(r#""{name}":{{"Roles":["up"]}},"#)).collect();
    let manifest = |name: &str, kind: &str| {
        format!(
            r#"{{"Users":{{"a":{{"Roles":["up","x"]}},{others}"{name}":{{"Roles":["up"]}},"none":{{}}}},
            "Roles":{{"up":{{"ResourceType":"{kind}","Actions":["x","updatemanifest"]}},"x":{{}}}}}}"#
        )
    };
    // Quotes and a comma each; `a` is one, too.
    let fits = users::MAX_UPDATERS_BYTES - 14 * (4096 + 3) - 4 - 3;
    assert_eq!(refusals(&manifest(&"b".repeat(fits), "Manifest")), []);
    let found = refusals(&manifest(&"b".repeat(fits + 1), "Manifest"));
    let (code, message) = (found[0].code.as_str(), found[0].message.as_str());
    assert_eq!((found.len(), code), (1, "R-60"), "{found:?}");
    assert!(message.contains("the 16 users") && message.contains("ccc..., "), "{message}");
    // As JSON a control character takes six bytes.
    assert_eq!(refusals(&manifest(&"\\u0001".repeat(fits / 6), "Manifest")), []);
    assert_eq!(refusals(&manifest(&"\\u0001".repeat(fits / 6 + 1), "Manifest")).len(), 1);
    assert_eq!(refusals(&manifest(&"b".repeat(fits + 1), "Packages")), []);
}
