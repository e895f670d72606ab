//! Recovery as holders of recovery keys do it: `carrara recover` and `carrara recover-with-signature` on the real coordinator
//! (lifecycle.md section 7, cli.md section 3), and what is there afterwards.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::marble::{activate, identity_writer};
use carrara_tests::users::{RecoveryKey, User};
use carrara_tests::{api, binary, manifests, run, skip, succeed};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// A coordinator with holders of recovery keys, a user and a Marble, whose sealing key can be lost.
struct Stage {
    folder: tempfile::TempDir,
    launch: Launch,
    coordinator: Coordinator,
    manifest: Value,
    alice: User,
    /// The Marble that runs.
    marble: User,
    before: Value,
}

impl Stage {
    /// Set up by the command line, which keeps the recovery data in `recovery.json`.
    fn new(holders: usize, threshold: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = User::new(folder.path(), "alice");
        let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
        manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        manifests::grant(&mut manifest, "alice", "reader", "Secrets", &["key"], &["ReadSecret"]);
        manifest["Marbles"]["svc"]["Parameters"]["Argv"] = identity_writer();
        manifest["Config"] = json!({ "FeatureGates": ["MonotonicCounter"] });
        let launch = Launch::new();
        let coordinator = launch.start();
        let marble = alice.clone();
        let mut stage = Self { folder, launch, coordinator, manifest, alice, marble, before: json!(null) };
        stage.manifest = stage.with_keys(&NAMES[..holders], "", threshold);
        stage.write("manifest.json", stage.manifest.to_string());
        let line = ["manifest", "set", "manifest.json", &stage.host(), "-r", "recovery.json"];
        stage.ok(&line);
        stage.marble = activate(&stage.coordinator, &stage.path("before"), "svc");
        assert_eq!(stage.count(5), 0);
        stage.before = stage.shown();
        stage
    }

    /// The manifest with new keys of these holders; their files are `NAME.pem` with `suffix` before the dot.
    fn with_keys(&self, holders: &[&str], suffix: &str, threshold: u64) -> Value {
        let mut manifest = self.manifest.clone();
        manifest["RecoveryKeys"] = json!({});
        for name in holders {
            let key = RecoveryKey::new(self.folder.path(), &format!("{name}{suffix}"));
            manifest["RecoveryKeys"][name] = json!(key.public);
        }
        manifest["Config"]["RecoveryThreshold"] = json!(threshold);
        manifest
    }

    fn key(&self, file: &str) -> RecoveryKey {
        RecoveryKey { public: String::new(), private_file: self.path(file) }
    }

    /// The holder's part of the recovery data, decrypted by openssl.
    fn secret(&self, holder: &str) -> Vec<u8> {
        let data: Value = serde_json::from_slice(&self.read("recovery.json")).unwrap();
        let part = data["RecoverySecrets"][holder].as_str().unwrap();
        self.write("part", STANDARD.decode(part).unwrap());
        self.key(&format!("{holder}.pem")).decrypt(&self.read("part"))
    }

    /// The machine's sealing key is lost.
    fn lose(&mut self) {
        self.coordinator.kill();
        std::fs::remove_file(self.launch.seal_dir().join("sealed_key")).unwrap();
        self.restart();
        assert_eq!(self.code(), 1);
    }

    fn restart(&mut self) {
        self.coordinator.kill();
        self.coordinator = self.launch.start();
    }

    fn code(&self) -> Value {
        api::get(&self.coordinator, "/api/v2/status").data()["code"].clone()
    }

    fn host(&self) -> String {
        self.coordinator.rest.to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn carrara(&self, line: &[&str]) -> Output {
        let mut command = Command::new(binary("carrara"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        run(command.args(line).arg("--insecure").stdin(Stdio::null()))
    }

    #[track_caller]
    fn ok(&self, line: &[&str]) -> String {
        let output = self.carrara(line);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, line: &[&str]) -> String {
        let output = self.carrara(line);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        error
    }

    /// `recover FILE HOST -k KEY` with what it must say.
    #[track_caller]
    fn recover(&self, file: &str, key: &str, missing: usize) {
        let said = self.ok(&["recover", file, &self.host(), "-k", key]);
        let expected = match missing {
            0 => "Recovery successful.".to_owned(),
            n => format!("Secret was processed successfully. Upload the next secret. Remaining secrets: {n}"),
        };
        assert_eq!(said.lines().next(), Some(expected.as_str()), "{said}");
    }

    #[track_caller]
    fn recover_refused(&self, file: &str, key: &str) -> String {
        let error = self.refused(&["recover", file, &self.host(), "-k", key]);
        assert_eq!(self.code(), 1);
        error
    }

    /// Advances the running Marble's counter; gives the value before.
    fn count(&self, value: u64) -> u64 {
        let body = json!({ "name": "n", "value": value }).to_string();
        let answer = api::post_as(&self.coordinator, &self.marble, "/api/v2/monotonic-counter", body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()["value"].as_u64().unwrap()
    }

    /// What clients know a coordinator and its state by.
    fn shown(&self) -> Value {
        let get = |path: &str| api::get_as(&self.coordinator, &self.alice, path).data();
        let secret = get("/api/v2/secrets?s=key");
        json!([get("/api/v2/quote")["cert"], get("/api/v2/manifest"), secret, get("/api/v2/update")])
    }

    /// L-49a: the root certificate, the manifest, the secrets and the log are those before the loss, also after the next start; the
    /// Marble that ran goes on, and a new one gets the same root.
    fn expect_recovered(mut self) {
        for restarted in [false, true] {
            if restarted {
                self.restart();
            }
            assert_eq!(self.code(), 3);
            assert_eq!(self.shown(), self.before);
            assert_eq!(self.count(6 + u64::from(restarted)), 5 + u64::from(restarted));
        }
        let _new = activate(&self.coordinator, &self.path("after"), "svc");
        assert_eq!(self.read("after/marble-root.pem"), self.read("before/marble-root.pem"));
        // What the command line trusted before, it trusts again.
        let mut status = Command::new(binary("carrara"));
        status.args(["status", &self.host()]).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        assert!(succeed(&mut status).starts_with("3: "));
    }
}

// L-41, L-44, L-46, L-49, X-18, X-29: a wrong one is an error at once, and the right one after it works at once
#[test]
fn the_holder_of_the_only_key_recovers_from_the_recovery_data_as_it_was_saved() {
    let mut stage = Stage::new(1, 0);
    stage.lose();
    let _ = RecoveryKey::new(stage.folder.path(), "other");
    let error = stage.recover_refused("recovery.json", "other.pem");
    assert!(
        error.contains("recovery.json") && error.contains("not encrypted for this recovery key"),
        "{error}"
    );
    stage.write("wrong", [9; 32]);
    for _ in 0..2 {
        let error = stage.recover_refused("wrong", "one.pem");
        assert!(error.contains("does not open the state") && error.contains("newest"), "{error}");
    }
    stage.write("mine", stage.secret("one"));
    let error = stage.recover_refused("mine", "other.pem");
    assert!(error.contains("not signed by any"), "{error}");
    stage.recover("recovery.json", "one.pem", 0);
    let again = stage.refused(&["recover", "recovery.json", &stage.host(), "-k", "one.pem"]);
    assert!(again.contains("not in recovery") && again.contains("carrara status"), "{again}");
    stage.expect_recovered();
}

// L-42, L-47, X-29: each form of a secret; wrong, repeated and foreign ones keep the progress
#[test]
fn three_of_three_holders_recover_and_what_is_wrong_between_costs_nothing() {
    let mut stage = Stage::new(3, 0);
    let other = Stage::new(3, 0);
    stage.lose();
    stage.write("two.secret", stage.secret("two"));
    assert_eq!(stage.read("two.secret").len(), 32);
    let (_, _) = (stage.secret("three"), std::fs::rename(stage.path("part"), stage.path("three.blob")));
    stage.write("foreign", other.secret("one"));
    stage.write("wrong", [9; 32]);

    stage.recover("recovery.json", "one.pem", 2);
    for (file, key) in [("recovery.json", "one.pem"), ("foreign", "two.pem"), ("wrong", "two.pem")] {
        let error = stage.recover_refused(file, key);
        assert!(error.contains("uploaded an invalid or already used secret"), "{error}");
        assert!(error.contains("accepted before are kept"), "{error}");
    }
    stage.recover("two.secret", "two.pem", 1);
    stage.recover("three.blob", "three.pem", 0);
    stage.expect_recovered();
}

// L-43, L-48, X-19, X-32: a plain share has 33 bytes; the count is exact
#[test]
fn two_of_three_holders_recover_with_shares_in_the_clear() {
    let mut stage = Stage::new(3, 2);
    stage.lose();
    for name in ["three", "one"] {
        stage.write(name, stage.secret(name));
        assert_eq!(stage.read(name).len(), 33);
    }
    let line = ["recover", "three", &stage.host(), "-k", "three.pem", "--output", "json"];
    let step: Value = serde_json::from_str(&stage.ok(&line)).unwrap();
    assert_eq!(step["remaining"], 1);
    stage.recover("one", "one.pem", 0);
    stage.expect_recovered();
}

// L-43: both ways with an implementation that is not ours: it joins our shares, and what it splits opens our state
#[test]
fn shares_fit_an_independent_implementation() {
    let python = std::env::var_os("CARRARA_PYTHON").unwrap_or_else(|| "python3".into());
    if !Command::new(&python).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip::skip("shares_fit_an_independent_implementation", "apt-get install -y python3-venv");
    }
    let shamir = |x: u8, shares: &[&[u8]]| {
        let mut command = Command::new(&python);
        command.arg(carrara_tests::root().join("tests/clients/shamir.py")).args(["at", &x.to_string()]);
        hex::decode(succeed(command.args(shares.iter().map(hex::encode))).trim()).unwrap()
    };
    let cases = std::fs::read(carrara_tests::root().join("tests/fixtures/shamir/cases.json")).unwrap();
    for case in serde_json::from_slice::<Vec<Value>>(&cases).unwrap() {
        let shares: Vec<_> = case["shares"].as_array().unwrap().iter().map(Value::as_str).collect();
        let shares: Vec<_> = shares.into_iter().map(|share| hex::decode(share.unwrap()).unwrap()).collect();
        let shares: Vec<&[u8]> = shares.iter().map(Vec::as_slice).collect();
        let threshold = usize::try_from(case["threshold"].as_u64().unwrap()).unwrap();
        assert_eq!(hex::encode(shamir(0, &shares[..threshold])), case["secret"].as_str().unwrap());
    }

    let mut stage = Stage::new(3, 2);
    stage.lose();
    let [one, two, three] = NAMES.map(|name| stage.secret(name));
    let key = shamir(0, &[&one, &two]);
    assert_eq!(key.len(), 32);
    for pair in [[&one, &three], [&three, &two]] {
        assert_eq!(shamir(0, &pair.map(Vec::as_slice)), key, "ours split, theirs join");
    }
    let theirs = shamir(*three.last().unwrap(), &[&two, &one]);
    assert_eq!(theirs, three);
    stage.write("theirs", theirs);
    stage.recover("theirs", "three.pem", 1);
    stage.recover("recovery.json", "two.pem", 0);
    stage.expect_recovered();
}

// L-44, R-43, R-46, cli.md recover-with-signature
#[test]
fn a_secret_is_encrypted_and_signed_where_no_network_is_and_sent_from_elsewhere() {
    let mut stage = Stage::new(3, 2);
    let not_yet = stage.refused(&["recover-with-signature", "public-key", &stage.host()]);
    assert!(not_yet.contains("not in recovery"), "{not_yet}");
    stage.lose();
    stage.ok(&["recover-with-signature", "public-key", &stage.host(), "-o", "coordinator.pub"]);
    let printed = stage.ok(&["recover-with-signature", "public-key", &stage.host()]);
    assert_eq!(printed.as_bytes(), stage.read("coordinator.pub"));
    let shown = succeed(
        Command::new("openssl")
            .args(["pkey", "-pubin", "-noout", "-text", "-in"])
            .arg(stage.path("coordinator.pub")),
    );
    assert!(shown.contains("4096 bit"), "{shown}");

    let offline = |step: &str, name: &str, output: &str| {
        let key = format!("{name}.pem");
        let line = ["recover-with-signature", step, "recovery.json", "-k", &key, "-o", output];
        let more: &[&str] =
            if step == "sign-secret" { &[] } else { &["--coordinator-pub-key", "coordinator.pub"] };
        stage.ok(&[&line[..], more].concat())
    };
    offline("encrypt-secret", "one", "one.sent");
    offline("sign-secret", "one", "one.sig");
    offline("sign-secret", "two", "two.sig");
    assert_eq!(stage.read("one.sig"), stage.key("one.pem").sign(&stage.secret("one")), "as openssl signs");
    assert!(!contains(&stage.read("one.sent"), &stage.secret("one")));

    let host = stage.host();
    let send = |secret: &str, signature: &str| {
        stage.carrara(&["recover-with-signature", secret, &host, "-s", signature])
    };
    let said = |output: &Output| {
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
    };
    stage.write("empty", "");
    let unsigned = said(&send("one.sent", "empty"));
    assert!(unsigned.contains("the recovery secret is not signed"), "R-42: at once: {unsigned}");
    assert!(said(&send("one.sent", "one.sig")).contains("Remaining secrets: 1"));
    stage.write("two.plain", stage.secret("two"));
    assert!(said(&send("two.plain", "two.sig")).starts_with("Recovery successful."));
    stage.expect_recovered();
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

// host/docs/recovery.md: progress is in memory, and so is the key that secrets may be encrypted with
#[test]
fn a_restart_between_two_holders_begins_anew_and_says_so() {
    let mut stage = Stage::new(3, 0);
    stage.lose();
    stage.ok(&["recover-with-signature", "public-key", &stage.host(), "-o", "old.pub"]);
    let line = ["recover", "recovery.json", &stage.host(), "-k", "one.pem"];
    assert!(stage.ok(&line).contains("until the coordinator restarts"));
    stage.recover("recovery.json", "two.pem", 1);
    stage.restart();
    let encrypt = ["recover-with-signature", "encrypt-secret", "recovery.json", "-k", "three.pem"];
    stage.ok(&[&encrypt[..], &["-o", "three.sent", "--coordinator-pub-key", "old.pub"]].concat());
    stage.ok(&[
        "recover-with-signature",
        "sign-secret",
        "recovery.json",
        "-k",
        "three.pem",
        "-o",
        "three.sig",
    ]);
    let send = ["recover-with-signature", "three.sent", &stage.host(), "-s", "three.sig"];
    let error = stage.refused(&send);
    assert!(error.contains("was restarted has another public key"), "{error}");
    for (name, missing) in [("three.pem", 2), ("two.pem", 1), ("one.pem", 0)] {
        stage.recover("recovery.json", name, missing);
    }
    stage.expect_recovered();
}

// L-61: an update with other recovery keys
#[test]
fn after_an_update_the_new_holders_recover_and_the_old_ones_cannot() {
    let mut stage = Stage::new(2, 0);
    let updated = stage.with_keys(&NAMES, "-new", 2);
    stage.write("new.json", updated.to_string());
    let host = stage.host();
    let line = ["manifest", "update", "apply", "new.json", &host, "-c", "alice.crt", "-k", "alice.key"];
    stage.ok(&[&line[..], &["-r", "recovery-new.json", "--yes"]].concat());
    // The update renewed the intermediate, so the Marble starts again.
    stage.marble = activate(&stage.coordinator, &stage.path("before"), "svc");
    stage.before = stage.shown();
    stage.lose();
    for name in ["one.pem", "two.pem"] {
        let error = stage.recover_refused("recovery.json", name);
        assert!(error.contains("newest recovery data"), "{error}");
    }
    let error = stage.recover_refused("recovery-new.json", "one.pem");
    assert!(error.contains("not encrypted for this recovery key"), "{error}");
    stage.recover("recovery-new.json", "three-new.pem", 1);
    stage.recover("recovery-new.json", "one-new.pem", 0);
    stage.expect_recovered();
}

// L-49b, L-33, X-1: a new manifest instead; nothing of the old state can be recovered any more
#[test]
fn a_new_manifest_in_recovery_makes_a_new_state_and_ends_the_recovery() {
    let mut stage = Stage::new(2, 0);
    stage.lose();
    stage.recover("recovery.json", "one.pem", 1);
    stage.ok(&["manifest", "set", "manifest.json", &stage.host(), "-r", "recovery-2.json"]);
    assert_eq!(stage.code(), 3);
    assert_ne!(stage.shown()[0], stage.before[0], "another root certificate");
    assert_ne!(stage.shown()[2], stage.before[2], "another secret");
    let log = api::log(&stage.coordinator);
    let updates: Vec<&Value> = log.iter().map(|line| &line["update"]).collect();
    assert_eq!(updates, ["Previous state archived", "Initial manifest set"]);
    let error = stage.refused(&["recover", "recovery.json", &stage.host(), "-k", "two.pem"]);
    assert!(error.contains("not in recovery"), "{error}");
    // The new state is recovered by its own recovery data alone.
    stage.marble = activate(&stage.coordinator, &stage.path("before"), "svc");
    stage.count(5);
    stage.before = stage.shown();
    stage.lose();
    assert!(stage.recover_refused("recovery.json", "one.pem").contains("invalid or already used"));
    stage.recover("recovery-2.json", "one.pem", 1);
    stage.recover("recovery-2.json", "two.pem", 0);
    stage.expect_recovered();
}

// L-40
#[test]
fn without_recovery_keys_the_refusal_names_the_only_way_out() {
    let mut stage = Stage::new(0, 0);
    assert!(!stage.path("recovery.json").exists(), "there is no recovery data");
    stage.lose();
    let _ = RecoveryKey::new(stage.folder.path(), "some");
    stage.write("secret", [1; 32]);
    let error = stage.recover_refused("secret", "some.pem");
    assert!(error.contains("cannot be recovered") && error.contains("set a new manifest"), "{error}");
}

// R-42: the coordinator takes signed secrets only
#[test]
fn without_a_key_nothing_is_sent_and_the_other_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, [1; 32]).unwrap();
    let mut carrara = Command::new(binary("carrara"));
    let error = carrara_tests::fail(carrara.arg("recover").arg(&file).args(["127.0.0.1:1", "--insecure"]));
    assert!(error.contains("--key") && error.contains("recover-with-signature"), "{error}");
}
