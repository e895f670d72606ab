//! First claim: with an owner's certificate configured, nobody else sets the first manifest or a new one in recovery (X-1).

use std::path::Path;
use std::process::{Command, Stdio};

use carrara_tests::api::{self, BOTH, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::users::User;
use carrara_tests::{binary, manifests, run, succeed};
use serde_json::{Value, json};

const STRANGER: &str = "unauthorized user: client certificate did not match any MarbleRun users";

/// A coordinator in simulation, where the option counts, and its owner.
fn launch(folder: &Path) -> (Launch, User) {
    let owner = User::new(folder, "owner");
    let path = owner.certificate_file.to_str().unwrap().to_owned();
    (Launch::new().environment("EDG_COORDINATOR_OWNER_CERT", &path), owner)
}

fn code(coordinator: &Coordinator) -> Value {
    api::get(coordinator, "/api/v2/status").data()["code"].clone()
}

fn set_as(coordinator: &Coordinator, version: Version, user: Option<&User>, manifest: &Value) -> Answer {
    let (path, body) = (version.path("/manifest"), version.manifest(&manifest.to_string()));
    match user {
        Some(user) => api::post_as(coordinator, user, &path, body),
        None => api::post(coordinator, &path, body),
    }
}

/// R-54: 401 in both versions, whatever is sent.
fn expect_refused(coordinator: &Coordinator, user: Option<&User>) {
    for version in BOTH {
        for manifest in [manifests::minimal(), json!("no manifest")] {
            let refused = set_as(coordinator, version, user, &manifest);
            let said = (refused.status, refused.message(), refused.json()["status"].clone());
            assert_eq!(said, (401, STRANGER.to_owned(), json!(version.refusal())));
        }
    }
}

fn lose_key(launch: &Launch, coordinator: &mut Coordinator) -> Coordinator {
    coordinator.kill();
    std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();
    launch.start()
}

/// The same key and names, another certificate, which ended years ago.
fn expired(folder: &Path, user: &User) -> User {
    let file = |name: &str| folder.join(name);
    std::fs::write(file("index"), "").unwrap();
    std::fs::write(file("serial"), "01\n").unwrap();
    let configuration = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n\
                         default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";
    std::fs::write(file("ca.conf"), configuration).unwrap();
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-subj", "/CN=owner", "-out", "expired.csr", "-key"]).arg(&user.key_file);
    succeed(request.current_dir(folder));
    let mut sign = Command::new("openssl");
    sign.args(["ca", "-config", "ca.conf", "-selfsign", "-batch", "-in", "expired.csr", "-notext"]);
    sign.args(["-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", "expired.crt"]);
    succeed(sign.arg("-keyfile").arg(&user.key_file).current_dir(folder));
    let certificate = std::fs::read_to_string(file("expired.crt")).unwrap();
    User { certificate, certificate_file: file("expired.crt"), key_file: user.key_file.clone() }
}

// X-1, R-33, R-34, R-54
#[test]
fn the_first_manifest_is_set_by_the_owner_and_nobody_else() {
    for version in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (launch, owner) = launch(folder.path());
        let coordinator = launch.start();
        expect_refused(&coordinator, None);
        expect_refused(&coordinator, Some(&User::new(folder.path(), "other")));
        // X-36: it is the certificate that counts, not a name or a key.
        expect_refused(&coordinator, Some(&expired(folder.path(), &owner)));
        assert_eq!(code(&coordinator), 2);
        assert!(!launch.seal_dir().join("state.redb").exists());
        let invalid = set_as(&coordinator, version, Some(&owner), &json!("no manifest"));
        assert_eq!(invalid.status, version.failure(), "{}", invalid.body);
        let set = set_as(&coordinator, version, Some(&owner), &manifests::minimal());
        assert_eq!(set.status, 200, "{}", set.body);
        assert_eq!(code(&coordinator), 3);
        for presented in ["no certificate was presented", "the certificate with the SHA-256 "] {
            let line = |log: &str| {
                let refused = log.contains("SetManifest") && log.contains("refused");
                refused && log.contains("the owner's certificate is required") && log.contains(presented)
            };
            coordinator.wait_for_log(line);
        }
    }
}

// X-1, rest-api.md section 5: dates do not matter, as for users
#[test]
fn an_owners_certificate_that_expired_is_still_hers() {
    let folder = tempfile::tempdir().unwrap();
    let owner = expired(folder.path(), &User::new(folder.path(), "owner"));
    let launch = Launch::new().argument("--owner-cert").argument(owner.certificate_file.to_str().unwrap());
    let coordinator = launch.start();
    expect_refused(&coordinator, None);
    assert_eq!(set_as(&coordinator, Version::V2, Some(&owner), &manifests::minimal()).status, 200);
}

// X-1, L-33, L-49b: in recovery; the old state is kept, and the log says that it was replaced
#[test]
fn in_recovery_the_owner_alone_replaces_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, owner) = launch(folder.path());
    let mut coordinator = launch.start();
    assert_eq!(set_as(&coordinator, Version::V1, Some(&owner), &manifests::minimal()).status, 200);
    let mut coordinator = lose_key(&launch, &mut coordinator);
    let state = std::fs::read(launch.seal_dir().join("state.redb")).unwrap();
    expect_refused(&coordinator, None);
    expect_refused(&coordinator, Some(&User::new(folder.path(), "other")));
    assert_eq!(code(&coordinator), 1);
    assert!(!launch.seal_dir().join("archive").exists());
    assert_eq!(set_as(&coordinator, Version::V2, Some(&owner), &manifests::minimal()).status, 200);
    let archived = std::fs::read_dir(launch.seal_dir().join("archive")).unwrap().count();
    assert_eq!((code(&coordinator), archived), (json!(3), 1));
    let log = api::log(&coordinator);
    assert_eq!(log[0]["update"], "Previous state archived");
    let root = log[0]["rootFingerprint"].as_str().unwrap();
    assert!(root.len() == 64 && log[1]["update"] == "Initial manifest set", "{log:?}");
    // Nothing is overwritten by the next one.
    let mut coordinator = lose_key(&launch, &mut coordinator);
    assert_eq!(set_as(&coordinator, Version::V2, Some(&owner), &manifests::minimal()).status, 200);
    let archive = std::fs::read_dir(launch.seal_dir().join("archive")).unwrap();
    let states: Vec<_> = archive.map(|entry| entry.unwrap().path().join("state.redb")).collect();
    assert_eq!(states.len(), 2);
    assert!(states.iter().any(|path| std::fs::read(path).unwrap().len() == state.len()));
    coordinator.kill();
}

// X-1: she owns the claim, not the state
#[test]
fn once_a_manifest_is_set_the_owner_has_no_rights() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, owner) = launch(folder.path());
    let alice = User::new(folder.path(), "alice");
    let coordinator = launch.start();
    let manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
    assert_eq!(set_as(&coordinator, Version::V2, Some(&owner), &manifest).status, 200);
    for version in BOTH {
        let again = set_as(&coordinator, version, Some(&owner), &manifest);
        assert_eq!(
            (again.status, again.message().as_str()),
            (version.failure(), "server is not in expected state")
        );
        assert_eq!(set_as(&coordinator, version, Some(&alice), &manifest).status, 401);
        assert_eq!(api::update(&coordinator, version, &owner, &manifest).status, 401);
        assert_eq!(api::upload(&coordinator, version, &owner, &json!({})).status, 401);
        assert_eq!(api::cancel(&coordinator, version, &owner).status, 401);
    }
    assert_eq!(api::get_as(&coordinator, &owner, "/api/v2/audit").status, 401);
    assert_eq!(api::update(&coordinator, Version::V2, &alice, &manifest).status, 200);
}

// X-1: what is configured shows in the log
#[test]
fn the_log_says_at_the_start_whether_there_is_an_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, owner) = launch(folder.path());
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&owner.certificate_file);
    let fingerprint =
        succeed(&mut openssl).trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    launch.start().wait_for_log(|line| line.contains("only the holder") && line.contains(&fingerprint));
    let none = Launch::new();
    let mut coordinator = none.start();
    coordinator.wait_for_log(|line| line.contains("no owner certificate is configured"));
    assert_eq!(set_as(&coordinator, Version::V2, None, &manifests::minimal()).status, 200);
    coordinator.kill();
    // With a state in force, too.
    none.start().wait_for_log(|line| line.contains("no owner certificate is configured"));
}

// X-26
#[test]
fn a_startup_manifest_beside_an_owner_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, manifests::minimal().to_string()).unwrap();
    let (launch, _) = launch(folder.path());
    let output = launch.environment("EDG_STARTUP_MANIFEST", file.to_str().unwrap()).start_and_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("owner certificate") && text.contains("remove the startup manifest"), "{text}");
}

#[test]
fn an_owners_certificate_that_cannot_be_used_ends_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let owner = User::new(folder.path(), "owner");
    for (path, why) in [(&owner.key_file, "private key"), (&folder.path().join("missing"), "No such file")] {
        let path = path.to_str().unwrap();
        let output = Launch::new().argument("--owner-cert").argument(path).start_and_end();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(path) && text.contains(why) && text.contains("owner-cert"), "{text}");
    }
}

// X-1, cli.md `manifest set`
#[test]
fn the_command_line_presents_the_owners_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, _) = launch(folder.path());
    let other = User::new(folder.path(), "other");
    let coordinator = launch.start();
    std::fs::write(folder.path().join("manifest.json"), manifests::minimal().to_string()).unwrap();
    let host = coordinator.rest.to_string();
    let set = |more: &[&str]| {
        let mut command = Command::new(binary("carrara"));
        command.current_dir(folder.path()).env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME");
        command.args(["manifest", "set", "manifest.json", &host, "--insecure", "-r", "recovery.json"]);
        run(command.args(more).stdin(Stdio::null()))
    };
    let refused = |more: &[&str]| {
        let output = set(more);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let nobody = refused(&[]);
    assert!(nobody.contains("--cert and --key") && nobody.contains("presented: none"), "{nobody}");
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&other.certificate_file);
    let fingerprint =
        succeed(&mut openssl).trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    let stranger = refused(&["-c", "other.crt", "-k", "other.key"]);
    assert!(stranger.contains("its owner's certificate") && stranger.contains(&fingerprint), "{stranger}");
    assert!(refused(&["-c", "owner.crt"]).contains("--cert and --key"));
    assert_eq!(code(&coordinator), 2);
    assert!(set(&["-c", "owner.crt", "-k", "owner.key"]).status.success());
    assert_eq!(code(&coordinator), 3);
}
