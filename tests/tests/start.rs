//! Starting and ending the real coordinator: what ends it before it listens, what a restart finds, how it drains.

use std::net::TcpListener;
use std::process::Output;

use carrara_tests::coordinator::Launch;
use carrara_tests::curl::Request;
use carrara_tests::manifests;
use carrara_tests::users::User;
use serde_json::json;

fn refusal(launch: &Launch) -> String {
    let Output { status, stderr, .. } = launch.start_and_end();
    assert!(!status.success(), "the start was not refused");
    assert_eq!(status.code(), Some(1), "a refusal is no crash");
    String::from_utf8_lossy(&stderr).into_owned()
}

// simulation is a choice, never a fallback.
#[test]
fn without_a_tee_and_without_simulation_it_refuses_to_start_and_says_so() {
    let text = refusal(&Launch::new().without_simulation());
    assert!(text.contains("--simulation") && text.contains("TEE"), "{text}");
    let dev = refusal(&Launch::new().without_simulation().environment("EDG_COORDINATOR_DEV_MODE", "1"));
    assert!(dev.contains("TEE"), "dev mode changes logging only: {dev}");
    // OE_SIMULATION=1 is the other way to choose it.
    let chosen = Launch::new().without_simulation().environment("OE_SIMULATION", "1").start();
    assert_eq!(Request::get(&chosen.url("/status")).send().status, 200);
}

// L-19, X-37
#[test]
fn a_port_in_use_ends_the_start_with_the_address_and_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for variable in ["EDG_COORDINATOR_CLIENT_ADDR", "EDG_COORDINATOR_MESH_ADDR"] {
        let text = refusal(&Launch::new().environment(variable, &address));
        assert!(text.contains(&address) && text.contains("in use"), "{text}");
    }
}

#[test]
fn a_bad_option_is_named_with_its_remedy() {
    let text = refusal(&Launch::new().environment("EDG_COORDINATOR_MESH_ADDR", "nonsense"));
    assert!(text.contains("nonsense"), "{text}");
    let output = Launch::new().argument("--no-such-option").start_and_end();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--no-such-option"));
}

// L-32
// deviations, L-70..L-74 and M-75: refused, never ignored.
#[test]
fn what_it_cannot_do_yet_is_refused_by_name() {
    for (variable, value) in [("EDG_DISTRIBUTED_COORDINATOR", "1"), ("EDG_STORE_BACKEND", "k8s-secret")] {
        let text = refusal(&Launch::new().environment(variable, value));
        assert!(text.contains(variable), "{text}");
    }
}

#[test]
fn an_unusable_seal_directory_ends_the_start_with_its_path() {
    let launch = Launch::new();
    std::fs::write(launch.seal_dir(), "a file, not a directory").unwrap();
    let text = refusal(&launch);
    assert!(text.contains(&launch.seal_dir().display().to_string()), "{text}");
}

// L-14, L-15: nothing before a manifest, everything after it, also after kill -9.
#[test]
fn a_restart_finds_everything_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let alice = User::new(folder.path(), "alice");
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let root = |at: &carrara_tests::coordinator::Coordinator| Request::get(&at.url("/quote")).send().data();
    let secrets = json!({ "key": { "Type": "symmetric-key", "Size": 256, "Shared": true } });
    let manifest = manifests::with_reader("alice", &alice.certificate, &["key"], secrets).to_string();
    let before = root(&coordinator);
    assert_eq!(Request::post(&coordinator.url("/manifest"), &manifest).send().status, 200);
    assert_eq!(root(&coordinator), before, "setting a manifest changes no root certificate");
    let read = |at: &carrara_tests::coordinator::Coordinator| {
        let secret = Request::get(&at.url("/secrets?s=key")).as_user(&alice).send();
        assert_eq!(secret.status, 200, "{}", secret.body);
        let manifest = Request::get(&at.url("/manifest")).send();
        let log = Request::get(&at.url("/update")).send();
        (secret.body, manifest.body, log.body)
    };
    let first = read(&coordinator);
    coordinator.kill();
    let coordinator = launch.start();
    assert_eq!(root(&coordinator), before);
    assert_eq!(read(&coordinator), first);
}

// L-14
#[test]
fn a_restart_before_a_manifest_shows_a_new_root() {
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let chain = |at: &carrara_tests::coordinator::Coordinator| Request::get(&at.url("/quote")).send().body;
    let first = chain(&coordinator);
    coordinator.kill();
    let coordinator = launch.start();
    assert_ne!(chain(&coordinator), first);
    assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 2);
}

// L-16: the state is whole until recovery or a new manifest.
#[test]
fn a_state_whose_key_is_lost_is_in_recovery_and_opens_again_when_the_key_is_back() {
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let manifest = manifests::minimal().to_string();
    assert_eq!(Request::post(&coordinator.url("/manifest"), &manifest).send().status, 200);
    coordinator.kill();
    let (key, aside) = (launch.seal_dir().join("sealed_key"), launch.seal_dir().join("kept-aside"));
    std::fs::rename(&key, &aside).unwrap();

    let mut coordinator = launch.start();
    assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 1);
    coordinator.wait_for_log(|log| log.contains("restore sealed_key and state.redb from one copy"));
    let log = Request::get(&coordinator.url("/update")).send();
    assert_eq!((log.status, log.message().as_str()), (500, "server is not in expected state"));
    assert_eq!(Request::get(&coordinator.url("/secrets?s=x")).send().status, 401, "no users in state 1");
    coordinator.kill();
    std::fs::rename(&aside, &key).unwrap();
    let coordinator = launch.start();
    assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 3);
    assert!(!coordinator.log().contains("restore sealed_key"), "{}", coordinator.log());
}

// L-33, X-1
#[test]
fn a_new_manifest_in_recovery_archives_the_old_state() {
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let manifest = manifests::minimal().to_string();
    assert_eq!(Request::post(&coordinator.url("/manifest"), &manifest).send().status, 200);
    coordinator.kill();
    std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();

    let mut coordinator = launch.start();
    assert_eq!(Request::post(&coordinator.url("/manifest"), &manifest).send().status, 200);
    let log = Request::get(&coordinator.url("/api/v2/update")).send().data();
    assert!(
        log["updateLog"][0].as_str().unwrap().contains("\"update\":\"Previous state archived\""),
        "{log}"
    );
    assert!(log["updateLog"][1].as_str().unwrap().contains("\"update\":\"Initial manifest set\""), "{log}");
    let archived = std::fs::read_dir(launch.seal_dir().join("archive")).unwrap().count();
    assert_eq!(archived, 1, "the old state is kept");
    coordinator.kill();
    let coordinator = launch.start();
    assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 3);
}

// L-20, X-26
#[test]
fn a_startup_manifest_is_set_once_and_is_a_no_op_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, manifests::minimal().to_string()).unwrap();
    let launch = Launch::new().environment("EDG_STARTUP_MANIFEST", file.to_str().unwrap());
    for _ in 0..2 {
        let mut coordinator = launch.start();
        assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 3);
        coordinator.kill();
    }
    std::fs::write(&file, format!("{} ", manifests::minimal())).unwrap();
    let text = refusal(&launch);
    assert!(text.contains("another manifest"), "{text}");
}

#[test]
fn sigterm_ends_it_cleanly() {
    let mut coordinator = Launch::new().start();
    assert!(coordinator.terminate().success(), "{}", coordinator.log());
}

// One process per directory.
#[test]
fn a_second_coordinator_on_the_same_directory_is_refused() {
    let launch = Launch::new();
    let coordinator = launch.start();
    assert_eq!(
        Request::post(&coordinator.url("/manifest"), manifests::minimal().to_string()).send().status,
        200
    );
    let text = refusal(&launch);
    assert!(text.contains(&launch.seal_dir().display().to_string()), "{text}");
    assert_eq!(Request::get(&coordinator.url("/status")).send().status, 200);
}

// EDG_LOG_FORMAT=json
#[test]
fn logs_are_json_when_asked_and_hold_the_chosen_addresses() {
    let coordinator = Launch::new().environment("EDG_LOG_FORMAT", "json").start();
    let answer = Request::get(&coordinator.url("/status")).send();
    coordinator.wait_for_log(|line| line.contains("/status"));
    let log = coordinator.log();
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    assert!(
        log.contains(&coordinator.rest.to_string()) && log.contains(&coordinator.mesh.to_string()),
        "{log}"
    );
    assert_eq!(answer.status, 200);
}
