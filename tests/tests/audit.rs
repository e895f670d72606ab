//! The audit trail on the real binary: who did or tried what, by names and never by values.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::manifests;
use carrara_tests::users::User;
use serde_json::{Value, json};

const PATH: &str = "/api/v2/audit";

/// Entries of reads are written at most once a second; only a hang reaches this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Alice may do everything and read the trail, Bob nothing.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    manifest: Value,
    alice: User,
    bob: User,
}

impl Stage {
    fn new(folder: &std::path::Path) -> Self {
        let (alice, bob) = (User::new(folder, "alice"), User::new(folder, "bob"));
        let mut manifest = manifests::with_updaters(&[("alice", &alice), ("bob", &bob)], 1, 0);
        manifest["Secrets"] = json!({ "token": { "Type": "plain", "UserDefined": true } });
        let rights = ["ReadSecret", "WriteSecret"];
        manifests::grant(&mut manifest, "alice", "owner", "Secrets", &["token"], &rights);
        manifests::grant(&mut manifest, "alice", "auditor", "Manifest", &[], &["ReadAudit"]);
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, manifest, alice, bob }
    }

    fn page(&self, query: &str) -> Value {
        let answer = api::get_as(&self.coordinator, &self.alice, &format!("{PATH}{query}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()
    }

    fn entries(&self) -> Vec<Value> {
        self.page("")["entries"].as_array().unwrap().clone()
    }

    /// Asks until the trail has such an entry: reads and refusals are written a little later.
    fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let entries = self.entries();
            if let Some(entry) = entries.iter().find(|entry| wanted(entry)) {
                return entry.clone();
            }
            assert!(started.elapsed() < PATIENCE, "no such entry: {entries:?}");
        }
    }
}

fn is(entry: &Value, user: Option<&str>, action: &str, outcome: &str) -> bool {
    entry["user"] == json!(user) && entry["action"] == action && entry["outcome"] == outcome
}

// Changes are recorded in the same commit
#[test]
fn every_change_is_in_the_trail_as_soon_as_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let entries = stage.entries();
    assert!(is(&entries[0], None, "SetManifest", "done"), "{entries:?}");

    let token = json!({ "token": { "Key": STANDARD.encode("not to be told") } });
    assert_eq!(api::upload(&stage.coordinator, Version::V2, &stage.alice, &token).status, 200);
    let find = |action: &str| {
        let entries = stage.entries();
        let found = entries.iter().find(|entry| is(entry, Some("alice"), action, "done"));
        found.unwrap_or_else(|| panic!("no {action}: {entries:?}")).clone()
    };
    assert_eq!(find("WriteSecret")["resources"], json!(["token"]));
    assert_eq!(api::update(&stage.coordinator, Version::V2, &stage.alice, &stage.manifest).status, 200);
    find("UpdateManifest");
    find("ApplyUpdate");
    let text = stage.page("").to_string() + &stage.coordinator.log();
    for value in ["not to be told".to_owned(), STANDARD.encode("not to be told")] {
        assert!(!text.contains(&value), "names, never values");
    }
}

// Reads and refusals wait in memory, at most a second
#[test]
fn reads_and_refusals_of_users_are_in_the_trail_and_strangers_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let stranger = User::new(folder.path(), "stranger");
    let path = "/api/v2/secrets?s=token";
    assert_eq!(api::get_as(&stage.coordinator, &stranger, path).status, 401);
    assert_eq!(api::get_as(&stage.coordinator, &stage.alice, path).status, 200);
    assert_eq!(api::get_as(&stage.coordinator, &stage.bob, path).status, 500);
    assert_eq!(api::update(&stage.coordinator, Version::V1, &stage.bob, &stage.manifest).status, 400);
    let read = stage.wait_for(|entry| is(entry, Some("alice"), "ReadSecret", "done"));
    assert_eq!(read["resources"], json!(["token"]));
    let refused = stage.wait_for(|entry| is(entry, Some("bob"), "ReadSecret", "refused"));
    let text = "user bob is not allowed to read one or more secrets of: [token]";
    assert_eq!((refused["resources"].clone(), refused["reason"].as_str()), (json!(["token"]), Some(text)));
    stage.wait_for(|entry| is(entry, Some("bob"), "UpdateManifest", "refused"));
    let users: Vec<Value> = stage.entries().iter().map(|entry| entry["user"].clone()).collect();
    assert!(users.iter().all(|user| user.is_null() || user == "alice" || user == "bob"), "{users:?}");
    // One structured event for each in the coordinator's log.
    stage.coordinator.wait_for_log(|line| {
        line.contains("carrara::audit") && line.contains("bob") && line.contains("UpdateManifest")
    });
}

// R-54, M-62: the action ReadAudit
#[test]
fn only_who_may_read_the_trail_does() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let nobody = api::get(&stage.coordinator, PATH);
    assert_eq!((nobody.status, nobody.json()["status"].as_str()), (401, Some("fail")));
    let bob = api::get_as(&stage.coordinator, &stage.bob, PATH);
    assert_eq!((bob.status, bob.json()["status"].as_str()), (403, Some("fail")), "{}", bob.body);
    assert!(bob.message().starts_with("user bob is not allowed to "), "{}", bob.body);
    stage.wait_for(|entry| is(entry, Some("bob"), "ReadAudit", "refused"));
    let empty = Coordinator::start();
    assert_eq!(api::get_as(&empty, &stage.alice, PATH).status, 401, "there are no users yet");
}

#[test]
fn the_trail_is_read_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    for value in 0..5 {
        let token = json!({ "token": { "Key": [value] } });
        assert_eq!(api::upload(&stage.coordinator, Version::V1, &stage.alice, &token).status, 200);
    }
    let all = stage.page("?limit=6");
    assert_eq!((&all["first"], &all["from"], &all["next"]), (&json!(0), &json!(0), &json!(6)));
    let entries = all["entries"].as_array().unwrap();
    let indexes: Vec<u64> = entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 2, 3, 4, 5]);
    assert!(entries.iter().all(|entry| entry["time"].as_str().unwrap().ends_with('Z')));
    let page = stage.page("?from=2&limit=3");
    assert_eq!(page["entries"], json!(entries[2..5]));
    assert_eq!((&page["from"], &page["next"]), (&json!(2), &json!(5)));
    let end = page["end"].as_u64().unwrap();
    assert!(end >= 6);
    let past = stage.page("?from=1000000");
    assert_eq!(past["entries"], json!([]));
    for query in ["?from=x", "?limit=x", "?from=-1"] {
        let answer = api::get_as(&stage.coordinator, &stage.alice, &format!("{PATH}{query}"));
        assert_eq!((answer.status, answer.json()["status"].as_str()), (400, Some("fail")), "{query}");
    }
}

// entries of changes are as durable as the changes
#[test]
fn entries_of_changes_outlast_a_kill_and_those_of_reads_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let token = json!({ "token": { "Key": "AAAA" } });
    assert_eq!(api::upload(&stage.coordinator, Version::V1, &stage.alice, &token).status, 200);
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    assert!(stage.entries().iter().any(|entry| is(entry, Some("alice"), "WriteSecret", "done")));
    assert_eq!(api::get_as(&stage.coordinator, &stage.alice, "/secrets?s=token").status, 200);
    assert!(stage.coordinator.terminate().success());
    stage.coordinator = stage.launch.start();
    let entries = stage.entries();
    assert!(entries.iter().any(|entry| is(entry, Some("alice"), "ReadSecret", "done")), "{entries:?}");
}
