//! Everything at once on one coordinator: nothing is lost, nothing is seen half, counts are exact, and what is slow delays
//! nobody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::connection::Connection;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::marble::{activate, identity_writer, premain};
use carrara_tests::users::User;
use carrara_tests::{manifests, run};
use serde_json::{Value, json};

/// How often `svc` may start.
const STARTS: usize = 6;

/// Alice may do everything; `keeper` has counters, `svc` may start a few times.
fn start(folder: &Path) -> (Coordinator, User, Value) {
    let alice = User::new(folder, "alice");
    let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
    manifest["Config"]["FeatureGates"] = json!(["MonotonicCounter"]);
    manifest["Secrets"] = json!({
        "left": { "Type": "plain", "UserDefined": true },
        "right": { "Type": "plain", "UserDefined": true },
    });
    let rights = ["ReadSecret", "WriteSecret"];
    manifests::grant(&mut manifest, "alice", "owner", "Secrets", &["left", "right"], &rights);
    manifest["Marbles"]["keeper"] = manifest["Marbles"]["svc"].clone();
    manifest["Marbles"]["keeper"]["Parameters"]["Argv"] = identity_writer();
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/true"]);
    manifest["Marbles"]["svc"]["MaxActivations"] = json!(STARTS);
    let coordinator = Coordinator::start();
    api::set(&coordinator, &manifest);
    (coordinator, alice, manifest)
}

fn pair(value: u64) -> String {
    let key = STANDARD.encode(value.to_string());
    json!({ "secrets": { "left": { "Key": key }, "right": { "Key": key } } }).to_string()
}

/// Both secrets of the pair as one read gives them.
fn read_pair(connection: &mut Connection) -> [String; 2] {
    let answer = connection.get("/api/v2/secrets?s=left&s=right");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.data();
    ["left", "right"].map(|name| data["secrets"][name]["Public"].as_str().unwrap().to_owned())
}

// M-92, X-13, X-25: one update, uploads, counters, readers and twice as many starts as are allowed
#[test]
fn activations_uploads_counters_and_an_update_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, manifest) = start(folder.path());
    let keeper = activate(&coordinator, &folder.path().join("keeper"), "keeper");
    let first = pair(0);
    assert_eq!(api::post_as(&coordinator, &alice, "/api/v2/secrets", first).status, 200);
    let (started, uploaded) = (AtomicU64::new(0), AtomicU64::new(0));
    let refused_counters = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for marble in 0..2 * STARTS {
            let folder = folder.path().join(format!("m{marble}"));
            std::fs::create_dir(&folder).unwrap();
            let (coordinator, started) = (&coordinator, &started);
            scope.spawn(move || {
                let output = run(&mut premain(coordinator, &folder, "svc"));
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() || text.contains("reached max activations count"), "{text}");
                started.fetch_add(u64::from(output.status.success()), Ordering::Relaxed);
            });
        }
        for client in 0..2 {
            let (coordinator, alice, uploaded) = (&coordinator, &alice, &uploaded);
            scope.spawn(move || {
                let mut connection = Connection::open(coordinator, Some(alice));
                for step in 1..=10 {
                    let answer = connection.send("POST", "/api/v2/secrets", &pair(100 * client + step));
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    uploaded.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut connection = Connection::open(&coordinator, Some(&keeper));
            let mut reached = 0;
            for value in 1..=20 {
                let body = json!({ "name": "n", "value": value }).to_string();
                let answer = connection.send("POST", "/api/v2/monotonic-counter", &body);
                match answer.status {
                    200 => {
                        assert_eq!(answer.data()["value"], reached, "monotonic, and nobody else counts");
                        reached = value;
                    }
                    // from the update on.
                    401 => {
                        refused_counters.fetch_add(1, Ordering::Relaxed);
                    }
                    status => panic!("{status}: {}", answer.body),
                }
            }
        });
        scope.spawn(|| {
            let answer = api::update(&coordinator, Version::V2, &alice, &manifest);
            assert_eq!(answer.status, 200, "{}", answer.body);
        });
    });
    assert_eq!(started.into_inner(), STARTS as u64, "not one more, not one less");
    let lines = api::log(&coordinator);
    let count = |update: &str| lines.iter().filter(|line| line["update"] == update).count() as u64;
    assert_eq!(uploaded.into_inner(), 20);
    assert_eq!(count("Secret set"), 2 * 21, "one line for each secret of each upload");
    assert_eq!(count("Complete Manifest updated"), 1);
    let [left, right] = read_pair(&mut Connection::open(&coordinator, Some(&alice)));
    assert_eq!(left, right);
    let last = String::from_utf8(STANDARD.decode(left).unwrap()).unwrap();
    assert!(["10", "110"].contains(&last.as_str()), "the last of one of the writers, not {last}");
    let again = activate(&coordinator, &folder.path().join("keeper"), "keeper");
    let body = json!({ "name": "n", "value": 0 }).to_string();
    let counted = api::post_as(&coordinator, &again, "/api/v2/monotonic-counter", body).data();
    assert_eq!(counted["value"].as_u64().unwrap(), 20 - refused_counters.into_inner());
}

// no torn read
#[test]
fn secrets_written_together_are_always_read_together() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, _) = start(folder.path());
    assert_eq!(api::post_as(&coordinator, &alice, "/api/v2/secrets", pair(0)).status, 200);
    let (writing, waiting) = (AtomicBool::new(true), AtomicU64::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::open(&coordinator, Some(&alice));
            let mut value = 0;
            // Until each reader has seen it change.
            while value < 60 || (waiting.load(Ordering::Acquire) > 0 && value < 6000) {
                value += 1;
                let answer = connection.send("POST", "/api/v2/secrets", &pair(value));
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
            writing.store(false, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = Connection::open(&coordinator, Some(&alice));
                let mut seen = BTreeSet::new();
                while writing.load(Ordering::Acquire) {
                    let [left, right] = read_pair(&mut connection);
                    assert_eq!(left, right);
                    if seen.insert(left) && seen.len() == 2 {
                        waiting.fetch_sub(1, Ordering::Release);
                    }
                }
                assert!(seen.len() > 1, "it was read while it was written");
            });
        }
    });
}

// policy.md, Limits and failure: a renderer that uses up all that it may delays nobody else
#[test]
fn an_update_whose_template_never_ends_delays_no_upload_and_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, manifest) = start(folder.path());
    assert_eq!(api::post_as(&coordinator, &alice, "/api/v2/secrets", pair(0)).status, 200);
    let mut endless = manifest.clone();
    let secret = json!({ "Type": "symmetric-key", "Size": 8, "Shared": true });
    for index in 0..60 {
        endless["Secrets"][format!("s{index}")] = secret.clone();
    }
    let text = format!("{}x{}", "{{ range $.Secrets }}".repeat(8), "{{ end }}".repeat(8));
    endless["Marbles"]["svc"]["Parameters"]["Files"] = json!({ "/f": text });
    let done = AtomicBool::new(false);
    let mut connection = Connection::open(&coordinator, Some(&alice));
    read_pair(&mut connection);
    let meanwhile = std::thread::scope(|scope| {
        scope.spawn(|| {
            let answer = api::update(&coordinator, Version::V2, &alice, &endless);
            assert_eq!(answer.status, 500);
            assert!(answer.message().contains("policy \"go-template\" could not decide"), "{}", answer.body);
            done.store(true, Ordering::Release);
        });
        let mut rounds = 0_u64;
        while !done.load(Ordering::Acquire) {
            rounds += 1;
            assert_eq!(connection.send("POST", "/api/v2/secrets", &pair(rounds)).status, 200);
            let [left, _] = read_pair(&mut connection);
            assert_eq!(left, STANDARD.encode(rounds.to_string()));
        }
        rounds
    });
    assert!(meanwhile > 0, "others were served while it ran");
    assert_eq!(api::manifest(&coordinator).0, manifest.to_string());
}
