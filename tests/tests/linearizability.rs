//! Clients that work at once see one order of everything: histories of a secret, a counter and the manifest, recorded over
//! real sockets from a real process, are judged by a linearizability checker that is not ours.
//!
//! The histories are short, since the judge's work grows fast with what overlaps, and several.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api;
use carrara_tests::connection::Connection;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::Answer;
use carrara_tests::manifests;
use carrara_tests::marble::{activate, identity_writer};
use carrara_tests::users::User;
use serde_json::{Value, json};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

/// Clients of each history.
const CLIENTS: usize = 4;

/// What a client does.
#[derive(Debug, Clone)]
enum Operation {
    Write(u64),
    Read,
    /// Writes if it is more, and tells what was.
    Raise(u64),
}

/// What it was answered.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Written,
    /// Nothing was changed: something else came in between too often.
    Busy,
    Value(u64),
}

/// The thing itself, if only one client asked at a time: one number.
#[derive(Debug, Clone, Default)]
struct Cell(u64);

impl SequentialSpec for Cell {
    type Op = Operation;
    type Ret = Outcome;

    fn invoke(&mut self, operation: &Operation) -> Outcome {
        let before = self.0;
        match operation {
            Operation::Write(value) => {
                self.0 = *value;
                Outcome::Written
            }
            Operation::Read => Outcome::Value(before),
            Operation::Raise(value) => {
                self.0 = before.max(*value);
                Outcome::Value(before)
            }
        }
    }

    fn is_valid_step(&mut self, operation: &Operation, outcome: &Outcome) -> bool {
        *outcome == Outcome::Busy || self.invoke(operation) == *outcome
    }
}

/// What happened, in the order in which it was seen.
type History = LinearizabilityTester<usize, Cell>;

/// Lets every client work through its operations at once.
fn record<C: Send>(
    clients: Vec<(C, Vec<Operation>)>,
    operate: impl Fn(&mut C, &Operation) -> Outcome + Sync,
) -> History {
    let history = Mutex::new(History::new(Cell::default()));
    std::thread::scope(|scope| {
        for (id, (mut client, operations)) in clients.into_iter().enumerate() {
            let (history, operate) = (&history, &operate);
            scope.spawn(move || {
                for operation in operations {
                    history.lock().unwrap().on_invoke(id, operation.clone()).unwrap();
                    let outcome = operate(&mut client, &operation);
                    history.lock().unwrap().on_return(id, outcome).unwrap();
                }
            });
        }
    });
    history.into_inner().unwrap()
}

fn judge(history: &History, operations: usize) {
    assert_eq!(history.len(), operations, "everything was answered");
    assert!(history.is_consistent(), "no order explains this: {history:?}");
}

/// Numbers that no other write of the test has.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The first two write and read in turn, the others read.
fn mixed(id: usize, length: usize) -> Vec<Operation> {
    let operation = |step: usize| {
        if (id + step).is_multiple_of(2) && id < 2 { Operation::Write(fresh()) } else { Operation::Read }
    };
    (0..length).map(operation).collect()
}

fn written(answer: &Answer) -> Outcome {
    match answer.status {
        200 => Outcome::Written,
        503 => Outcome::Busy,
        status => panic!("answered {status}: {}", answer.body),
    }
}

/// Alice may do everything there is to do.
fn everything(alice: &User) -> Value {
    let mut manifest = manifests::with_updaters(&[("alice", alice)], 1, 0);
    manifest["Secrets"] = json!({ "token": { "Type": "plain", "UserDefined": true } });
    manifest["Config"]["FeatureGates"] = json!(["MonotonicCounter"]);
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = identity_writer();
    manifests::grant(&mut manifest, "alice", "owner", "Secrets", &["token"], &["ReadSecret", "WriteSecret"]);
    manifest
}

fn start(folder: &std::path::Path) -> (Coordinator, User, Value) {
    let alice = User::new(folder, "alice");
    let coordinator = Coordinator::start();
    let manifest = everything(&alice);
    api::set(&coordinator, &manifest);
    (coordinator, alice, manifest)
}

//
#[test]
fn a_secret_is_one_register_to_all_its_writers_and_readers() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, _) = start(folder.path());
    for _ in 0..4 {
        // Each history begins with a value that is known.
        let zero = json!({ "token": { "Key": STANDARD.encode("0") } });
        assert_eq!(api::upload(&coordinator, api::Version::V2, &alice, &zero).status, 200);
        let client = |id| (Connection::open(&coordinator, Some(&alice)), mixed(id, 12));
        let history = record((0..CLIENTS).map(client).collect(), |connection, operation| match operation {
            Operation::Write(value) => {
                let key = STANDARD.encode(value.to_string());
                let body = json!({ "secrets": { "token": { "Key": key } } }).to_string();
                written(&connection.send("POST", "/api/v2/secrets", &body))
            }
            _ => {
                let answer = connection.get("/api/v2/secrets?s=token");
                let value = answer.data()["secrets"]["token"]["Public"].as_str().unwrap().to_owned();
                Outcome::Value(String::from_utf8(STANDARD.decode(value).unwrap()).unwrap().parse().unwrap())
            }
        });
        judge(&history, CLIENTS * 12);
    }
}

// rest-api.md monotonic-counter
#[test]
fn a_counter_is_one_counter_to_all_its_marbles_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, _, _) = start(folder.path());
    let marble = activate(&coordinator, &folder.path().join("m"), "svc");
    for round in 0..4 {
        let name = format!("n{round}");
        let client = |id: usize| {
            // What one raises to another may have raised to or passed already.
            let raise = |step: usize| Operation::Raise((step * (1 + id % 2) + id) as u64);
            (Connection::open(&coordinator, Some(&marble)), (0..12).map(raise).collect())
        };
        let history = record((0..CLIENTS).map(client).collect(), |connection, operation| {
            let Operation::Raise(value) = operation else { unreachable!("counters are only raised") };
            let body = json!({ "name": name, "value": value }).to_string();
            let answer = connection.send("POST", "/api/v2/monotonic-counter", &body);
            assert_eq!(answer.status, 200, "{}", answer.body);
            Outcome::Value(answer.data()["value"].as_u64().unwrap())
        });
        judge(&history, CLIENTS * 12);
    }
}

// M-112, R-31, R-56
#[test]
fn the_manifest_is_one_register_to_all_who_update_and_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, manifest) = start(folder.path());
    let numbered = |value: u64| {
        let mut manifest = manifest.clone();
        manifest["Marbles"]["svc"]["Parameters"]["Env"] = json!({ "NUMBER": value.to_string() });
        manifest.to_string()
    };
    for _ in 0..2 {
        let zero = api::Version::V2.manifest(&numbered(0));
        assert_eq!(api::post_as(&coordinator, &alice, "/api/v2/update", zero).status, 200);
        let client = |id| (Connection::open(&coordinator, Some(&alice)), mixed(id, 8));
        let history = record((0..CLIENTS).map(client).collect(), |connection, operation| match operation {
            Operation::Write(value) => {
                let body = api::Version::V2.manifest(&numbered(*value));
                written(&connection.send("POST", "/api/v2/update", &body))
            }
            _ => {
                let encoded = connection.get("/api/v2/manifest").data()["manifest"].clone();
                let bytes = STANDARD.decode(encoded.as_str().unwrap()).unwrap();
                let manifest: Value = serde_json::from_slice(&bytes).unwrap();
                let number = &manifest["Marbles"]["svc"]["Parameters"]["Env"]["NUMBER"];
                Outcome::Value(number.as_str().unwrap().parse().unwrap())
            }
        });
        judge(&history, CLIENTS * 8);
    }
}

/// A history by hand: who, what, and what was answered, one after the other.
fn one_by_one(steps: &[(usize, Operation, Outcome)]) -> History {
    let mut history = History::new(Cell::default());
    for (client, operation, outcome) in steps {
        history.on_invoke(*client, operation.clone()).unwrap();
        history.on_return(*client, outcome.clone()).unwrap();
    }
    history
}

#[test]
fn the_judge_refuses_a_stale_read_a_lost_write_and_a_counter_that_hides_a_step() {
    let (write, read, raise) = (Operation::Write, Operation::Read, Operation::Raise);
    let value = Outcome::Value;
    let written = Outcome::Written;
    let stale = [(0, write(1), written.clone()), (1, read.clone(), value(0))];
    assert!(!one_by_one(&stale).is_consistent());
    let backwards = [
        (0, write(1), written.clone()),
        (0, write(2), written.clone()),
        (1, read.clone(), value(2)),
        (2, read.clone(), value(1)),
    ];
    assert!(!one_by_one(&backwards).is_consistent());
    let hidden = [(0, raise(5), value(0)), (1, raise(7), value(0))];
    assert!(!one_by_one(&hidden).is_consistent());
    let refused_and_yet_seen = [(0, write(1), Outcome::Busy), (1, read.clone(), value(1))];
    assert!(!one_by_one(&refused_and_yet_seen).is_consistent());

    let good =
        [(0, write(1), written), (1, raise(5), value(1)), (2, raise(3), value(5)), (0, read, value(5))];
    assert!(one_by_one(&good).is_consistent());
}

#[test]
fn the_judge_lets_what_overlaps_come_in_either_order_but_only_in_one() {
    let overlapping = |first: u64, second: u64| {
        let mut history = History::new(Cell::default());
        history.on_invoke(0, Operation::Write(1)).unwrap();
        history.on_invoke(1, Operation::Read).unwrap();
        history.on_return(1, Outcome::Value(first)).unwrap();
        history.on_invoke(1, Operation::Read).unwrap();
        history.on_return(1, Outcome::Value(second)).unwrap();
        history.on_return(0, Outcome::Written).unwrap();
        history.is_consistent()
    };
    assert!(overlapping(0, 0) && overlapping(0, 1) && overlapping(1, 1));
    assert!(!overlapping(1, 0), "once seen, it stays seen");
}
