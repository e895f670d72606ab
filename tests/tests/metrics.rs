//! Metrics and events of the real coordinator: asked for with curl, read by Prometheus' own Python parser.

use std::io::Write as _;
use std::process::{Command, Stdio};

use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::{Answer, Request};
use carrara_tests::marble::premain;
use carrara_tests::users::User;
use carrara_tests::{fail, manifests, skip, succeed};
use serde_json::{Value, json};

fn launch() -> Launch {
    Launch::new().environment("EDG_COORDINATOR_PROMETHEUS_ADDR", "127.0.0.1:0")
}

/// Where the addresses file says that metrics are.
fn metrics_address(coordinator: &Coordinator) -> Option<String> {
    let text = std::fs::read_to_string(coordinator.folder().join("addresses.json")).unwrap();
    let addresses: Value = serde_json::from_str(&text).unwrap();
    addresses.get("metrics").map(|address| address.as_str().unwrap().to_owned())
}

fn get(coordinator: &Coordinator, path: &str) -> Answer {
    let address = metrics_address(coordinator).expect("metrics are on");
    Request::get(&format!("http://{address}{path}")).send()
}

fn metrics(coordinator: &Coordinator) -> String {
    let answer = get(coordinator, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.headers);
    assert!(
        answer.has_header("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        answer.headers
    );
    answer.body
}

/// A sample's value, by its exact text up to the value.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// A coordinator with a manifest, after an activation, a refused one, and a user's reads.
fn busy() -> (tempfile::TempDir, Coordinator) {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = launch().start();
    let alice = User::new(folder.path(), "alice");
    let secrets = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    let mut manifest = manifests::with_reader("alice", &alice.certificate, &["key"], secrets);
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = json!(["/bin/sh", "-c", "true"]);
    let set = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
    assert_eq!(set.status, 200, "{}", set.body);
    succeed(&mut premain(&coordinator, folder.path(), "svc"));
    fail(&mut premain(&coordinator, folder.path(), "not\"in the manifest"));
    for _ in 0..3 {
        let read = Request::get(&coordinator.url("/api/v2/secrets?s=key")).as_user(&alice).send();
        assert_eq!(read.status, 200, "{}", read.body);
    }
    assert_eq!(Request::get(&coordinator.url("/not/an/endpoint")).send().status, 405);
    (folder, coordinator)
}

//
// rest-api.md section 7, X-16
#[test]
fn what_happened_is_counted_under_the_specified_names() {
    let (_folder, coordinator) = busy();
    let text = metrics(&coordinator);
    let expected = [
        ("coordinator_state", 3.0),
        ("coordinator_marble_activations_total{type=\"svc\"}", 1.0),
        ("coordinator_marble_activations_success_total{type=\"svc\"}", 1.0),
        ("coordinator_marble_activations_total{type=\"unknown\"}", 1.0),
        ("coordinator_marble_activations_success_total{type=\"unknown\"}", 0.0),
        ("server_client_api_http_request_total{code=\"200\",method=\"get\",path=\"/api/v2/secrets\"}", 3.0),
        ("server_client_api_http_request_total{code=\"200\",method=\"post\",path=\"/manifest\"}", 1.0),
        ("server_client_api_http_request_total{code=\"405\",method=\"get\",path=\"unmatched\"}", 1.0),
        ("server_client_api_http_in_flight_requests{path=\"/api/v2/secrets\"}", 0.0),
        (
            "coordinator_policy_calls_total{mode=\"enforce\",outcome=\"allowed\",policy=\"rbac\",world=\"role-authorization\"}",
            3.0,
        ),
        (
            "coordinator_policy_calls_total{mode=\"enforce\",outcome=\"failed\",policy=\"rbac\",world=\"role-authorization\"}",
            0.0,
        ),
        ("coordinator_commits_total{outcome=\"failed\"}", 0.0),
        ("coordinator_commit_queue_depth", 0.0),
    ];
    for (name, value) in expected {
        assert!((sample(&text, name) - value).abs() < f64::EPSILON, "{name} is not {value}:\n{text}");
    }
    let call = "grpc_method=\"Activate\",grpc_service=\"rpc.Marble\",grpc_type=\"unary\"";
    for (name, value) in [("started", 2.0), ("msg_received", 2.0), ("msg_sent", 1.0)] {
        let found = sample(&text, &format!("grpc_server_{name}_total{{{call}}}"));
        assert!((found - value).abs() < f64::EPSILON, "{name}: {found}");
    }
    for code in ["OK", "PermissionDenied"] {
        let found = sample(&text, &format!("grpc_server_handled_total{{grpc_code=\"{code}\",{call}}}"));
        assert!((found - 1.0).abs() < f64::EPSILON, "{code}: {found}");
    }
    assert!(sample(&text, "coordinator_commits_total{outcome=\"done\"}") >= 1.0, "the manifest");
    assert!(
        !text.contains("not/an") && !text.contains("in the manifest"),
        "callers choose no labels:\n{text}"
    );
}

// rest-api.md section 7
#[test]
fn prometheus_own_parser_accepts_all_of_it() {
    let Some(python) = std::env::var_os("CARRARA_PYTHON") else {
        skip::skip(
            "prometheus_own_parser_accepts_all_of_it",
            "apt-get install -y python3-venv (and run the tests by `cargo xtask test`)",
        );
        return;
    };
    let (_folder, coordinator) = busy();
    let text = metrics(&coordinator);
    let mut parser = Command::new(python);
    parser.arg(carrara_tests::root().join("tests/clients/metrics.py"));
    let mut parser = parser.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let families: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The parser takes `_total` off the names of counters.
    let http = "server_client_api_http";
    let expected = [
        ("coordinator_state".to_owned(), "gauge"),
        ("coordinator_version_info".to_owned(), "gauge"),
        ("coordinator_marble_activations".to_owned(), "counter"),
        ("coordinator_marble_activations_success".to_owned(), "counter"),
        (format!("{http}_request"), "counter"),
        (format!("{http}_request_duration_histogram_seconds"), "histogram"),
        (format!("{http}_request_size_histogram_bytes"), "histogram"),
        (format!("{http}_response_size_histogram_bytes"), "histogram"),
        (format!("{http}_in_flight_requests"), "gauge"),
        ("grpc_server_started".to_owned(), "counter"),
        ("grpc_server_handled".to_owned(), "counter"),
        ("grpc_server_msg_received".to_owned(), "counter"),
        ("grpc_server_msg_sent".to_owned(), "counter"),
        ("promhttp_metric_handler_requests".to_owned(), "counter"),
        ("promhttp_metric_handler_requests_in_flight".to_owned(), "gauge"),
        ("coordinator_policy_calls".to_owned(), "counter"),
        ("coordinator_policy_call_duration_seconds".to_owned(), "histogram"),
        ("coordinator_policy_fuel".to_owned(), "counter"),
        ("coordinator_policy_shadows_dropped".to_owned(), "counter"),
        ("coordinator_commits".to_owned(), "counter"),
        ("coordinator_commit_duration_seconds".to_owned(), "histogram"),
        ("coordinator_commit_queue_depth".to_owned(), "gauge"),
        ("coordinator_audit_entries_waiting".to_owned(), "gauge"),
        // what the limits do
        ("coordinator_connections_open".to_owned(), "gauge"),
        ("coordinator_handshakes_open".to_owned(), "gauge"),
        ("coordinator_connections_closed".to_owned(), "counter"),
        ("coordinator_requests_refused".to_owned(), "counter"),
    ];
    for (name, kind) in &expected {
        assert_eq!(families[name]["type"], *kind, "{name}");
        assert_ne!(families[name]["help"], "", "{name}");
    }
    assert_eq!(families.as_object().unwrap().len(), expected.len(), "{families}");
    let version = &families["coordinator_version_info"]["samples"][0];
    assert_eq!(version[1]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version[2], 0.0);
}

// rest-api.md section 7, X-10, X-15
#[test]
fn events_tell_of_successful_activations_with_the_uuid_as_sent_and_without_quotes() {
    let empty = launch().start();
    assert_eq!(get(&empty, "/events").body, "null");
    let (folder, coordinator) = busy();
    let uuid = std::fs::read_to_string(folder.path().join("uuid")).unwrap();
    let answer = get(&coordinator, "/events");
    assert!(answer.has_header("content-type: application/json"), "{}", answer.headers);
    let events = answer.json();
    let time = events[0]["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    assert_eq!(events, json!([{ "time": time, "activation": { "marbleType": "svc", "uuid": uuid } }]));
}

#[test]
fn other_paths_and_methods_are_refused_and_no_api_is_behind_the_port() {
    let coordinator = launch().start();
    for path in ["/", "/status", "/api/v2/status", "/metrics/", "/manifest"] {
        assert_eq!(get(&coordinator, path).status, 404, "{path}");
    }
    let address = metrics_address(&coordinator).unwrap();
    for path in ["/metrics", "/events"] {
        let answer = Request::post(&format!("http://{address}{path}"), "x").send();
        assert_eq!(answer.status, 405, "{path}");
        assert!(answer.has_header("allow: get, head"), "{}", answer.headers);
    }
    for path in ["/metrics", "/events"] {
        assert_eq!(
            Request::get(&coordinator.url(path)).send().status,
            405,
            "not on the clients' port: {path}"
        );
    }
}

// rest-api.md section 7: only if the variable is set
#[test]
fn without_the_setting_there_is_no_such_port() {
    assert_eq!(metrics_address(&Coordinator::start()), None);
}

//
#[test]
fn a_port_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Launch::new().argument("--prometheus-addr").argument(&address).start_and_end();
    assert_eq!(ended.status.code(), Some(1));
    let text = String::from_utf8_lossy(&ended.stderr);
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
}

// What waits in memory is stored before the process ends.
#[test]
fn a_read_just_before_the_end_is_in_the_audit_trail_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch();
    let mut coordinator = launch.start();
    let alice = User::new(folder.path(), "alice");
    let secrets = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    let mut manifest = manifests::with_reader("alice", &alice.certificate, &["key"], secrets);
    manifests::grant(&mut manifest, "alice", "auditor", "Manifest", &[], &["ReadAudit"]);
    let set = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
    assert_eq!(set.status, 200, "{}", set.body);
    let read = Request::get(&coordinator.url("/api/v2/secrets?s=key")).as_user(&alice).send();
    assert_eq!(read.status, 200, "{}", read.body);
    assert!(coordinator.terminate().success(), "{}", coordinator.log());
    let again = launch.start();
    let trail = Request::get(&again.url("/api/v2/audit?from=0&limit=10")).as_user(&alice).send();
    assert_eq!(trail.status, 200, "{}", trail.body);
    assert!(trail.body.contains("ReadSecret"), "{}", trail.body);
    assert!(sample(&metrics(&again), "coordinator_audit_entries_waiting") <= 1.0);
}
