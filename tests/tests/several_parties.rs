//! Full updates that several users must agree to, on the real binary (R-57..R-59, R-60a, L-50..L-56, X-30).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, BOTH, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::manifests;
use carrara_tests::users::{RecoveryKey, User};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PENDING: &str =
    "update already in progress. Acknowledge the update to apply it, or cancel it to start a new one";
const DIFFERENT: &str = "provided manifest does not match the pending manifest";

/// Alice, Bob and Carol may update the manifest, two of them must agree; Dave may not.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    manifest: Value,
    /// A manifest with one more Marble type.
    proposed: Value,
    alice: User,
    bob: User,
    carol: User,
    dave: User,
}

impl Stage {
    fn new(folder: &std::path::Path, threshold: u64) -> Self {
        let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| User::new(folder, name));
        let users = [("alice", &alice), ("bob", &bob), ("carol", &carol), ("dave", &dave)];
        let mut manifest = manifests::with_updaters(&users, 3, threshold);
        manifests::grant(
            &mut manifest,
            "dave",
            "packager",
            "Packages",
            &["signed"],
            &["UpdateSecurityVersion"],
        );
        let mut proposed = manifest.clone();
        proposed["Marbles"]["second"] = proposed["Marbles"]["svc"].clone();
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, manifest, proposed, alice, bob, carol, dave }
    }

    /// Alice starts an update that waits.
    fn begin(&self, proposed: &Value) {
        let answer = api::update(&self.coordinator, Version::V2, &self.alice, proposed);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.data()["missingAcknowledgments"].as_u64().unwrap() > 0, "{}", answer.body);
    }

    fn in_force(&self) -> String {
        api::manifest(&self.coordinator).0
    }
}

fn fingerprint(manifest: &Value) -> String {
    hex::encode(Sha256::digest(manifest.to_string()))
}

// R-56, R-58, R-59, R-60, L-51, L-53, L-54
#[test]
fn of_three_users_two_must_agree() {
    for version in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(folder.path(), 2);
        let Stage { coordinator, manifest, proposed, .. } = &stage;
        let started = api::update(coordinator, Version::V2, &stage.alice, proposed);
        assert_eq!(started.data()["missingAcknowledgments"], 1, "{}", started.body);
        assert_eq!(sorted(&started.data()["missingUsers"]), ["bob", "carol"], "L-54");
        assert_eq!(stage.in_force(), manifest.to_string(), "nothing changed yet");

        let pending = api::get(coordinator, &version.path("/update-manifest"));
        assert_eq!(pending.status, 200, "{}", pending.body);
        let data = pending.data();
        assert_eq!(data["manifest"], STANDARD.encode(proposed.to_string()));
        assert_eq!(data["message"], "1 user still needs to acknowledge the update manifest");
        assert_eq!(sorted(&data["missingUsers"]), ["bob", "carol"]);

        let done = api::acknowledge(coordinator, version, &stage.carol, proposed);
        assert_eq!(done.status, 200, "{}", done.body);
        let text = "All users have acknowledged the update manifest. Update successfully applied";
        match version {
            Version::V1 => assert_eq!(done.data(), json!(text)),
            Version::V2 => {
                assert_eq!(done.data()["message"], text);
                assert_eq!(done.data()["missingAcknowledgments"], 0);
                assert_eq!(done.data()["missingUsers"], Value::Null, "L-54");
            }
        }
        assert_eq!(stage.in_force(), proposed.to_string());
        let late = api::acknowledge(coordinator, version, &stage.bob, proposed);
        assert_eq!((late.status, late.message().as_str()), (404, "no update in progress"), "L-53");
        assert_eq!(api::get(coordinator, &version.path("/update-manifest")).status, 404);
        check_log(coordinator, &fingerprint(proposed));
    }
}

fn sorted(names: &Value) -> Vec<String> {
    let names = names.as_array().unwrap_or_else(|| panic!("no list: {names}")).iter();
    let mut names: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

/// R-60: the fields and their order.
fn check_log(coordinator: &Coordinator, hash: &str) {
    let lines = api::log_lines(coordinator);
    let fields: Vec<&str> = lines.iter().map(|line| line.split_once(',').unwrap().1).collect();
    let waiting =
        "Complete Manifest update initiated by user. Waiting for acknowledgments to apply the update";
    let end = format!(r#""manifestFingerprint":"{hash}"}}"#);
    let expected = [
        r#""update":"Initial manifest set"}"#.to_owned(),
        format!(
            r#""update":"{waiting}","user":"alice","missingAcknowledgments":1,"missingUsers":["bob","carol"],{end}"#
        ),
        String::new(),
        format!(r#""update":"Complete Manifest updated",{end}"#),
    ];
    assert_eq!(fields.len(), expected.len(), "{lines:?}");
    for (index, expected) in expected.iter().enumerate().filter(|(_, expected)| !expected.is_empty()) {
        assert_eq!(fields[index], expected);
    }
    let start = r#""update":"Complete Manifest update acknowledged by user","user":"carol","missingAcknowledgments":0,"missingUsers":"#;
    assert!(fields[2].starts_with(start) && fields[2].ends_with(&end), "{}", fields[2]);
}

// L-51, R-58, R-59: a threshold of 0 means all
#[test]
fn with_a_threshold_of_zero_everybody_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 0);
    let Stage { coordinator, proposed, .. } = &stage;
    stage.begin(proposed);
    let data = api::get(coordinator, "/update-manifest").data();
    assert_eq!(data["message"], "2 users still need to acknowledge the update manifest");
    let first = api::acknowledge(coordinator, Version::V2, &stage.bob, proposed);
    let text = "1 user still needs to acknowledge the update manifest.\nThe following users have not yet accepted: carol";
    assert_eq!(first.data()["message"], text, "{}", first.body);
    assert_eq!(first.data()["missingAcknowledgments"], 1);
    assert_eq!(first.data()["missingUsers"], json!(["carol"]));
    // Once more changes nothing; neither does the one who began it.
    for (version, user) in [(Version::V1, &stage.bob), (Version::V1, &stage.alice)] {
        let again = api::acknowledge(coordinator, version, user, proposed);
        let text = "1 user still needs to acknowledge the update manifest";
        assert_eq!((again.status, again.data()), (200, json!(text)), "{}", again.body);
    }
    let last = api::acknowledge(coordinator, Version::V1, &stage.carol, proposed);
    assert!(last.data().as_str().unwrap().starts_with("All"), "{}", last.body);
    assert_eq!(stage.in_force(), proposed.to_string());
}

// R-57, L-56: of both kinds, by everybody, until it is cancelled
#[test]
fn while_an_update_is_pending_no_other_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 2);
    stage.begin(&stage.proposed);
    let packages = json!({ "Packages": { "signed": { "SecurityVersion": 3 } } });
    for version in BOTH {
        for (user, manifest) in
            [(&stage.bob, &stage.manifest), (&stage.alice, &stage.proposed), (&stage.dave, &packages)]
        {
            let answer = api::update(&stage.coordinator, version, user, manifest);
            assert_eq!((answer.status, answer.message().as_str()), (version.failure(), PENDING));
        }
    }
    let unreadable = api::post_as(&stage.coordinator, &stage.alice, "/update", "{");
    assert!(unreadable.message().starts_with("unmarshaling update manifest: "), "L-50: {}", unreadable.body);
    assert_eq!(api::cancel(&stage.coordinator, Version::V2, &stage.bob).status, 200);
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.dave, &packages).status, 200);
}

// L-53, R-54, R-59: whose word counts, and for which bytes
#[test]
fn an_acknowledgement_needs_the_right_user_and_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 2);
    let stranger = User::new(folder.path(), "stranger");
    let Stage { coordinator, proposed, .. } = &stage;
    let early = api::acknowledge(coordinator, Version::V2, &stage.bob, proposed);
    assert_eq!((early.status, early.message().as_str()), (404, "no update in progress"));
    stage.begin(proposed);
    for version in BOTH {
        let path = version.path("/update-manifest");
        for text in
            [format!("{proposed} "), proposed.to_string().replace("second", "secons"), "{}".to_owned()]
        {
            let answer = api::post_as(coordinator, &stage.bob, &path, version.manifest(&text));
            assert_eq!((answer.status, answer.message().as_str()), (500, DIFFERENT), "{text}");
        }
        let dave = api::acknowledge(coordinator, version, &stage.dave, proposed);
        let text = "user dave is not allowed to acknowledge manifest updates";
        assert_eq!((dave.status, dave.message().as_str()), (500, text));
        let nobody = [
            api::post(coordinator, &path, version.manifest(&proposed.to_string())),
            api::acknowledge(coordinator, version, &stranger, proposed),
        ];
        for answer in nobody {
            assert_eq!((answer.status, answer.json()["status"].as_str()), (401, Some(version.refusal())));
        }
    }
    let body = api::post_as(coordinator, &stage.bob, "/api/v2/update-manifest", "{");
    assert_eq!((body.status, body.json()["status"].as_str()), (400, Some("fail")));
    assert_eq!(stage.in_force(), stage.manifest.to_string());
    assert_eq!(api::log(coordinator).len(), 2, "none of these left a line");
    assert_eq!(api::acknowledge(coordinator, Version::V1, &stage.bob, proposed).status, 200);
    assert_eq!(stage.in_force(), proposed.to_string());
}

// R-60a, L-56: permission before existence
#[test]
fn who_may_update_may_cancel_and_nobody_else_learns_whether_there_is_anything() {
    for version in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(folder.path(), 2);
        let coordinator = &stage.coordinator;
        let none = api::cancel(coordinator, version, &stage.carol);
        assert_eq!((none.status, none.message().as_str()), (404, "no update in progress"));
        let before = api::cancel(coordinator, version, &stage.dave);
        stage.begin(&stage.proposed);
        let after = api::cancel(coordinator, version, &stage.dave);
        assert_eq!((before.status, after.status), (500, 500), "{}", before.body);
        assert_eq!(before.message(), after.message());
        assert!(after.message().starts_with("user dave is not allowed to "), "{}", after.body);
        assert_eq!(api::post(coordinator, &version.path("/update-cancel"), "").status, 401);
        assert_eq!(api::get(coordinator, "/update-manifest").status, 200, "still there");

        let done = api::cancel(coordinator, version, &stage.carol);
        let text = json!("Update successfully cancelled");
        let expected = if version == Version::V1 { text } else { json!({ "message": text }) };
        assert_eq!((done.status, done.data()), (200, expected));
        assert_eq!(api::get(coordinator, &version.path("/update-manifest")).status, 404);
        let last = api::log_lines(coordinator).pop().unwrap();
        let hash = fingerprint(&stage.proposed);
        let update = "Complete Manifest update cancelled by user";
        let end = format!(r#""update":"{update}","user":"carol","manifestFingerprint":"{hash}"}}"#);
        assert!(last.ends_with(&end), "{last}");
        assert_eq!(stage.in_force(), stage.manifest.to_string());
    }
}

// L-51, M-111: who counts was decided when the update began
#[test]
fn a_user_whom_the_update_removes_still_counts_and_one_whom_it_adds_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 2);
    let mut proposed = stage.manifest.clone();
    proposed["Users"].as_object_mut().unwrap().remove("bob");
    proposed["Users"]["dave"]["Roles"] = json!(["updater"]);
    proposed["Config"]["UpdateThreshold"] = json!(1);
    stage.begin(&proposed);
    let dave = api::acknowledge(&stage.coordinator, Version::V1, &stage.dave, &proposed);
    assert_eq!(dave.message(), "user dave is not allowed to acknowledge manifest updates");
    let bob = api::acknowledge(&stage.coordinator, Version::V1, &stage.bob, &proposed);
    assert_eq!(bob.status, 200, "{}", bob.body);
    assert_eq!(stage.in_force(), proposed.to_string());
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.bob, &proposed).status, 401);
    assert_eq!(api::update(&stage.coordinator, Version::V2, &stage.dave, &stage.manifest).status, 200);
}

// L-51, X-25: a pending update and who has agreed outlast the process
#[test]
fn a_pending_update_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path(), 0);
    stage.begin(&stage.proposed);
    assert_eq!(api::acknowledge(&stage.coordinator, Version::V1, &stage.bob, &stage.proposed).status, 200);
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    let data = api::get(&stage.coordinator, "/api/v2/update-manifest").data();
    assert_eq!(data["missingUsers"], json!(["carol"]));
    let last = api::acknowledge(&stage.coordinator, Version::V2, &stage.carol, &stage.proposed);
    assert_eq!(last.data()["missingAcknowledgments"], 0, "{}", last.body);
    assert_eq!(stage.in_force(), stage.proposed.to_string());
}

// L-55: the last acknowledgement tells why; then nothing is pending, and nothing has changed
#[test]
fn an_update_that_fails_when_it_is_applied_is_gone_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 2);
    let mut proposed = stage.proposed.clone();
    proposed["Marbles"]["second"]["Parameters"]["Files"] = json!({ "/x": "{{ raw .Secrets.nope }}" });
    let started = api::update(&stage.coordinator, Version::V2, &stage.alice, &proposed);
    assert_eq!(started.status, 200, "the dry run is the apply's: {}", started.body);
    let answer = api::acknowledge(&stage.coordinator, Version::V2, &stage.bob, &proposed);
    assert_eq!(answer.status, 500);
    assert!(answer.message().contains("in Marble second: file /x: "), "{}", answer.body);
    assert_eq!(api::get(&stage.coordinator, "/update-manifest").status, 404);
    assert_eq!(stage.in_force(), stage.manifest.to_string());
    let last = api::log(&stage.coordinator).pop().unwrap();
    assert_eq!(last["update"], "Complete Manifest update cancelled due to error during apply");
    stage.begin(&stage.proposed);
}

// X-30: version 1 can tell neither that acknowledgements are missing nor carry recovery secrets
#[test]
fn version_one_refuses_what_it_cannot_report_and_names_version_two() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), 2);
    let waiting = api::update(&stage.coordinator, Version::V1, &stage.alice, &stage.proposed);
    assert_eq!(waiting.status, 400);
    assert!(waiting.message().contains("/api/v2/update"), "{}", waiting.body);
    assert_eq!(api::get(&stage.coordinator, "/update-manifest").status, 404, "nothing is pending");

    let key = RecoveryKey::new(folder.path(), "one");
    let mut proposed = stage.proposed.clone();
    proposed["RecoveryKeys"] = json!({ "one": key.public });
    stage.begin(&proposed);
    let v1 = api::acknowledge(&stage.coordinator, Version::V1, &stage.bob, &proposed);
    assert!(v1.status >= 400 && v1.message().contains("/api/v2/update-manifest"), "{}", v1.body);
    assert_eq!(stage.in_force(), stage.manifest.to_string(), "and it is still pending");
    let v2 = api::acknowledge(&stage.coordinator, Version::V2, &stage.bob, &proposed);
    assert_eq!(v2.status, 200, "{}", v2.body);
    let secret = v2.data()["recoverySecrets"]["one"].as_str().unwrap().to_owned();
    assert_eq!(key.decrypt(&STANDARD.decode(secret).unwrap()).len(), 32);
}
