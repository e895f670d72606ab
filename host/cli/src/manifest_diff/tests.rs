use super::*;

/// The changes as they are printed, without what is dangerous.
fn lines(old: &Value, new: &Value) -> Vec<String> {
    diff(old, new).iter().map(printed).collect()
}

fn printed(change: &Change) -> String {
    let (first, rest) = super::lines::of(change);
    [vec![first], rest].concat().join("\n")
}

fn dangers(old: &Value, new: &Value) -> Vec<String> {
    let marked = |change: Change| Some(format!("{}  (!) {}", printed(&change), change.danger.as_ref()?));
    diff(old, new).into_iter().filter_map(marked).collect()
}

fn manifest() -> Value {
    json!({
        "Packages": { "svc": { "SignerID": "aa", "ProductID": 7, "SecurityVersion": 2 } },
        "Marbles": { "api": { "Package": "svc", "Parameters": { "Env": { "A": "x" } } } },
        "Secrets": {
            "k": { "Type": "symmetric-key", "Size": 256, "Shared": true },
            "tok": { "Type": "plain", "UserDefined": true },
        },
        "Users": { "ops": { "Certificate": pem_of(1), "Roles": ["w"] } },
        "Roles": { "w": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] } },
        "RecoveryKeys": { "r": pem_of(2) },
    })
}

fn pem_of(byte: u8) -> String {
    pem::encode(&pem::Pem::new("X", vec![byte; 9]))
}

fn with(pointer: &str, value: Value) -> Value {
    let mut changed = manifest();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap()[name] = value;
    changed
}

fn without(pointer: &str) -> Value {
    let mut changed = manifest();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    changed
}

#[test]
fn equal_manifests_have_no_differences_however_they_are_written() {
    assert_eq!(diff(&manifest(), &manifest()), []);
    let mut other = manifest();
    let packages = other.as_object_mut().unwrap().remove("Packages").unwrap();
    other["packages"] = packages;
    other["Marbles"]["api"]["Parameters"]["Env"]["A"] = json!({ "Data": "eA==", "Encoding": "BASE64" });
    other["Users"]["ops"]["Certificate"] = json!(format!("\n{}\n\n", pem_of(1)));
    other["TLS"] = json!({});
    let lines = lines(&manifest(), &other);
    let encoding = r#"+ /Marbles/api/Parameters/Env/A/Encoding: "base64""#;
    assert!(lines.iter().all(|line| line.starts_with("~ /Marbles") || line == encoding), "{lines:?}");
}

#[test]
fn things_are_added_removed_and_changed_by_section() {
    let mut new = manifest();
    new["Packages"]["svc"]["SecurityVersion"] = json!(3);
    new["Secrets"].as_object_mut().unwrap().remove("k");
    new["Users"]["bob"] = json!({ "Certificate": "no PEM", "Roles": [] });
    new["Roles"]["w"]["Actions"] = json!(["updatemanifest", "ReadAudit"]);
    let expected = [
        "~ /Packages/svc/SecurityVersion: 2 -> 3",
        "+ /Users/bob\nCertificate: \"no PEM\"",
        r#"- /Roles/w/Actions: "UpdateManifest""#,
        r#"+ /Roles/w/Actions: "updatemanifest""#,
        r#"+ /Roles/w/Actions: "ReadAudit""#,
        "- /Secrets/k\nShared: true\nSize: 256\nType: \"symmetric-key\"",
        r#"= /Users/ops: "may ReadAudit""#,
    ];
    assert_eq!(lines(&manifest(), &new), expected);
}

#[test]
fn users_and_recovery_keys_are_shown_by_fingerprint() {
    let hash = |byte: u8| hex::encode(Sha256::digest([byte; 9]));
    let changed = with("/Users/ops/Certificate", json!(pem_of(3)));
    let line = diff(&manifest(), &changed).remove(0);
    assert_eq!(line.new, Some(json!(format!("SHA-256 {}", hash(3)))));
    let text = printed(&line);
    assert!(text.contains(&hash(1)) && text.contains(&hash(3)), "{text}");
    let line = diff(&manifest(), &without("/RecoveryKeys/r")).remove(0);
    assert_eq!(line.old, Some(json!(format!("SHA-256 {}", hash(2)))));
}

#[test]
fn a_long_text_is_shown_by_its_beginning_its_first_difference_its_end_and_its_length() {
    let settings = |middle: &str| format!("start{}{middle}{}end", "a".repeat(500), "b".repeat(500));
    let component = format!("sha256:{}", "ab".repeat(32));
    let text = |middle: &str| json!({ "p": { "World": "marble-admission", "Component": component, "Settings": settings(middle) } });
    let (old, new) = (with("/Policies", text("X")), with("/Policies", text("Y")));
    let line = &lines(&old, &new)[0];
    for part in [
        "\n- \"starta",
        "\n+ \"starta",
        "aXb",
        "aYb",
        "bend\" (1011 characters; see --output json)",
        " characters ...]a",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(line.len() < 800, "{line}");
    let added = &lines(&manifest(), &new)[0];
    assert!(added.contains("Settings: \"starta") && added.contains("bend\" (1011"), "{added}");
}

#[test]
fn what_a_marble_is_started_with_is_shown_whole_and_padding_hides_nothing() {
    let command = format!("true{}; evil{}; worse", " ".repeat(3000), "\u{a0}".repeat(2));
    let path = "/Marbles/api/Parameters/Argv";
    let shown = r#""true[3000 spaces]; evil\u{a0}\u{a0}; worse""#;
    for (old, new) in [
        (manifest(), with(path, json!(["sh", "-c", command]))),
        (with(path, json!(["sh"])), with(path, json!(["sh", "-c", command]))),
    ] {
        let text = lines(&old, &new).join("\n");
        assert!(text.contains(shown), "{text}");
    }
    let long = "x".repeat(5000);
    let marble = json!({ "Package": "svc", "Parameters": { "Argv": ["run", &long], "Env": { "B": &long }, "Files": { "/f": &long } } });
    let text = lines(&manifest(), &with("/Marbles/new", marble)).join("\n");
    assert_eq!(text.matches(&long).count(), 3, "{text}");
    assert!(
        text.starts_with(
            "+ /Marbles/new\nPackage: \"svc\"\nParameters/Argv/0: \"run\"\nParameters/Argv/1: \"xxx"
        ),
        "{text}"
    );
    let few = lines(&manifest(), &with("/Marbles/api/Parameters/Env/A", json!("a  b   c")));
    assert!(few[0].contains("a  b   c"), "{few:?}");
}

#[test]
fn added_users_show_their_roles() {
    let new = with("/Users/bob", json!({ "Certificate": pem_of(7), "Roles": ["w"] }));
    let hash = hex::encode(Sha256::digest([7; 9]));
    let expected = format!("+ /Users/bob\nCertificate: \"SHA-256 {hash}\"\nRoles: [\"w\"]");
    assert_eq!(lines(&manifest(), &new)[0], expected);
}

fn reader() -> Value {
    let mut manifest = manifest();
    manifest["Roles"]["r"] =
        json!({ "ResourceType": "Secrets", "ResourceNames": ["tok"], "Actions": ["ReadSecret"] });
    manifest
}

#[test]
fn whoever_gains_a_right_is_marked() {
    let mut cases = vec![
        (manifest(), reader(), "who has this role may ReadSecret of Secrets tok"),
        (
            manifest(),
            with("/Users/bob", json!({ "Certificate": "x" })),
            "a new user, who may do nothing so far",
        ),
    ];
    let mut case = |change: fn(&mut Value), expected: &'static str| {
        let mut new = reader();
        change(&mut new);
        cases.push((reader(), new, expected));
    };
    case(|new| new["Users"]["ops"]["Roles"] = json!(["w", "r"]), "this user may ReadSecret of Secrets tok");
    case(|new| new["Roles"]["r"]["ResourceNames"] = json!(["tok", "k"]), "may ReadSecret of Secrets k");
    case(
        |new| new["Roles"]["r"]["Actions"] = json!(["ReadSecret", "WriteSecret"]),
        "may WriteSecret of Secrets tok",
    );
    case(
        |new| new["Roles"]["w"]["Actions"] = json!(["UpdateManifest", "ReadAudit"]),
        "may ReadAudit of Manifest",
    );
    case(
        |new| {
            new["Roles"]["p"] = json!({ "ResourceType": "Packages", "ResourceNames": ["svc"], "Actions": ["UpdateSecurityVersion"] });
        },
        "may UpdateSecurityVersion of Packages svc",
    );
    case(
        |new| new["Users"]["bob"] = json!({ "Certificate": "x", "Roles": ["r", "w"] }),
        "a new user: whoever holds the certificate's key may ReadSecret of Secrets tok; may UpdateManifest of Manifest",
    );
    for (old, new, expected) in cases {
        let found = dangers(&old, &new);
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:?}");
    }
    assert_eq!(dangers(&reader(), &manifest()), Vec::<String>::new(), "a loss is not marked");
}

#[test]
fn what_may_harm_is_marked() {
    let cases = [
        (with("/Packages/svc/SecurityVersion", json!(1)), "older versions"),
        (without("/Packages/svc/SecurityVersion"), "older versions"),
        (with("/Packages/svc/Debug", json!(true)), "debug enclave"),
        (with("/Packages/dev", json!({ "Debug": true })), "debug enclave"),
        (with("/Packages/svc/SignerID", json!("bb")), "another signer"),
        (without("/Packages/svc/SignerID"), "not compared"),
        (with("/Packages/svc/AcceptedTCBStatuses", json!(["OutOfDate"])), "known weaknesses"),
        (with("/Users/bob", json!({ "Certificate": "x", "Roles": ["w"] })), "every later manifest"),
        (with("/Roles/w/Actions", json!([])), "last update"),
        (with("/Users/ops/Certificate", json!(pem_of(9))), "is this user now"),
        (without("/RecoveryKeys/r"), "must be kept"),
        (with("/RecoveryKeys/s", json!(pem_of(9))), "must be kept"),
        (without("/Secrets/tok"), "uploaded value is deleted"),
        (with("/Secrets/k/Size", json!(128)), "makes a new value"),
        (with("/Secrets/tok/Type", json!("symmetric-key")), "until a user uploads"),
        (with("/Config", json!({ "UpdateThreshold": 1 })), "fewer users"),
        (with("/Config", json!({ "RecoveryThreshold": 2 })), "fewer recovery keys"),
        (with("/Config", json!({ "RotateRootSecret": true })), "new root secret"),
        (with("/Config", json!({ "SealMode": "Disabled" })), "restart loses all"),
        (with("/Config", json!({ "SealMode": "UniqueKey" })), "needs a recovery"),
        (with("/Config", json!({ "SealMode": "ProductKey" })), "same signer"),
        (with("/Policies", json!({ "p": {} })), "policies decide"),
        (
            with(
                "/TLS",
                json!({ "t": { "Incoming": [{ "Port": "1", "DisableClientAuth": true, "Cert": "k" }] } }),
            ),
            "not authenticated",
        ),
    ];
    for (new, expected) in cases {
        let found = dangers(&manifest(), &new);
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn what_does_not_harm_is_not_marked() {
    let harmless = [
        with("/Packages/svc/SecurityVersion", json!(3)),
        with("/Packages/new", json!({ "UniqueID": "aa" })),
        with("/Marbles/two", json!({ "Package": "svc" })),
        with("/Secrets/new", json!({ "Type": "plain", "UserDefined": true })),
        with("/Roles/none", json!({ "ResourceType": "Secrets", "ResourceNames": ["tok"], "Actions": [] })),
    ];
    for new in harmless {
        assert_eq!(dangers(&manifest(), &new), Vec::<String>::new());
    }
    let raised = |threshold: u64| with("/Config", json!({ "UpdateThreshold": threshold }));
    assert_eq!(dangers(&raised(1), &raised(2)), Vec::<String>::new());
    assert_eq!(dangers(&raised(1), &raised(0)), Vec::<String>::new());
}

// S-42: it happens with every full update
#[test]
fn a_rotation_that_was_there_before_is_told_too() {
    let rotating = with("/Config", json!({ "RotateRootSecret": true }));
    assert_eq!(dangers(&rotating, &rotating).len(), 1);
    let packages = json!({ "Packages": { "svc": { "SecurityVersion": 3 } } });
    assert!(dangers(&rotating, &packages).is_empty(), "not with a package update");
}

// M-106
#[test]
fn a_package_update_is_compared_as_what_the_manifest_becomes() {
    let update = json!({ "Packages": { "svc": { "SecurityVersion": 1 } } });
    assert_eq!(lines(&manifest(), &update), ["~ /Packages/svc/SecurityVersion: 2 -> 1"]);
    assert_eq!(dangers(&manifest(), &update).len(), 1);
    let unknown = json!({ "Packages": { "new": { "SecurityVersion": 1 } } });
    assert_eq!(lines(&manifest(), &unknown), ["+ /Packages/new\nSecurityVersion: 1"]);
}

#[test]
fn what_is_no_manifest_is_compared_as_it_stands() {
    let (old, new) = (json!({ "Packages": 1 }), json!({ "Packages": 2 }));
    assert_eq!(lines(&old, &new), ["~ /Packages: 1 -> 2"]);
}

#[test]
fn what_lets_more_virtual_machines_in_is_marked() {
    let machine = |tdx: &Value, snp: &Value| with("/Packages/vm", json!({ "TDX": tdx, "SNP": snp }));
    let (tdx, snp) = (
        json!({ "MRTD": "ab".repeat(48), "RTMR1": "cd".repeat(48) }),
        json!({
            "Measurement": "ef".repeat(48), "GuestSVN": 3, "TCB": { "SNP": 9 },
        }),
    );
    let old = machine(&tdx, &snp);
    let danger = |tdx: &Value, snp: &Value| -> Vec<String> {
        diff(&old, &machine(tdx, snp)).into_iter().filter_map(|change| change.danger).collect()
    };
    let less = json!({ "MRTD": "ab".repeat(48) });
    assert_eq!(
        danger(&less, &snp),
        ["it is not compared any more: more virtual machines match this package"]
    );
    let older = json!({ "Measurement": "ef".repeat(48), "GuestSVN": 2, "TCB": { "SNP": 8 } });
    assert_eq!(danger(&tdx, &older), [danger::OLDER, danger::OLDER]);
    let newer = json!({ "Measurement": "ef".repeat(48), "GuestSVN": 4, "TCB": { "SNP": 10 } });
    assert_eq!(danger(&tdx, &newer), [""; 0]);
    let lower = json!({ "Measurement": "ef".repeat(48), "GuestSVN": 3, "VMPL": 1, "TCB": { "SNP": 9 } });
    assert_eq!(danger(&tdx, &lower), ["less privileged software of the same guest may be activated"]);
    let only_sgx = with("/Packages/vm", json!({ "UniqueID": "aa" }));
    let both = with("/Packages/vm", json!({ "UniqueID": "aa", "TDX": tdx }));
    let found: Vec<String> = diff(&only_sgx, &both).into_iter().filter_map(|change| change.danger).collect();
    assert_eq!(found, ["virtual machines match this package, too"]);
}
