//! Policies are swapped while Marbles start and users read: each request is answered by one of the two, none is lost, and what
//! was recorded names the component that was in force at its revision.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api;
use carrara_tests::connection::Connection;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::marble::premain;
use carrara_tests::policies::{ALLOW, admitter, authorizer, digest};
use carrara_tests::users::User;
use carrara_tests::{manifests, run};
use serde_json::{Value, json};

const SWAPS: usize = 8;
const READERS: usize = 2;
const STARTERS: usize = 2;
/// What each client does at least between two swaps.
const STEPS: u64 = 3;
/// How many more steps than the slowest a client may have done: reads are far quicker than starts, and the coordinator keeps 4,096
/// records, which are gathered between two swaps.
const AHEAD: u64 = 200;

const NO_READS: &str = "nobody reads by day";
const NO_STARTS: &str = "nobody starts by night";

/// An authorizer with this answer to reads of secrets, the only action whose name has ten letters (the length is at 60).
fn gate(text: &str, answer: &str) -> Vec<u8> {
    let reads = "(i32.eq (i32.load offset=60 (local.get $asked)) (i32.const 10))";
    authorizer(text, &format!("(if (result i32) {reads} (then {answer}) (else {ALLOW}))"))
}

/// A pair of policies and the manifest that names them.
struct Side {
    digests: BTreeMap<&'static str, String>,
    manifest: String,
    policies: Value,
}

impl Side {
    fn new(manifest: &Value, gate: &[u8], door: &[u8]) -> Self {
        let mut manifest = manifest.clone();
        manifest["Policies"] = json!({
            "gate": { "World": "role-authorization", "Component": digest(gate) },
            "door": { "World": "marble-admission", "Component": digest(door) },
        });
        let digests = [("gate", digest(gate)), ("door", digest(door))].into();
        let policies = json!([STANDARD.encode(gate), STANDARD.encode(door)]);
        Self { digests, manifest: manifest.to_string(), policies }
    }

    fn body(&self) -> String {
        json!({ "manifest": STANDARD.encode(&self.manifest), "policies": self.policies }).to_string()
    }
}

/// Alice may update, read `key` and read decisions; `svc` does nothing.
fn manifest(alice: &User) -> Value {
    let mut manifest = manifests::with_updaters(&[("alice", alice)], 1, 0);
    manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    manifests::grant(&mut manifest, "alice", "reader", "Secrets", &["key"], &["ReadSecret"]);
    manifests::grant(&mut manifest, "alice", "auditor", "Manifest", &[], &["ReadDecisions"]);
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/true"]);
    manifest
}

/// What clients have done, and whether they go on.
struct Load {
    running: AtomicBool,
    steps: Mutex<[u64; READERS + STARTERS]>,
    changed: Condvar,
    /// Reads, then starts: allowed and denied.
    answers: [AtomicU64; 4],
}

impl Load {
    fn new() -> Self {
        Self {
            running: AtomicBool::new(true),
            steps: Mutex::default(),
            changed: Condvar::new(),
            answers: Default::default(),
        }
    }

    fn goes_on(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    fn did(&self, client: usize, answer: usize) {
        self.answers[answer].fetch_add(1, Ordering::Relaxed);
        self.steps.lock().unwrap()[client] += 1;
        self.changed.notify_all();
    }

    /// Until this client is not too far ahead of the others, or one has failed.
    fn keep_pace(&self, client: usize) {
        let mut steps = self.steps.lock().unwrap();
        while self.goes_on() && steps.iter().any(|slower| steps[client] > slower + AHEAD) {
            steps = self.changed.wait(steps).unwrap();
        }
    }

    /// Until each client has done something more, or one has failed.
    fn wait(&self) {
        let mut steps = self.steps.lock().unwrap();
        let wanted = steps.map(|steps| steps + STEPS);
        while self.goes_on() && steps.iter().zip(wanted).any(|(steps, wanted)| *steps < wanted) {
            steps = self.changed.wait(steps).unwrap();
        }
    }
}

/// Ends the load when a client panics, so that its panic is what the test shows.
struct EndsLoad<'a>(&'a Load);

impl Drop for EndsLoad<'_> {
    fn drop(&mut self) {
        let _steps = self.0.steps.lock().unwrap();
        self.0.running.store(false, Ordering::Release);
        self.0.changed.notify_all();
    }
}

fn read(coordinator: &Coordinator, alice: &User, load: &Load, client: usize) {
    let _end = EndsLoad(load);
    let mut connection = Connection::open(coordinator, Some(alice));
    let refusal =
        format!("user alice is not allowed to read one or more secrets of: [key]: gate: {NO_READS}");
    while load.goes_on() {
        load.keep_pace(client);
        let answer = connection.get("/api/v2/secrets?s=key");
        let allowed = answer.status == 200;
        assert!(allowed || (answer.status, answer.message()) == (500, refusal.clone()), "{}", answer.body);
        load.did(client, usize::from(!allowed));
    }
}

fn start(coordinator: &Coordinator, folder: &Path, load: &Load, client: usize) {
    let _end = EndsLoad(load);
    let refusal = format!("policy \"door\": {NO_STARTS}");
    while load.goes_on() {
        let output = run(&mut premain(coordinator, folder, "svc"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || text.replace('\\', "").contains(&refusal), "{text}");
        load.did(client, 2 + usize::from(!output.status.success()));
    }
}

/// What was recorded, gathered before the coordinator forgets it.
#[derive(Default)]
struct Records {
    all: Vec<Value>,
    last: u64,
}

impl Records {
    fn gather(&mut self, coordinator: &Coordinator, alice: &User) {
        loop {
            let path = format!("/api/v2/decisions?after={}", self.last);
            let page = api::get_as(coordinator, alice, &path).data();
            assert!(page["first"].as_u64().unwrap() <= self.last + 1, "some were dropped");
            self.last = page["next"].as_u64().unwrap();
            self.all.extend(page["records"].as_array().unwrap().iter().cloned());
            if self.last >= page["last"].as_u64().unwrap() {
                break;
            }
        }
    }

    /// Of one policy.
    fn of(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(move |record| record["policy"] == name)
    }
}

#[test]
fn policies_swapped_under_load_lose_no_request_and_each_record_names_what_was_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let alice = User::new(folder.path(), "alice");
    let manifest = manifest(&alice);
    let allow = ALLOW;
    let day = Side::new(&manifest, &gate(NO_READS, "(call $deny)"), &admitter("", allow));
    let night = Side::new(&manifest, &gate("", allow), &admitter(NO_STARTS, "(call $deny)"));
    let sides = [&day, &night];
    let coordinator = Coordinator::start();
    let set = api::post(&coordinator, "/api/v2/manifest", day.body());
    assert_eq!(set.status, 200, "{}", set.body);

    let (load, mut records) = (Load::new(), Records::default());
    std::thread::scope(|scope| {
        for client in 0..READERS {
            let (coordinator, alice, load) = (&coordinator, &alice, &load);
            scope.spawn(move || read(coordinator, alice, load, client));
        }
        for client in READERS..READERS + STARTERS {
            let folder = folder.path().join(client.to_string());
            std::fs::create_dir(&folder).unwrap();
            let (coordinator, load) = (&coordinator, &load);
            scope.spawn(move || start(coordinator, &folder, load, client));
        }
        let _end = EndsLoad(&load);
        load.wait();
        for swap in 1..=SWAPS {
            let updated = api::post_as(&coordinator, &alice, "/api/v2/update", sides[swap % 2].body());
            assert_eq!(updated.status, 200, "{}", updated.body);
            load.wait();
            records.gather(&coordinator, &alice);
        }
    });
    records.gather(&coordinator, &alice);
    let answers = load.answers.map(AtomicU64::into_inner);
    assert!(answers.iter().all(|count| *count >= STEPS), "both sides ruled: {answers:?}");
    let [reads, no_reads, starts, no_starts] = of_each_kind(&records);
    // A start that was admitted is judged again where the manifest changes before it ends: the first record stays. Each swap can
    // do that to each starter once.
    let again = starts.checked_sub(answers[2]).expect("each start was recorded");
    assert!(again <= (SWAPS * STARTERS) as u64, "{again} starts were recorded and not answered");
    assert_eq!(
        [reads, no_reads, no_starts],
        [answers[0], answers[1], answers[3]],
        "each was recorded once, as it was given"
    );
    one_side_at_each_revision(&records, sides);
}

/// Reads, then starts: allowed and denied.
fn of_each_kind(records: &Records) -> [u64; 4] {
    let mut counts = [0; 4];
    for (kind, name) in [(0, "gate"), (2, "door")] {
        for record in records.of(name) {
            let action = &record["request"]["authorization"]["action"];
            if name == "door" || action == "ReadSecret" {
                let decision = &record["answer"]["decision"];
                assert!(decision == "allow" || decision["deny"]["message"].is_string(), "{record}");
                counts[kind + usize::from(decision != "allow")] += 1;
            }
        }
    }
    counts
}

/// Both policies of a revision are of one side, and there are as many changes as there were updates.
fn one_side_at_each_revision(records: &Records, sides: [&Side; 2]) {
    let mut ruled = BTreeMap::new();
    for name in ["gate", "door"] {
        for record in records.of(name) {
            let side = sides.iter().position(|side| record["digest"] == side.digests[name]);
            let revision = record["revision"].as_u64().unwrap();
            let before = *ruled.entry(revision).or_insert(side);
            assert!(side.is_some() && side == before, "{record}");
        }
    }
    let mut ruled: Vec<usize> = ruled.into_values().flatten().collect();
    ruled.dedup();
    let expected: Vec<usize> = (0..=SWAPS).map(|swap| swap % 2).collect();
    assert_eq!(ruled, expected);
}
