//! Policies that manifests name, on the real coordinator and by the real command-line tool: sent, set, obeyed or shadowed, changed,
//! kept over restarts, and gone when no manifest names them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::policies::{ALLOW, authorizer, component, digest, no_updates};
use carrara_tests::users::User;
use carrara_tests::{binary, manifests, run};
use serde_json::{Value, json};

/// For what happens off the request path: compiling takes seconds, on a machine that does much else a minute.
const DEADLINE: Duration = Duration::from_secs(120);

/// Denies the actions whose name has this length.
fn denies(text: &str, action: &str) -> Vec<u8> {
    let length = action.len();
    authorizer(
        text,
        &format!(
            "(if (result i32) (i32.eq (i32.load offset=60 (local.get $asked)) (i32.const {length}))
               (then (call $deny)) (else {ALLOW}))"
        ),
    )
}

fn entry(component: &[u8]) -> Value {
    json!({ "World": "role-authorization", "Component": digest(component) })
}

/// A coordinator and Alice, who may update the manifest, read `key`, and read decisions.
struct Stage {
    launch: Launch,
    coordinator: Coordinator,
    folder: tempfile::TempDir,
    alice: User,
    manifest: Value,
}

impl Stage {
    fn new() -> Self {
        Self::launched(Launch::new())
    }

    fn launched(launch: Launch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = User::new(folder.path(), "alice");
        let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
        manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        manifests::grant(&mut manifest, "alice", "reader", "Secrets", &["key"], &["ReadSecret"]);
        manifests::grant(&mut manifest, "alice", "auditor", "Manifest", &[], &["ReadDecisions"]);
        let coordinator = launch.start();
        Self { launch, coordinator, folder, alice, manifest }
    }

    /// With a manifest with these policies, whose components come along.
    fn with(policies: &[(&str, Value, &[u8])]) -> Self {
        let stage = Self::new();
        let manifest = stage.naming(policies);
        let set = stage.set(&manifest, policies);
        assert!(set.status.success(), "{}", stderr(&set));
        stage
    }

    /// The manifest with these policies and no others.
    fn naming(&self, policies: &[(&str, Value, &[u8])]) -> Value {
        let mut manifest = self.manifest.clone();
        manifest["Policies"] =
            policies.iter().map(|(name, entry, _)| ((*name).to_owned(), entry.clone())).collect();
        manifest
    }

    fn set(&self, manifest: &Value, along: &[(&str, Value, &[u8])]) -> Output {
        self.send(&["manifest", "set"], manifest, along)
    }

    fn update(&self, manifest: &Value, along: &[(&str, Value, &[u8])]) -> Output {
        self.send(&["manifest", "update", "apply", "--yes"], manifest, along)
    }

    fn send(&self, command: &[&str], manifest: &Value, along: &[(&str, Value, &[u8])]) -> Output {
        std::fs::write(self.path("manifest.json"), manifest.to_string()).unwrap();
        let mut line: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        for (name, _, component) in along {
            std::fs::write(self.path(name), component).unwrap();
            line.extend(["--policy".to_owned(), (*name).to_owned()]);
        }
        line.push("manifest.json".to_owned());
        self.carrara(&line.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Without a user who may update it.
    fn locked_by_roles(&self) -> Value {
        let mut manifest = self.manifest.clone();
        manifest["Users"]["alice"]["Roles"] = json!([]);
        manifest["Config"]["UpdateThreshold"] = json!(0);
        manifest
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command-line tool, as Alice.
    fn carrara(&self, line: &[&str]) -> Output {
        self.carrara_as(line, &["-c", "alice.crt", "-k", "alice.key"])
    }

    fn carrara_as(&self, line: &[&str], user: &[&str]) -> Output {
        run(&mut self.command(line, user))
    }

    fn command(&self, line: &[&str], user: &[&str]) -> Command {
        let mut command = Command::new(binary("carrara"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.args(line).arg(self.coordinator.rest.to_string());
        command.arg("--insecure").args(user).stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn ok(&self, line: &[&str]) -> String {
        let output = self.carrara(line);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self) -> Answer {
        api::get_as(&self.coordinator, &self.alice, "/api/v2/secrets?s=key")
    }

    fn decisions(&self, narrowed: &[&str]) -> Vec<Value> {
        let text = self.ok(&[&["policy", "decisions", "--json"], narrowed].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn restart(&mut self) {
        assert!(self.coordinator.terminate().success());
        self.coordinator = self.launch.start();
    }
}

/// Asks until there is an answer. Every question is a request, so that the coordinator has its turn in between.
#[track_caller]
fn before_the_deadline<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        if let Some(answer) = ask() {
            return answer;
        }
    }
    panic!("after {DEADLINE:?} still not: {what}")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// policy.md: "A missing component refuses the manifest and names the digests"
#[test]
fn a_policy_is_sent_set_obeyed_recorded_fetched_and_kept_over_a_restart() {
    let mut stage = Stage::new();
    let rooms = denies("this room is locked", "ReadSecret");
    let policies = [("rooms", entry(&rooms), rooms.as_slice())];
    let manifest = stage.naming(&policies);
    let missing = stage.set(&manifest, &[]);
    assert_eq!(missing.status.code(), Some(1));
    let text = stderr(&missing);
    assert!(text.contains(&digest(&rooms)) && text.contains("rooms"), "{text}");
    assert!(text.contains("carrara policy push") && text.contains("--policy FILE"), "{text}");

    std::fs::write(stage.path("rooms.wasm"), &rooms).unwrap();
    let pushed = stage.ok(&["policy", "push", "rooms.wasm"]);
    assert!(pushed.contains(&digest(&rooms)) && pushed.contains("role-authorization"), "{pushed}");
    assert!(stage.ok(&["policy", "list"]).contains("named by no manifest"));
    let set = stage.set(&manifest, &[]);
    assert!(set.status.success(), "{}", stderr(&set));

    for _ in 0..2 {
        let denied = stage.read();
        assert_eq!(denied.status, 500, "{}", denied.body);
        let expected =
            "user alice is not allowed to read one or more secrets of: [key]: rooms: this room is locked";
        assert_eq!(denied.message(), expected);
        let decided = stage.decisions(&["--policy", "rooms", "--verdict", "deny"]);
        let last = decided.last().unwrap();
        assert_eq!(last["digest"], digest(&rooms));
        assert_eq!(last["request"]["authorization"]["action"], "ReadSecret");
        assert_eq!(last["answer"]["decision"]["deny"]["message"], "this room is locked");
        let listed = stage.ok(&["policy", "list"]);
        assert!(
            listed.lines().any(|line| line.contains(&digest(&rooms)) && line.contains("in force as rooms"))
        );
        stage.ok(&["policy", "pull", &digest(&rooms), "-o", "pulled.wasm", "--force"]);
        assert!(std::fs::read(stage.path("pulled.wasm")).unwrap() == rooms);
        stage.coordinator.wait_for_log(|line| line.contains("in force") && line.contains(&digest(&rooms)));
        stage.restart();
    }
}

// `policy decisions --follow`
#[test]
fn decisions_are_followed_as_they_come() {
    let rooms = denies("this room is locked", "ReadSecret");
    let stage = Stage::with(&[("rooms", entry(&rooms), &rooms)]);
    assert_eq!(stage.read().status, 500);
    let line = [
        "policy",
        "decisions",
        "--policy",
        "rooms",
        "--verdict",
        "deny",
        "--json",
        "--follow",
        "--limit",
        "2",
    ];
    let mut follow = stage.command(&line, &["-c", "alice.crt", "-k", "alice.key"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next =
        || -> Option<Value> { lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap()) };
    let first = next().unwrap();
    assert_eq!(first["answer"]["decision"]["deny"]["message"], "this room is locked");
    // What was there has been told; this comes while it waits, and is the last that was wanted.
    assert_eq!(stage.read().status, 500);
    let second = next().unwrap();
    assert!(second["sequence"].as_u64() > first["sequence"].as_u64(), "{second}");
    assert_eq!(next(), None);
    assert!(follow.wait().unwrap().success());
}

// policy.md: "asked after the answer, from a bounded queue, recorded, never obeyed"
#[test]
fn a_shadow_is_recorded_and_never_obeyed() {
    let rooms = denies("this room is locked", "ReadSecret");
    let mut shadow = entry(&rooms);
    shadow["Mode"] = json!("shadow");
    let stage = Stage::with(&[("rooms", shadow, &rooms)]);
    assert_eq!(stage.read().status, 200);
    let recorded = before_the_deadline("the shadow is recorded", || {
        stage.decisions(&["--policy", "rooms", "--verdict", "deny"]).into_iter().next()
    });
    assert_eq!(recorded["mode"], "shadow");
    let obeyed = stage.decisions(&["--policy", "rbac", "--verdict", "allow"]);
    assert!(obeyed.iter().any(|record| record["request"]["authorization"]["action"] == "ReadSecret"));
}

// policy.md: "only `Replaces` removes one, which the validator reports as a warning"
#[test]
fn a_policy_that_replaces_the_roles_is_asked_in_their_place() {
    let all = authorizer("", ALLOW);
    let mut replacing = entry(&all);
    replacing["Replaces"] = json!("rbac");
    let mut stage = Stage::new();
    stage.manifest["Users"]["alice"]["Roles"] = json!([]);
    let policies = [("all", replacing, all.as_slice())];
    let set = stage.set(&stage.naming(&policies), &policies);
    assert!(set.status.success(), "{}", stderr(&set));
    assert!(stderr(&set).contains("Warning") && stderr(&set).contains("rbac"), "{}", stderr(&set));
    assert_eq!(stage.read().status, 200);
    assert!(stage.decisions(&["--policy", "rbac"]).is_empty());
}

// policy.md: "the policies of the current manifest and of the proposed one both judge it"
#[test]
fn an_update_is_judged_by_the_policies_in_force_and_by_its_own() {
    let sundays = no_updates("no changes on Sundays");
    let entry = json!({ "World": "manifest-validation", "Component": digest(&sundays) });
    let policies = [("sundays", entry, sundays.as_slice())];

    let in_force = Stage::with(&policies);
    let without = in_force.update(&in_force.naming(&[]), &[]);
    assert!(stderr(&without).contains("invalid manifest: no changes on Sundays"), "{}", stderr(&without));

    let stage = Stage::with(&[]);
    let with = stage.update(&stage.naming(&policies), &policies);
    assert!(stderr(&with).contains("invalid manifest: no changes on Sundays"), "{}", stderr(&with));
    assert!(!stage.ok(&["policy", "list"]).contains(&digest(&sundays)), "a refused update leaves nothing");
}

#[test]
fn a_policy_that_an_update_removes_is_gone_with_its_bytes() {
    let rooms = denies("this room is locked", "ReadSecret");
    let stage = Stage::with(&[("rooms", entry(&rooms), &rooms)]);
    let updated = stage.update(&stage.naming(&[]), &[]);
    assert!(updated.status.success(), "{}", stderr(&updated));
    assert_eq!(stage.read().status, 200);
    assert!(!stage.ok(&["policy", "list"]).contains(&digest(&rooms)));
    let pulled = stage.carrara(&["policy", "pull", &digest(&rooms), "-o", "gone.wasm"]);
    assert!(stderr(&pulled).contains("no component of this digest"), "{}", stderr(&pulled));
    assert!(!stage.path("gone.wasm").exists());
    let built_in = api::get(&stage.coordinator, "/api/v2/policies").data();
    let rbac =
        built_in["policies"].as_array().unwrap().iter().find(|policy| policy["builtIn"] == "rbac").unwrap();
    stage.ok(&["policy", "pull", rbac["digest"].as_str().unwrap(), "-o", "rbac.wasm"]);
}

// policy.md: "where nobody could update again, that is a warning"
#[test]
fn an_update_whose_policies_let_nobody_update_again_is_a_warning() {
    let stage = Stage::with(&[]);
    let frozen = denies("frozen", "UpdateManifest");
    let policies = [("frozen", entry(&frozen), frozen.as_slice())];
    let updated = stage.update(&stage.naming(&policies), &policies);
    assert!(updated.status.success(), "{}", stderr(&updated));
    assert!(stderr(&updated).contains("nobody could update this manifest again"), "{}", stderr(&updated));
    let refused = stage.update(&stage.naming(&[]), &[]);
    assert!(stderr(&refused).contains("frozen: frozen"), "{}", stderr(&refused));
}

// P-20: without a terminal and without --yes it is an error, and nothing has changed
#[test]
fn an_update_whose_policies_let_nobody_update_again_needs_a_yes() {
    let stage = Stage::with(&[]);
    let frozen = denies("frozen", "UpdateManifest");
    let policies = [("frozen", entry(&frozen), frozen.as_slice())];
    let refused = stage.send(&["manifest", "update", "apply"], &stage.naming(&policies), &policies);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("would lock everybody out"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("give --yes"), "{}", stderr(&refused));
    assert_eq!(api::manifest(&stage.coordinator).0, stage.naming(&[]).to_string());
    // Programs may say the same, in both versions, and without it nothing is refused.
    for (version, status) in [(Version::V1, 422), (Version::V2, 422)] {
        let path = format!("{}?lockout=refuse", version.path("/update"));
        let body = version.manifest(&stage.locked_by_roles().to_string());
        let answer = api::post_as(&stage.coordinator, &stage.alice, &path, body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert!(stage.update(&stage.naming(&policies), &policies).status.success());
    // The policy is named, and not the roles.
    let denied = stage.update(&stage.naming(&[]), &[]);
    assert!(stderr(&denied).contains("the policy frozen of the manifest denied it"), "{}", stderr(&denied));
}

#[test]
fn the_second_of_two_updates_against_the_same_manifest_is_refused() {
    let stage = Stage::with(&[]);
    let fingerprint = api::manifest(&stage.coordinator).1;
    let other = |argument: &str| {
        let mut manifest = stage.manifest.clone();
        manifest["Marbles"][argument] = manifest["Marbles"]["svc"].clone();
        manifest["Policies"] = json!({});
        manifest.to_string()
    };
    for version in [Version::V1, Version::V2] {
        let base = api::manifest(&stage.coordinator).1;
        let send = |base: &str, argument: &str| {
            let path = format!("{}?base={base}", version.path("/update"));
            api::post_as(&stage.coordinator, &stage.alice, &path, version.manifest(&other(argument)))
        };
        let name = format!("first{}", version.path("").len());
        assert_eq!(send(&base, &name).status, 200);
        for late in [&base, &fingerprint] {
            let refused = send(late, "second");
            assert_eq!(refused.status, 409, "{}", refused.body);
            assert!(refused.message().contains("another manifest is in force"), "{}", refused.body);
        }
        assert_eq!(api::manifest(&stage.coordinator).0, other(&name));
        assert_eq!(send("0", "second").status, 400);
    }
}

#[test]
fn the_manifest_in_force_is_not_sent_again() {
    let stage = Stage::with(&[]);
    let lines = api::log_lines(&stage.coordinator).len();
    let told = stage.send(&["manifest", "update", "apply"], &stage.naming(&[]), &[]);
    assert!(told.status.success(), "{}", stderr(&told));
    assert!(String::from_utf8_lossy(&told.stdout).ends_with("says the same already\nNothing was sent\n"));
    assert_eq!(api::log_lines(&stage.coordinator).len(), lines);
}

#[test]
fn what_is_no_webassembly_is_refused_in_a_sentence() {
    let stage = Stage::with(&[]);
    std::fs::write(stage.path("garbage.wasm"), "garbage").unwrap();
    let refused = stage.carrara(&["policy", "push", "garbage.wasm"]);
    assert!(!refused.status.success());
    let error = stderr(&refused);
    assert!(error.contains("it does not begin as WebAssembly does"), "{error}");
    assert!(!error.contains("expected=") && !error.contains("0x"), "{error}");
}

// policy.md, "Limits and failure"
#[test]
fn a_broken_authorizer_denies_and_is_named() {
    let broken = authorizer(
        "",
        "(if (i32.eq (i32.load offset=60 (local.get 0)) (i32.const 10)) (then unreachable)) (i32.const 2048)",
    );
    let stage = Stage::with(&[("broken", entry(&broken), &broken)]);
    let denied = stage.read();
    assert_eq!(denied.status, 500, "{}", denied.body);
    assert_eq!(denied.message(), "policy \"broken\" could not decide");
    let failed = stage.decisions(&["--policy", "broken", "--verdict", "failed"]);
    assert!(failed[0]["answer"]["failed"].as_str().unwrap().contains("unreachable"), "{failed:?}");
    assert_eq!(api::get(&stage.coordinator, "/api/v2/status").status, 200);
}

// policy.md: "Compilation happens off the request path"; "503 / UNAVAILABLE with Retry-After"
#[test]
fn while_a_policy_is_compiled_after_a_restart_the_answer_is_503_and_then_it_decides() {
    let body = "(local $n i64) (local.set $n (i64.const 7))".to_owned()
        + &"(local.set $n (i64.mul (i64.xor (local.get $n) (i64.const 31)) (i64.add (local.get $n) (i64.const 3))))".repeat(60)
        + "(local.get $n)";
    let many: String = (0..4000).map(|number| format!("(func $f{number} (result i64) {body})")).collect();
    let slow = component(
        "role-authorization",
        &format!(
            "(func (export \"carrara:policy/role-authorizer@1.0.0#authorize\") (param i32) (result i32) {ALLOW}) {many}"
        ),
    );
    let mut stage = Stage::with(&[("slow", entry(&slow), &slow)]);
    stage.restart();
    let first = stage.read();
    assert_eq!(first.status, 503, "{}", first.body);
    assert!(first.has_header("retry-after: 1"), "{}", first.headers);
    assert_eq!(first.message(), "policy \"slow\" is being compiled; try again");
    assert_eq!(api::get(&stage.coordinator, "/api/v2/manifest").status, 200, "others are served");
    before_the_deadline("the policy is compiled", || (stage.read().status == 200).then_some(()));
}

// P-22: where memory ends while a policy is compiled, the process would
#[test]
fn a_policy_that_takes_more_memory_to_compile_than_it_may_is_refused_and_denies_after_a_restart() {
    let calls = "(call $nothing)".repeat(4000);
    let large = component(
        "role-authorization",
        &format!(
            "(func (export \"carrara:policy/role-authorizer@1.0.0#authorize\") (param i32) (result i32) {ALLOW})
             (func $nothing) (func {calls})"
        ),
    );
    let policies: [(&str, Value, &[u8]); 1] = [("large", entry(&large), &large)];
    let told = "compiling the component takes about 29 MiB of memory; at most 16 MiB are allowed here: make it smaller, or raise \
                `compiling-mib` of the coordinator where it has the memory";
    let limit = ["--compiling-mib", "16"];
    let limited = |launch: Launch| limit.into_iter().fold(launch, Launch::argument);

    let stage = Stage::launched(limited(Launch::new()));
    let refused = stage.set(&stage.naming(&policies), &policies);
    assert!(!refused.status.success() && stderr(&refused).contains(told), "{}", stderr(&refused));
    assert!(stage.set(&stage.naming(&[]), &[]).status.success(), "nothing was set");

    let mut stage = Stage::with(&policies);
    assert_eq!(stage.read().status, 200);
    stage.launch = limited(std::mem::replace(&mut stage.launch, Launch::new()));
    stage.restart();
    let denied =
        before_the_deadline("it was tried", || Some(stage.read()).filter(|answer| answer.status != 503));
    assert_eq!(denied.status, 500, "{}", denied.body);
    assert_eq!(denied.message(), "policy \"large\" is unavailable");
    stage.coordinator.wait_for_log(|log| log.contains(told));
}

#[test]
fn what_is_no_policy_is_refused_when_it_is_sent_and_strangers_send_nothing() {
    let stage = Stage::with(&[]);
    let sent = |body: &[u8]| api::post_as(&stage.coordinator, &stage.alice, "/api/v2/policies", body);
    let refused = sent(b"\0asm no component");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.message().starts_with("this is no policy that can be used: "), "{}", refused.body);
    assert_eq!(sent(&vec![0; (32 << 20) + 1]).status, 413);
    let rooms = denies("x", "ReadSecret");
    assert_eq!(api::post(&stage.coordinator, "/api/v2/policies", &rooms).status, 401);
    assert_eq!(sent(&rooms).status, 200);
    assert_eq!(api::get(&stage.coordinator, &format!("/api/v2/policies/{}", digest(&rooms))).status, 200);
    let along = Version::V2.manifest(&stage.naming(&[]).to_string());
    assert_eq!(api::post_as(&stage.coordinator, &stage.alice, "/api/v2/update", along).status, 200);
}

// A coordinator's decisions are asked again: by the component that made them nothing changes, by another one it is told what would
#[test]
fn decisions_of_a_coordinator_are_replayed_against_another_component() {
    let sundays = no_updates("no changes on Sundays");
    let rooms = denies("this room is locked", "ReadSecret");
    let validator = json!({ "World": "manifest-validation", "Component": digest(&sundays) });
    let stage = Stage::with(&[("rooms", entry(&rooms), rooms.as_slice()), ("sundays", validator, &sundays)]);
    assert_eq!(stage.read().status, 500);
    assert_eq!(stage.read().status, 500);
    std::fs::write(stage.path("open.wasm"), authorizer("", ALLOW)).unwrap();
    let replay = |component: &str, world: &str, name: &str| {
        let line = ["policy", "replay", component, "--world", world, "--name", name, "--output", "json"];
        let output = stage.carrara(&[&line[..], &["--exit-code", "--coordinator"]].concat());
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), found, stderr(&output))
    };
    let (code, same, told) = replay("rooms", "role-authorization", "rooms");
    assert_eq!((code, &same["changes"]), (Some(0), &json!([])), "{told}");
    assert!(same["replayed"].as_u64().unwrap() >= 2, "{same}");
    let (code, other, told) = replay("open.wasm", "role-authorization", "rooms");
    assert_eq!(code, Some(5), "{told}");
    let changes = other["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{other}");
    for change in changes {
        assert_eq!((&change["old"], &change["new"]), (&json!("deny"), &json!("allow")));
        assert!(change["old-answer"].as_str().unwrap().contains("this room is locked"), "{change}");
        assert_eq!(change["request"]["action"], "ReadSecret", "{change}");
    }
    // The manifest in force is read from the coordinator, too.
    let (code, validations, told) = replay("sundays", "manifest-validation", "sundays");
    assert_eq!(
        (code, &validations["replayed"], &validations["not-replayable"]),
        (Some(0), &json!(1), &json!(0)),
        "{told}"
    );
    let (code, _, told) = replay("rooms", "role-authorization", "doors");
    assert!(code == Some(1) && told.contains("no decisions"), "{told}");
}

// What a verifier has is compared with what rules the coordinator
#[test]
fn verifying_a_manifest_compares_components_with_those_that_it_names() {
    let rooms = denies("this room is locked", "ReadSecret");
    let open = authorizer("", ALLOW);
    let stage = Stage::with(&[("rooms", entry(&rooms), rooms.as_slice()), ("open", entry(&open), &open)]);
    std::fs::write(stage.path("other.wasm"), denies("another", "ReadSecret")).unwrap();
    let verify =
        |file: &str| stage.carrara_as(&["manifest", "verify", "--policy", file, "manifest.json"], &[]);
    let verified = verify("rooms");
    assert!(verified.status.success(), "{}", stderr(&verified));
    let expected = format!(
        "OK\npolicy open: {}  not compared\npolicy rooms: {}  rooms\n",
        digest(&open),
        digest(&rooms)
    );
    assert_eq!(String::from_utf8_lossy(&verified.stdout), expected);
    let refused = verify("other.wasm");
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(stderr(&refused).contains("other.wasm is the component sha256:"), "{}", stderr(&refused));
}
