//! Full updates and package updates on the real binary, in both versions of the API (R-55..R-57, M-100..M-112, L-60, L-61).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, BOTH, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::manifests;
use carrara_tests::users::{RecoveryKey, User};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Alice may update the manifest, Bob the packages `signed` and `pkg`, Carol nothing.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    manifest: Value,
    alice: User,
    bob: User,
    carol: User,
}

impl Stage {
    fn new(folder: &std::path::Path) -> Self {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| User::new(folder, name));
        let users = [("alice", &alice), ("bob", &bob), ("carol", &carol)];
        let mut manifest = manifests::with_updaters(&users, 1, 0);
        let actions = ["UpdateSecurityVersion"];
        manifests::grant(&mut manifest, "bob", "packager", "Packages", &["signed", "pkg"], &actions);
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, manifest, alice, bob, carol }
    }

    fn refused(&self, version: Version, user: &User, manifest: &Value, text: &str) {
        let answer = api::update(&self.coordinator, version, user, manifest);
        assert_eq!((answer.status, answer.message().as_str()), (version.failure(), text), "{manifest}");
        assert_eq!(answer.json()["status"], "error");
    }
}

fn fingerprint(manifest: &Value) -> String {
    hex::encode(Sha256::digest(manifest.to_string()))
}

// R-56, M-110, M-112, R-32, R-55, R-60, L-52
#[test]
fn one_user_updates_the_manifest_alone_and_everybody_sees_the_new_one() {
    for version in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let Stage { coordinator, manifest, alice, .. } = Stage::new(folder.path());
        let mut proposed = manifest.clone();
        proposed["Marbles"]["second"] = proposed["Marbles"]["svc"].clone();
        proposed["Packages"]["signed"]["SecurityVersion"] = json!(1);
        let answer = api::update(&coordinator, version, &alice, &proposed);
        assert_eq!(answer.status, 200, "{}", answer.body);
        match version {
            Version::V1 => assert_eq!(answer.data(), Value::Null),
            Version::V2 => {
                // Of the debug package.
                assert!(!answer.data()["warnings"].as_array().unwrap().is_empty());
                let mut data = answer.data();
                data.as_object_mut().unwrap().remove("warnings");
                assert_eq!(data, json!({ "missingAcknowledgments": 0, "missingUsers": null }));
            }
        }

        let (bytes, hash) = api::manifest(&coordinator);
        assert_eq!((bytes, &hash), (proposed.to_string(), &fingerprint(&proposed)));
        let data = api::get(&coordinator, "/manifest").data();
        let signature = STANDARD.decode(data["ManifestSignatureRootECDSA"].as_str().unwrap()).unwrap();
        carrara_tests::openssl::verify_with_root(&coordinator, &signature, proposed.to_string().as_bytes());

        let lines = api::log_lines(&coordinator);
        let fields: Vec<&str> = lines.iter().map(|line| line.split_once(',').unwrap().1).collect();
        let initiated = "Complete Manifest update initiated by user. No further acknowledgements required";
        assert_eq!(
            fields,
            [
                r#""update":"Initial manifest set"}"#.to_owned(),
                format!(r#""update":"{initiated}","user":"alice","manifestFingerprint":"{hash}"}}"#),
                format!(r#""update":"Complete Manifest updated","manifestFingerprint":"{hash}"}}"#),
            ]
        );
        let text = api::get(&coordinator, "/update").data();
        assert_eq!(text, json!(lines.iter().map(|line| format!("{line}\n")).collect::<String>()), "R-55");
    }
}

// R-54, R-56, M-100, M-110, rest-api.md section 4
#[test]
fn only_those_who_may_update_do() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let stranger = User::new(folder.path(), "stranger");
    let packages = json!({ "Packages": { "signed": { "SecurityVersion": 3 } } });
    let unauthorized = "unauthorized user: client certificate did not match any MarbleRun users";
    for version in BOTH {
        for user in [&stage.bob, &stage.carol] {
            let name = if user.certificate == stage.bob.certificate { "bob" } else { "carol" };
            let text = format!("user {name} is not allowed to update the complete manifest");
            stage.refused(version, user, &stage.manifest, &text);
        }
        for (name, user) in [("alice", &stage.alice), ("carol", &stage.carol)] {
            let text = format!("user {name} is not allowed to update one or more packages of [signed]");
            stage.refused(version, user, &packages, &text);
        }
        for body in [version.manifest(&stage.manifest.to_string()), "nonsense".to_owned()] {
            let path = version.path("/update");
            let answers = [
                api::post(&stage.coordinator, &path, &body),
                api::post_as(&stage.coordinator, &stranger, &path, &body),
            ];
            for answer in answers {
                assert_eq!((answer.status, answer.message().as_str()), (401, unauthorized));
                assert_eq!(answer.json()["status"], version.refusal());
            }
        }
    }
    assert_eq!(api::log(&stage.coordinator).len(), 1, "nothing was changed");
    assert_eq!(api::manifest(&stage.coordinator).1, fingerprint(&stage.manifest));
}

// R-24, R-56, M-6, manifest.md section 7
#[test]
fn an_unreadable_update_is_refused_in_the_words_of_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let v1 = api::post_as(&stage.coordinator, &stage.alice, "/update", "{");
    let text = "unmarshaling update manifest: unexpected end of JSON input";
    assert_eq!((v1.status, v1.message().starts_with(text)), (400, true), "{}", v1.body);
    for body in ["", "{", "[]", r#"{"manifest":"***"}"#, r#"{"manifest":7}"#] {
        let v2 = api::post_as(&stage.coordinator, &stage.alice, "/api/v2/update", body);
        assert_eq!((v2.status, v2.json()["status"].clone()), (400, json!("fail")), "{body}: {}", v2.body);
    }
    let inner = Version::V2.manifest("{");
    let v2 = api::post_as(&stage.coordinator, &stage.alice, "/api/v2/update", inner);
    assert_eq!((v2.status, v2.json()["status"].clone()), (500, json!("error")), "{}", v2.body);
    assert!(v2.message().contains("unexpected end of JSON input"), "{}", v2.body);
    let encoded = STANDARD.encode(stage.manifest.to_string());
    let lenient = format!("{{\"MANIFEST\":\"{encoded}\",\"unknown\":1}} and more");
    assert_eq!(api::post_as(&stage.coordinator, &stage.alice, "/api/v2/update", lenient).status, 200);
}

// M-110, L-50
#[test]
fn an_invalid_full_update_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let mut unknown_package = stage.manifest.clone();
    unknown_package["Marbles"]["svc"]["Package"] = json!("nope");
    let mut no_packages = stage.manifest.clone();
    no_packages["Packages"] = json!({});
    no_packages["Roles"].as_object_mut().unwrap().remove("packager");
    no_packages["Users"]["bob"]["Roles"] = json!([]);
    for version in BOTH {
        let text = "invalid manifest: manifest does not contain marble package nope";
        stage.refused(version, &stage.alice, &unknown_package, text);
        let answer = api::update(&stage.coordinator, version, &stage.alice, &no_packages);
        assert_eq!(answer.status, version.failure());
        let text = "invalid manifest: no allowed packages defined";
        assert!(answer.message().starts_with(text), "{}", answer.body);
    }
    assert_eq!(api::log(&stage.coordinator).len(), 1);
    assert_eq!(api::get(&stage.coordinator, "/update-manifest").status, 404);
}

// M-100, M-101, M-102, M-103, M-104, M-106, X-35
#[test]
fn a_package_update_is_refused_in_the_specified_words() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let denied = "user bob is not allowed to update one or more packages of";
    let unupdatable = "checking update manifest: update manifest contains unupdatable values";
    let no_version = "checking update manifest: update manifest does not specify a SecurityVersion to update";
    let downgrade = "checking update manifest: update manifest tries to downgrade SecurityVersion of the original manifest";
    let package = |value: Value| json!({ "Packages": { "signed": value } });
    let cases = [
        (json!({}), "checking update manifest: no packages defined".to_owned()),
        (json!({ "Packages": { "nope": { "SecurityVersion": 9 } } }), format!("{denied} [nope]")),
        (package(json!({ "SecurityVersion": 3, "Debug": true })), unupdatable.to_owned()),
        (package(json!({ "SecurityVersion": 3, "UniqueID": "ab".repeat(32) })), unupdatable.to_owned()),
        (package(json!({ "SecurityVersion": 3, "SignerID": "ab".repeat(32) })), unupdatable.to_owned()),
        (package(json!({ "SecurityVersion": 3, "ProductID": 1 })), unupdatable.to_owned()),
        (package(json!({})), no_version.to_owned()),
        (package(json!({ "SecurityVersion": 1 })), downgrade.to_owned()),
        // M-106: all or nothing.
        (
            json!({ "Packages": { "pkg": { "SecurityVersion": 9 }, "signed": { "SecurityVersion": 1 } } }),
            downgrade.to_owned(),
        ),
    ];
    for version in BOTH {
        for (manifest, text) in &cases {
            stage.refused(version, &stage.bob, manifest, text);
        }
        let mixed = json!({
            "Packages": { "signed": { "SecurityVersion": 3 } }, "Config": { "UpdateThreshold": 1 },
        });
        for user in [&stage.alice, &stage.bob] {
            let answer = api::update(&stage.coordinator, version, user, &mixed);
            assert_eq!(answer.status, version.failure(), "X-35: {}", answer.body);
            assert!(answer.message().contains("full manifest") || answer.message().contains("not allowed"));
        }
    }
    assert_eq!(api::log(&stage.coordinator).len(), 1, "nothing was changed");
    // Had the refused one raised `pkg`, 1 would be a downgrade.
    let smaller = json!({ "Packages": { "pkg": { "SecurityVersion": 1 } } });
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.bob, &smaller).status, 200);
}

// M-104, M-105, M-106, R-56, R-60
#[test]
fn a_package_update_raises_versions_and_leaves_the_manifest_as_it_was_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let before = api::get(&stage.coordinator, "/manifest").data();
    let both = json!({ "Packages": {
        "signed": { "SecurityVersion": 5, "AcceptedTCBStatuses": ["UpToDate"] },
        "pkg": { "SecurityVersion": 7 },
    } });
    let answer = api::update(&stage.coordinator, Version::V2, &stage.bob, &both);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.data(), json!({ "missingAcknowledgments": 0, "missingUsers": null }));
    let equal = json!({ "Packages": { "signed": { "SecurityVersion": 5 } } });
    let again = api::update(&stage.coordinator, Version::V1, &stage.bob, &equal);
    assert_eq!((again.status, again.data()), (200, Value::Null), "M-104: equal is accepted");

    let mut lines: Vec<Value> = api::log(&stage.coordinator).split_off(1);
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("time").is_some());
    }
    let line = |package: &str, version: u64| json!({ "update": "SecurityVersion increased", "user": "bob", "package": package, "new version": version });
    let (first, last) = lines.split_at(2);
    assert!(first.contains(&line("signed", 5)) && first.contains(&line("pkg", 7)), "{first:?}");
    assert_eq!(last, [line("signed", 5)]);
    assert_eq!(api::get(&stage.coordinator, "/manifest").data(), before, "hash and signature, too");

    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    let downgrade = "checking update manifest: update manifest tries to downgrade SecurityVersion of the original manifest";
    let between = json!({ "Packages": { "signed": { "SecurityVersion": 4 } } });
    stage.refused(Version::V1, &stage.bob, &between, downgrade);
    let between = json!({ "Packages": { "pkg": { "SecurityVersion": 6 } } });
    stage.refused(Version::V1, &stage.bob, &between, downgrade);
    assert_eq!(api::log(&stage.coordinator).len(), 4);
}

// L-61, M-111: the update's own users and roles hold from then on
#[test]
fn an_update_replaces_users_and_roles() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let mut proposed = stage.manifest.clone();
    proposed["Users"].as_object_mut().unwrap().remove("bob");
    proposed["Users"]["carol"]["Roles"] = json!(["updater"]);
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.alice, &proposed).status, 200);
    let packages = json!({ "Packages": { "signed": { "SecurityVersion": 3 } } });
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.bob, &packages).status, 401, "no user");
    proposed["Users"]["carol"]["Roles"] = json!([]);
    let answer = api::update(&stage.coordinator, Version::V2, &stage.carol, &proposed);
    assert_eq!(
        (answer.status, answer.data()["missingAcknowledgments"].clone()),
        (200, json!(1)),
        "{}",
        answer.body
    );
    assert_eq!(answer.data()["missingUsers"], json!(["alice"]), "both must agree now");
}

// R-56, X-30, L-61: new recovery keys bring new recovery secrets, which version 1 could not carry
#[test]
fn changed_recovery_keys_give_new_recovery_secrets_and_only_version_two_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let keys = ["one", "two"].map(|name| RecoveryKey::new(folder.path(), name));
    let mut proposed = stage.manifest.clone();
    proposed["RecoveryKeys"] = json!({ "one": keys[0].public, "two": keys[1].public });
    let v1 = api::update(&stage.coordinator, Version::V1, &stage.alice, &proposed);
    assert_eq!(v1.status, 400);
    assert!(v1.message().contains("/api/v2/update"), "{}", v1.body);
    assert_eq!(api::log(&stage.coordinator).len(), 1, "nothing was changed");

    let v2 = api::update(&stage.coordinator, Version::V2, &stage.alice, &proposed);
    assert_eq!(v2.status, 200, "{}", v2.body);
    for (name, key) in ["one", "two"].iter().zip(&keys) {
        let secret = v2.data()["recoverySecrets"][name].as_str().unwrap().to_owned();
        assert_eq!(key.decrypt(&STANDARD.decode(secret).unwrap()).len(), 32, "{name}");
    }
    proposed["Marbles"]["second"] = proposed["Marbles"]["svc"].clone();
    let unchanged = api::update(&stage.coordinator, Version::V2, &stage.alice, &proposed);
    assert_eq!(unchanged.status, 200, "{}", unchanged.body);
    assert!(unchanged.data().get("recoverySecrets").is_none(), "the keys are as before: {}", unchanged.body);

    // The state opens with its new data key.
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    assert_eq!(api::get(&stage.coordinator, "/status").data()["StatusCode"], 3);
    assert_eq!(api::manifest(&stage.coordinator).1, fingerprint(&proposed));
}

// L-55, S-60: what only the dry run finds
#[test]
fn an_update_that_cannot_take_effect_says_why_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let mut proposed = stage.manifest.clone();
    proposed["Marbles"]["svc"]["Parameters"]["Files"] = json!({ "/x": "{{ raw .Secrets.nope }}" });
    for version in BOTH {
        let answer = api::update(&stage.coordinator, version, &stage.alice, &proposed);
        assert_eq!(answer.status, version.failure());
        assert!(answer.message().contains("in Marble svc: file /x: "), "{}", answer.body);
        assert_eq!(api::manifest(&stage.coordinator).1, fingerprint(&stage.manifest));
        assert_eq!(api::get(&stage.coordinator, "/update-manifest").status, 404);
        let last = api::log(&stage.coordinator).pop().unwrap();
        let text = "Complete Manifest update cancelled due to error during apply";
        assert_eq!(last["update"], text);
        assert_eq!(last["manifestFingerprint"], fingerprint(&proposed));
    }
    let next = api::update(&stage.coordinator, Version::V1, &stage.alice, &stage.manifest);
    assert_eq!(next.status, 200, "the next one is judged afresh: {}", next.body);
}
