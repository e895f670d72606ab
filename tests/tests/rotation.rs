//! What an update does to secrets, certificates and counts, as Marbles see it (S-34, S-40..S-43, L-60, L-61, X-22).

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::marble::{activate, identity_writer, premain};
use carrara_tests::openssl::Chain;
use carrara_tests::users::User;
use carrara_tests::{fail, manifests, succeed};
use serde_json::{Value, json};

/// Alice may do everything; the Marble `svc` leaves its identity and the file `keys` in its folder.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    manifest: Value,
    alice: User,
    marble: PathBuf,
}

const READABLE: [&str; 4] = ["shared", "cert", "token", "extra"];

impl Stage {
    fn new(folder: &Path) -> Self {
        let alice = User::new(folder, "alice");
        let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
        manifest["Secrets"] = json!({
            "private": { "Type": "symmetric-key", "Size": 256 },
            "shared": { "Type": "symmetric-key", "Size": 256, "Shared": true },
            "cert": { "Type": "cert-ecdsa", "Size": 256, "Shared": true, "ValidFor": 20 },
            "own": { "Type": "cert-ecdsa", "Size": 256, "ValidFor": 20 },
            "token": { "Type": "plain", "UserDefined": true },
            "extra": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        });
        manifests::grant(&mut manifest, "alice", "reader", "Secrets", &READABLE, &["ReadSecret"]);
        manifests::grant(&mut manifest, "alice", "writer", "Secrets", &["token"], &["WriteSecret"]);
        manifests::grant(
            &mut manifest,
            "alice",
            "packager",
            "Packages",
            &["pkg"],
            &["UpdateSecurityVersion"],
        );
        let parameters = &mut manifest["Marbles"]["svc"]["Parameters"];
        parameters["Argv"] = identity_writer();
        let keys = "private={{ hex .Secrets.private }}\nprivate-before={{ hex .Previous.Secrets.private }}\n\
            shared={{ hex .Secrets.shared }}\nshared-before={{ hex .Previous.Secrets.shared }}\n\
            cert={{ hex .Secrets.cert.Cert }}\ncert-before={{ hex .Previous.Secrets.cert.Cert }}\n\
            root={{ hex .MarbleRun.RootCA.Cert }}\n";
        parameters["Files"] = json!({ "keys": keys });
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, manifest, alice, marble: folder.join("svc") }
    }

    /// What the Marble gets now.
    fn activated(&self) -> Seen {
        let identity = activate(&self.coordinator, &self.marble, "svc");
        let text = std::fs::read_to_string(self.marble.join("keys")).unwrap();
        Seen { text, identity }
    }

    fn update(&self, proposed: &Value) {
        let answer = api::update(&self.coordinator, Version::V2, &self.alice, proposed);
        assert_eq!(
            (answer.status, answer.data()["missingAcknowledgments"].clone()),
            (200, json!(0)),
            "{}",
            answer.body
        );
    }

    fn update_package(&self) {
        self.update(&json!({ "Packages": { "pkg": { "SecurityVersion": 2 } } }));
    }
}

/// The Marble's file.
struct Seen {
    text: String,
    identity: User,
}

impl Seen {
    fn get(&self, name: &str) -> &str {
        let prefix = format!("{name}=");
        self.text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {name}"))
    }
}

/// What openssl says of a certificate in hex.
fn described(folder: &Path, der: &str, option: &str) -> String {
    let file = folder.join("described");
    std::fs::write(&file, hex::decode(der).unwrap()).unwrap();
    succeed(Command::new("openssl").args(["x509", "-inform", "DER", "-noout", option, "-in"]).arg(&file))
}

// S-40, S-43, S-34, L-60, X-68
#[test]
fn a_package_update_renews_certificates_and_leaves_keys_and_previous_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let before = stage.activated();
    for name in ["private", "shared", "cert"] {
        assert_eq!(before.get(name), before.get(&format!("{name}-before")), "S-40: {name}");
    }
    let valid_until = described(folder.path(), before.get("cert"), "-enddate");
    stage.update_package();
    let after = stage.activated();
    for name in ["private", "shared"] {
        assert_eq!(after.get(name), before.get(name), "{name} is kept");
        assert_eq!(after.get(&format!("{name}-before")), before.get(name), "S-43: {name}");
    }
    assert_ne!(after.get("cert"), before.get("cert"), "issued again by the new intermediate");
    assert_eq!(after.get("cert-before"), before.get("cert"), "S-43");
    assert_eq!(described(folder.path(), after.get("cert"), "-enddate"), valid_until, "S-34");
    assert_ne!(after.get("root"), before.get("root"));
}

// S-41, S-41a, S-42, L-61
#[test]
fn a_full_update_keeps_what_is_unchanged_and_moves_what_it_renews_to_previous() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let token = json!({ "token": { "Key": STANDARD.encode("kept") } });
    assert_eq!(api::upload(&stage.coordinator, Version::V2, &stage.alice, &token).status, 200);
    let first = stage.activated();
    let mut proposed = stage.manifest.clone();
    proposed["Marbles"]["second"] = proposed["Marbles"]["svc"].clone();
    stage.update(&proposed);
    let second = stage.activated();
    for name in ["private", "shared", "private-before", "shared-before"] {
        assert_eq!(second.get(name), first.get(name), "unchanged: {name}");
    }
    assert_ne!(second.get("cert"), first.get("cert"), "issued again");
    assert_eq!(second.get("cert-before"), first.get("cert"));
    let token = api::secret(&stage.coordinator, &stage.alice, "token");
    assert_eq!(token["Public"], STANDARD.encode("kept"), "user-defined secrets are kept");

    proposed["Config"]["RotateRootSecret"] = json!(true);
    stage.update(&proposed);
    let third = stage.activated();
    for name in ["private", "shared", "cert"] {
        assert_ne!(third.get(name), second.get(name), "rotated: {name}");
        assert_eq!(third.get(&format!("{name}-before")), second.get(name), "S-42: {name}");
    }
    // S-42: on every full update that has it true, with one generation of history.
    stage.update(&proposed);
    let fourth = stage.activated();
    assert_ne!(fourth.get("private"), third.get("private"));
    assert_eq!(fourth.get("private-before"), third.get("private"));
}

// S-41, L-61: redefined and removed secrets
#[test]
fn a_redefined_secret_is_new_in_both_places_and_a_removed_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let token = json!({ "token": { "Key": STANDARD.encode("gone soon") } });
    assert_eq!(api::upload(&stage.coordinator, Version::V1, &stage.alice, &token).status, 200);
    let before = stage.activated();
    let extra = api::secret(&stage.coordinator, &stage.alice, "extra");
    let mut proposed = stage.manifest.clone();
    proposed["Secrets"]["shared"]["Size"] = json!(128);
    proposed["Secrets"]["token"] = json!({ "Type": "symmetric-key", "Size": 128, "UserDefined": true });
    proposed["Secrets"].as_object_mut().unwrap().remove("extra");
    proposed["Roles"]["reader"]["ResourceNames"] = json!(["shared", "cert", "token"]);
    stage.update(&proposed);
    let after = stage.activated();
    assert_ne!(after.get("shared"), before.get("shared"));
    assert_eq!(after.get("shared-before"), after.get("shared"), "the old one is lost");
    assert_eq!(api::secret(&stage.coordinator, &stage.alice, "token")["Private"], Value::Null, "emptied");
    let gone = api::get_as(&stage.coordinator, &stage.alice, "/secrets?s=extra");
    assert_eq!(gone.message(), "user alice is not allowed to read one or more secrets of: [extra]");
    // Defined again it is another key.
    stage.update(&stage.manifest);
    assert_ne!(api::secret(&stage.coordinator, &stage.alice, "extra")["Private"], extra["Private"]);
}

// L-60, L-61, X-22, G-48: old Marbles are still recognised by the coordinator's root, new ones by both
#[test]
fn old_marbles_certificates_chain_to_the_root_and_not_to_the_new_marble_root() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let full = stage.manifest.clone();
    let packages = json!({ "Packages": { "pkg": { "SecurityVersion": 2 } } });
    for (index, update) in [packages, full].iter().enumerate() {
        let chain = Chain::fetch(&stage.coordinator, folder.path());
        let root = std::fs::read(&chain.root).unwrap();
        let intermediate = std::fs::read(&chain.intermediate).unwrap();
        let alternative = names(&chain.intermediate);
        assert!(alternative.contains("IP Address:127.0.0.1") && alternative.contains("DNS:localhost"));
        let old = stage.activated().identity;
        let kept = folder.path().join(format!("old-{index}.pem"));
        std::fs::copy(&old.certificate_file, &kept).unwrap();

        stage.update(update);
        let chain = Chain::fetch(&stage.coordinator, folder.path());
        assert_eq!(std::fs::read(&chain.root).unwrap(), root, "the root stays");
        assert_ne!(std::fs::read(&chain.intermediate).unwrap(), intermediate);
        assert_eq!(names(&chain.intermediate), alternative, "X-22");
        // With the chain that it sends itself.
        succeed(&mut verify(&chain.root, Some(&kept), &kept));
        let new = stage.activated().identity;
        let marble_root = stage.marble.join("marble-root.pem");
        fail(&mut verify(&marble_root, None, &kept));
        succeed(&mut verify(&marble_root, None, &new.certificate_file));
        succeed(&mut verify(&chain.root, Some(&chain.intermediate), &new.certificate_file));
    }
}

fn verify(anchor: &Path, untrusted: Option<&Path>, leaf: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.arg("verify").arg("-CAfile").arg(anchor);
    if let Some(untrusted) = untrusted {
        command.arg("-untrusted").arg(untrusted);
    }
    command.arg(leaf);
    command
}

fn names(certificate: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(certificate);
    succeed(&mut command)
}

// M-92, L-61, X-33: counts of activations outlast updates of both kinds
#[test]
fn counts_of_activations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let mut limited = stage.manifest.clone();
    limited["Marbles"]["svc"]["MaxActivations"] = json!(2);
    stage.update(&limited);
    let _ = stage.activated();
    stage.update_package();
    let _ = stage.activated();
    stage.update(&limited);
    let refused = fail(&mut premain(&stage.coordinator, &stage.marble, "svc"));
    assert!(refused.contains("reached max activations count (2) for marble type \"svc\""), "{refused}");
}

// L-61, X-25: everything that an update made is there after a kill
#[test]
fn what_an_update_made_outlasts_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let mut proposed = stage.manifest.clone();
    proposed["Config"]["RotateRootSecret"] = json!(true);
    stage.update(&proposed);
    let before = stage.activated();
    let lines = api::log_lines(&stage.coordinator);
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    assert_eq!(stage.activated().text, before.text);
    assert_eq!(api::log_lines(&stage.coordinator), lines);
    assert_eq!(api::manifest(&stage.coordinator).0, proposed.to_string());
}
