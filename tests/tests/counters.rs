//! Monotonic counters on the real binary, by Marbles that were really activated (rest-api.md, monotonic-counter; X-5,
//! X-11a, X-69; marble-api.md section 10).

use std::path::Path;

use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::manifests;
use carrara_tests::marble::{activate, identity_writer};
use carrara_tests::users::User;
use serde_json::{Value, json};

const PATH: &str = "/api/v2/monotonic-counter";

/// Two Marble types; Alice may update everything.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    manifest: Value,
    alice: User,
}

impl Stage {
    fn new(folder: &Path) -> Self {
        let alice = User::new(folder, "alice");
        let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
        manifest["Config"]["FeatureGates"] = json!(["monotoniccounter"]);
        manifest["Marbles"]["svc"]["Parameters"]["Argv"] = identity_writer();
        manifest["Marbles"]["other"] = manifest["Marbles"]["svc"].clone();
        manifests::grant(
            &mut manifest,
            "alice",
            "packager",
            "Packages",
            &["pkg"],
            &["UpdateSecurityVersion"],
        );
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, manifest, alice }
    }

    fn advance(&self, marble: &User, name: &str, value: u64) -> Answer {
        let body = json!({ "name": name, "value": value }).to_string();
        api::post_as(&self.coordinator, marble, PATH, body)
    }

    /// The value before.
    fn before(&self, marble: &User, name: &str, value: u64) -> u64 {
        let answer = self.advance(marble, name, value);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.data().as_object().unwrap().len(), 1);
        answer.data()["value"].as_u64().unwrap()
    }
}

fn unauthorized(answer: &Answer) {
    assert_eq!((answer.status, answer.json()["status"].as_str()), (401, Some("fail")), "{}", answer.body);
    assert!(answer.message().starts_with("unauthorized marble: "), "{}", answer.body);
}

// rest-api.md monotonic-counter: M-74's gate comes before the certificate
#[test]
fn without_the_gate_the_endpoint_is_403_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start();
    let text = "MonotonicCounter feature is not enabled in the manifest";
    let body = json!({ "name": "n", "value": 1 }).to_string();
    for _ in 0..2 {
        for answer in [
            api::post(&coordinator, PATH, &body),
            api::post_as(&coordinator, &User::new(folder.path(), "x"), PATH, "nonsense"),
        ] {
            assert_eq!((answer.status, answer.message().as_str()), (403, text), "{}", answer.body);
            assert_eq!(answer.json()["status"], "error");
        }
        // The second time round with a manifest without the gate.
        if api::get(&coordinator, "/status").data()["StatusCode"] == 2 {
            api::set(&coordinator, &manifests::minimal());
        }
    }
}

// rest-api.md monotonic-counter: the previous value, whatever is asked for
#[test]
fn a_counter_only_grows_and_always_answers_with_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let marble = activate(&stage.coordinator, &folder.path().join("m"), "svc");
    for (value, before) in [(0, 0), (5, 0), (5, 5), (3, 5), (0, 5), (6, 5), (u64::MAX, 6), (1, u64::MAX)] {
        assert_eq!(stage.before(&marble, "n", value), before, "to {value}");
    }
    assert_eq!(stage.before(&marble, "N", 1), 0, "names are compared exactly");
    assert_eq!(stage.before(&marble, "", 2), 0, "the empty name is one, too");
    assert_eq!(stage.before(&marble, "", 3), 2);
    assert_eq!(api::log(&stage.coordinator).len(), 1, "counters leave no line in the log");
}

// rest-api.md monotonic-counter: type, UUID and name make the counter
#[test]
fn every_marble_has_counters_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let (one, two, other) = (folder.path().join("1"), folder.path().join("2"), folder.path().join("3"));
    let first = activate(&stage.coordinator, &one, "svc");
    let second = activate(&stage.coordinator, &two, "svc");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(one.join("uuid"), other.join("uuid")).unwrap();
    let other_type = activate(&stage.coordinator, &other, "other");
    assert_eq!(stage.before(&first, "n", 7), 0);
    assert_eq!(stage.before(&second, "n", 8), 0, "another UUID");
    assert_eq!(stage.before(&other_type, "n", 9), 0, "another type with the same UUID");
    let again = activate(&stage.coordinator, &one, "svc");
    assert_eq!(stage.before(&again, "n", 1), 7, "the same Marble, activated again");
    assert_eq!(stage.before(&first, "n", 1), 7, "its old certificate is as good");
}

// rest-api.md monotonic-counter, X-5, X-11a, G-32
#[test]
fn only_a_certificate_of_an_activation_counts() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let marble = activate(&stage.coordinator, &folder.path().join("m"), "svc");
    let stranger = User::new(folder.path(), "stranger");
    let body = json!({ "name": "n", "value": 1 }).to_string();
    unauthorized(&api::post(&stage.coordinator, PATH, &body));
    for user in [&stranger, &stage.alice] {
        unauthorized(&stage.advance(user, "n", 1));
        unauthorized(&api::post_as(&stage.coordinator, user, PATH, "nonsense"));
    }
    // A certificate that names a Marble, but which nobody issued.
    let forged = forged(folder.path());
    unauthorized(&stage.advance(&forged, "n", 1));
    // A Marble of another coordinator.
    let foreign = Stage::new(folder.path());
    let foreign = activate(&foreign.coordinator, &folder.path().join("foreign"), "svc");
    unauthorized(&stage.advance(&foreign, "n", 1));
    assert_eq!(stage.before(&marble, "n", 1), 0, "none of these moved anything");
    // A Marble is no user.
    assert_eq!(api::get_as(&stage.coordinator, &marble, "/secrets?s=x").status, 401);
}

/// A self-signed certificate with the name and the extension of an activation's.
fn forged(folder: &Path) -> User {
    let (certificate_file, key_file) = (folder.join("forged.crt"), folder.join("forged.key"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
        "-nodes",
        "-days",
        "1",
    ]);
    openssl.args(["-subj", "/CN=6ba7b810-9dad-11d1-80b4-00c04fd430c8"]);
    openssl.args(["-addext", "1.3.9903.2.1=DER:737663", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
    openssl.arg("-out").arg(&certificate_file).arg("-keyout").arg(&key_file);
    carrara_tests::succeed(&mut openssl);
    let certificate = std::fs::read_to_string(&certificate_file).unwrap();
    User { certificate, certificate_file, key_file }
}

// R-24, rest-api.md monotonic-counter
#[test]
fn a_body_that_is_no_name_and_value_is_400() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let marble = activate(&stage.coordinator, &folder.path().join("m"), "svc");
    let long = json!({ "name": "n".repeat(1025), "value": 1 }).to_string();
    for body in [
        "",
        "{",
        "7",
        r#"{"name":"n","value":-1}"#,
        r#"{"name":"n","value":18446744073709551616}"#,
        r#"{"name":"n","value":1.5}"#,
        r#"{"name":"n","value":"1"}"#,
        r#"{"name":7,"value":1}"#,
        &long,
    ] {
        let answer = api::post_as(&stage.coordinator, &marble, PATH, body);
        let status = answer.json()["status"].clone();
        assert_eq!((answer.status, status.as_str()), (400, Some("fail")), "{body:.80}: {}", answer.body);
    }
    assert_eq!(stage.before(&marble, &"n".repeat(1024), 1), 0, "the boundary");
    let lenient = api::post_as(&stage.coordinator, &marble, PATH, r#"{"NAME":"n","Value":4,"x":1} more"#);
    assert_eq!((lenient.status, lenient.data()["value"].clone()), (200, json!(0)), "{}", lenient.body);
    assert_eq!(stage.before(&marble, "n", 0), 4);
}

// X-69, L-60, L-61: after an update a Marble must be activated again, and its counters are as they were
#[test]
fn after_an_update_counters_are_refused_until_the_marble_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let marble_folder = folder.path().join("m");
    let packages = json!({ "Packages": { "pkg": { "SecurityVersion": 1 } } });
    for (index, update) in [&packages, &packages, &stage.manifest].into_iter().enumerate() {
        let marble = activate(&stage.coordinator, &marble_folder, "svc");
        let reached = index as u64 * 10;
        assert_eq!(stage.before(&marble, "n", reached + 10), reached);
        let updated = api::update(&stage.coordinator, Version::V1, &stage.alice, update);
        assert_eq!(updated.status, 200, "{}", updated.body);
        unauthorized(&stage.advance(&marble, "n", 99));
        let again = activate(&stage.coordinator, &marble_folder, "svc");
        assert_eq!(stage.before(&again, "n", 0), reached + 10);
    }
}

// X-25: what a Marble was told is durable
#[test]
fn a_counter_is_never_lower_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let marble = activate(&stage.coordinator, &folder.path().join("m"), "svc");
    for round in 1..=3 {
        assert_eq!(stage.before(&marble, "n", round), round - 1);
        stage.coordinator.kill();
        stage.coordinator = stage.launch.start();
    }
    assert_eq!(stage.before(&marble, "n", 0), 3);
}
