//! A renderer that tells everything that it can learn of secrets, by its result, its error, its log and the fuel that it uses: all of it
//! is the same for two secrets of different bytes and lengths.

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Request;
use carrara_tests::hostile::component_of;
use carrara_tests::marble::premain;
use carrara_tests::policies::digest;
use carrara_tests::users::User;
use carrara_tests::{manifests, run};
use serde_json::{Value, json};

const PROBE: &str = include_str!("../hostile/probe.wat");

/// How each number that the probe tells begins.
const OBSERVED: &str = "observed ";
const DIGITS: usize = 16;

/// All that two Marbles, an operator and a monitor see of one secret.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Of the Marble whose file has the secret: all but the secret.
    placed: String,
    /// Of the Marble whose file fails.
    error: String,
    /// What the probe wrote to the log, for both.
    log: Vec<String>,
    /// For each of the two.
    fuel: [u64; 2],
}

/// Alice may write `key`, a plain secret. The Marble `place` has it in its file, that of `fail` is an error. `switch` is never set.
fn manifest(alice: &User, probe: &[u8]) -> Value {
    let plain = json!({ "Type": "plain", "UserDefined": true });
    let secrets = json!({ "key": plain, "switch": plain });
    let mut manifest = manifests::with_reader("alice", &alice.certificate, &["key"], secrets);
    manifest["Roles"]["reader"]["Actions"] = json!(["ReadSecret", "WriteSecret"]);
    manifest["Policies"] = json!({ "probe": { "World": "secret-rendering", "Component": digest(probe) } });
    for (name, text) in [("place", "p"), ("fail", "e")] {
        let file = json!({ "Data": text, "Encoding": "string", "Renderer": "probe" });
        let parameters = json!({ "Argv": ["/bin/sh", "-c", "cat out"], "Files": { "out": file } });
        manifest["Marbles"][name] = json!({ "Package": "pkg", "Parameters": parameters });
    }
    manifest
}

/// All numbers in a text.
fn observed(text: &str) -> Vec<String> {
    let all = text.split(OBSERVED).skip(1);
    all.map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).take(DIGITS).collect()).collect()
}

struct Stage {
    coordinator: Coordinator,
    folder: tempfile::TempDir,
    alice: User,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = User::new(folder.path(), "alice");
        let coordinator = Launch::new().argument("--prometheus-addr").argument("127.0.0.1:0").start();
        let probe = component_of("secret-rendering", PROBE);
        let manifest = manifest(&alice, &probe).to_string();
        let body = json!({ "manifest": STANDARD.encode(manifest), "policies": [STANDARD.encode(&probe)] });
        let set = api::post(&coordinator, "/api/v2/manifest", body.to_string());
        assert_eq!(set.status, 200, "{}", set.body);
        Self { coordinator, folder, alice }
    }

    fn upload(&self, secret: &[u8]) {
        let secrets = json!({ "key": { "Key": STANDARD.encode(secret) } });
        let answer = api::upload(&self.coordinator, Version::V2, &self.alice, &secrets);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    fn start(&self, marble: &str) -> Output {
        run(&mut premain(&self.coordinator, self.folder.path(), marble))
    }

    /// All that the probe's calls have used.
    fn fuel(&self) -> u64 {
        let addresses = self.coordinator.folder().join("addresses.json");
        let addresses: Value = serde_json::from_slice(&std::fs::read(addresses).unwrap()).unwrap();
        let metrics =
            Request::get(&format!("http://{}/metrics", addresses["metrics"].as_str().unwrap())).send();
        let of_probe = |line: &&str| {
            line.starts_with("coordinator_policy_fuel_total{") && line.contains("policy=\"probe\"")
        };
        let line = metrics.body.lines().find(of_probe).unwrap_or_else(|| panic!("{}", metrics.body));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// What is seen while `key` is this.
    fn seen(&self, secret: &[u8]) -> Seen {
        self.upload(secret);
        let (before, logged) = (self.fuel(), observed(&self.coordinator.log()).len());
        let placed = self.start("place");
        let between = self.fuel();
        let failed = self.start("fail");
        let text = String::from_utf8(placed.stdout).unwrap();
        let error = String::from_utf8_lossy(&failed.stderr).into_owned();
        let rest = text.strip_suffix(&hex::encode(secret));
        assert!(!failed.status.success(), "{error}");
        Seen {
            placed: rest.unwrap_or_else(|| panic!("the secret is not in {text}")).to_owned(),
            error: observed(&error).concat(),
            log: observed(&self.coordinator.log()).split_off(logged),
            fuel: [between - before, self.fuel() - between],
        }
    }
}

// P-7, policy.md: "nothing that a guest can observe depends on secret bytes or their length"
#[test]
fn two_secrets_of_different_length_are_the_same_to_a_renderer() {
    let stage = Stage::new();
    let unset = observed(&String::from_utf8_lossy(&stage.start("fail").stderr)).concat();
    assert_eq!(unset.len(), DIGITS, "the probe tells what it sees: {}", stage.coordinator.log());
    let long: Vec<u8> = (0..5000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let (short, long) = (stage.seen(b"s"), stage.seen(&long));
    assert_eq!(short, long);
    assert_eq!(short, stage.seen(b"another, of another length"));
    assert_eq!(short.placed, format!("{OBSERVED}{}", short.error));
    assert!(short.log.len() >= 8 && short.log.contains(&short.error), "{short:?}");
    assert!(short.fuel.iter().all(|fuel| *fuel > 1000), "{short:?}");
    assert_ne!(short.error, unset, "whether it is set can be seen, and so the probe sees something");
}
