//! Uploads of user-defined secrets on the real binary, in both versions of the API (R-24, R-53, S-50..S-57, X-11, X-24).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, BOTH, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::marble::premain;
use carrara_tests::users::User;
use carrara_tests::{fail, manifests, succeed};
use serde_json::{Value, json};

/// Alice may read and write the user-defined secrets, Bob only read them.
struct Stage {
    coordinator: Coordinator,
    launch: Launch,
    alice: User,
    bob: User,
}

const NAMES: [&str; 4] = ["token", "key", "cert", "short"];

impl Stage {
    fn new(folder: &std::path::Path) -> Self {
        Self::with_parameters(folder, json!({}))
    }

    fn with_parameters(folder: &std::path::Path, parameters: Value) -> Self {
        let (alice, bob) = (User::new(folder, "alice"), User::new(folder, "bob"));
        let mut manifest = manifests::with_updaters(&[("alice", &alice), ("bob", &bob)], 0, 0);
        manifest["Secrets"] = json!({
            "token": { "Type": "plain", "UserDefined": true },
            "key": { "Type": "symmetric-key", "Size": 128, "UserDefined": true },
            "cert": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true },
            "short": { "Type": "symmetric-key", "Size": 8, "UserDefined": true },
            "made": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        });
        manifests::grant(&mut manifest, "alice", "writer", "Secrets", &NAMES, &["ReadSecret", "WriteSecret"]);
        manifests::grant(&mut manifest, "bob", "reader", "Secrets", &NAMES, &["ReadSecret"]);
        manifest["Marbles"]["svc"]["Parameters"] = parameters;
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        Self { coordinator, launch, alice, bob }
    }

    fn upload(&self, version: Version, secrets: &Value) -> Answer {
        api::upload(&self.coordinator, version, &self.alice, secrets)
    }

    /// Refused in both versions with this text at the end, and nothing is changed.
    fn refused(&self, secrets: &Value, text: &str) {
        let before: Vec<Value> = NAMES.iter().map(|name| self.read(name)).collect();
        let lines = api::log_lines(&self.coordinator);
        for version in BOTH {
            let answer = self.upload(version, secrets);
            assert_eq!(answer.status, version.failure(), "{secrets}: {}", answer.body);
            assert_eq!(answer.json()["status"], "error");
            assert!(answer.message().ends_with(text), "{secrets}: {}", answer.message());
        }
        assert_eq!(NAMES.iter().map(|name| self.read(name)).collect::<Vec<_>>(), before, "{secrets}");
        assert_eq!(api::log_lines(&self.coordinator), lines, "{secrets}");
    }

    fn read(&self, name: &str) -> Value {
        api::secret(&self.coordinator, &self.bob, name)
    }
}

fn key(bytes: &[u8]) -> Value {
    json!({ "Key": STANDARD.encode(bytes) })
}

/// The DER of a user's certificate, as base64 without and with line breaks (S-50).
fn der(user: &User) -> [String; 2] {
    let lines: Vec<&str> = user.certificate.lines().filter(|line| !line.starts_with('-')).collect();
    [lines.concat(), lines.join("\n")]
}

// R-53, S-3, S-50, S-52, S-53, S-54, S-57, R-60
#[test]
fn every_kind_is_uploaded_read_back_and_logged_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    for (version, bytes) in BOTH.into_iter().zip([[7_u8; 16], [9; 16]]) {
        let [cert, broken] = der(if version == Version::V1 { &stage.alice } else { &stage.bob });
        let uploads = json!({
            "token": key(b"any \0 bytes"),
            "key": { "kEy": bytes.to_vec() },
            "cert": { "CERT": broken, "private": STANDARD.encode("unchecked") },
        });
        let answer = stage.upload(version, &uploads);
        assert_eq!((answer.status, answer.data()), (200, Value::Null), "{}", answer.body);
        let token = stage.read("token");
        assert_eq!(token["Private"], STANDARD.encode("any \0 bytes"));
        assert_eq!(token["Public"], token["Private"], "S-3");
        assert_eq!(stage.read("key")["Public"], STANDARD.encode(bytes));
        let read = stage.read("cert");
        assert_eq!(
            (read["Cert"].clone(), read["Private"].clone()),
            (json!(cert), json!(STANDARD.encode("unchecked")))
        );
        assert!(STANDARD.decode(read["Public"].as_str().unwrap()).unwrap().len() > 60, "S-53: its SPKI");
    }
    let lines = api::log_lines(&stage.coordinator);
    let mut fields: Vec<&str> = lines[1..].iter().map(|line| line.split_once(',').unwrap().1).collect();
    fields.sort_unstable();
    let line = |name: &str, kind: &str| {
        format!(r#""update":"Secret set","user":"alice","secret":"{name}","type":"{kind}"}}"#)
    };
    let (cert, key, token) =
        (line("cert", "cert-ecdsa"), line("key", "symmetric-key"), line("token", "plain"));
    assert_eq!(fields, [&cert, &cert, &key, &key, &token, &token], "S-57: one line for each");
}

// S-51, S-56, X-11: permission first, and all or nothing
#[test]
fn whoever_may_not_write_learns_nothing_about_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let bad_and_good = [key(b"five!"), key(&[0; 16]), json!({ "Cert": "***" })];
    for version in BOTH {
        for value in &bad_and_good {
            let bob = api::upload(&stage.coordinator, version, &stage.bob, &json!({ "key": value }));
            let text = "user bob is not allowed to update secret: key";
            assert_eq!((bob.status, bob.message().as_str()), (version.failure(), text));
        }
        // No role can name a generated secret, nor one that does not exist: both look alike.
        for name in ["made", "nope"] {
            let answer = stage.upload(version, &json!({ name: key(&[1; 16]), "token": key(b"good") }));
            let text = format!("user alice is not allowed to update secret: {name}");
            assert_eq!((answer.status, answer.message()), (version.failure(), text));
        }
    }
    assert_eq!(stage.read("token")["Private"], Value::Null, "nothing was written");
    stage.refused(&json!({}), "no new secrets defined");
}

// S-52, S-53, S-54, X-24
#[test]
fn a_value_of_the_wrong_kind_or_size_is_refused_with_the_secrets_name() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let [cert, _] = der(&stage.alice);
    for size in [0, 15, 17] {
        let text = "declared size and actual size don't match: key";
        stage.refused(&json!({ "key": key(&vec![1; size]), "token": key(b"good") }), text);
    }
    for (name, value) in [
        ("key", json!({ "Key": STANDARD.encode([1; 16]), "Cert": cert })),
        ("key", json!({ "Key": STANDARD.encode([1; 16]), "Private": "AAAA" })),
        ("key", Value::Null),
        ("cert", json!({ "Cert": cert, "Key": "" })),
        ("cert", json!({})),
        ("cert", json!({ "Private": "AAAA" })),
        ("cert", json!({ "Cert": "no base64!" })),
        ("token", json!({ "Cert": cert })),
        ("token", json!({ "Key": "AAAA", "Private": "AAAA" })),
    ] {
        let before = stage.read(name);
        for version in BOTH {
            let answer = stage.upload(version, &json!({ name: value }));
            assert_eq!(answer.status, version.failure(), "{name} {value}: {}", answer.body);
            assert!(answer.message().contains(name), "X-24: {name} {value}: {}", answer.message());
        }
        assert_eq!(stage.read(name), before);
    }
}

// S-54a
#[test]
fn a_plain_secret_may_be_without_a_value_or_with_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    for (value, expected) in [
        (key(b"x"), json!("eA==")),
        (Value::Null, Value::Null),
        (key(b"x"), json!("eA==")),
        (json!({}), Value::Null),
        (json!({ "Key": "" }), json!("")),
        (json!({ "Key": null }), Value::Null),
        (json!({ "Key": [] }), json!("")),
    ] {
        for version in BOTH {
            let answer = stage.upload(version, &json!({ "token": value }));
            assert_eq!(answer.status, 200, "{value}: {}", answer.body);
            let read = stage.read("token");
            assert_eq!((&read["Private"], &read["Public"]), (&expected, &expected), "{value}");
        }
    }
}

// R-24, R-53, S-54b, M-9, manifest.md section 7
#[test]
fn an_unreadable_body_is_400_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    for version in BOTH {
        let path = version.path("/secrets");
        let empty = api::post_as(&stage.coordinator, &stage.alice, &path, "");
        let text = if version == Version::V1 { "unexpected end of JSON input" } else { "EOF" };
        assert_eq!((empty.status, empty.message().contains(text)), (400, true), "{}", empty.body);
        let bodies = [
            json!({ "token": 7 }),
            json!({ "token": { "Key": "***" } }),
            json!({ "token": { "Key": [256] } }),
            json!({ "token": { "Key": [-1] } }),
            json!({ "cert": { "Cert": STANDARD.encode("no certificate") } }),
            json!({ "token": { "Cert": STANDARD.encode("no certificate") } }),
            json!([]),
        ];
        for body in bodies.iter().map(|secrets| version.secrets(secrets)).chain(["{".to_owned()]) {
            let answer = api::post_as(&stage.coordinator, &stage.alice, &path, &body);
            let status = answer.json()["status"].clone();
            assert_eq!(
                (answer.status, status.as_str()),
                (400, Some(version.refusal())),
                "{body}: {}",
                answer.body
            );
        }
        let malformed = version.secrets(&json!({ "token": { "Cert": STANDARD.encode("no certificate") } }));
        let answer = api::post_as(&stage.coordinator, &stage.alice, &path, malformed);
        assert!(answer.message().contains("x509: malformed certificate"), "S-54b: {}", answer.body);
    }
    let lenient = format!("{{\"SECRETS\":{{\"token\":{}}},\"unknown\":1}} and more", key(b"x"));
    assert_eq!(api::post_as(&stage.coordinator, &stage.alice, "/api/v2/secrets", lenient).status, 200);
}

// R-54, rest-api.md section 4
#[test]
fn nobody_uploads_without_a_users_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let stranger = User::new(folder.path(), "stranger");
    let empty = Coordinator::start();
    let text = "unauthorized user: client certificate did not match any MarbleRun users";
    for coordinator in [&stage.coordinator, &empty] {
        for version in BOTH {
            for body in [version.secrets(&json!({ "token": key(b"x") })), "nonsense".to_owned()] {
                let path = version.path("/secrets");
                for answer in
                    [api::post(coordinator, &path, &body), api::post_as(coordinator, &stranger, &path, &body)]
                {
                    assert_eq!((answer.status, answer.message().as_str()), (401, text));
                    assert_eq!(answer.json()["status"], version.refusal());
                }
            }
        }
    }
    assert_eq!(stage.read("token")["Private"], Value::Null);
}

// S-55, S-60, S-61
#[test]
fn a_value_that_a_marble_could_not_be_given_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = json!({
        "Argv": ["/bin/sh", "-c", "echo $TOKEN; cat key"],
        "Env": { "TOKEN": "{{ string .Secrets.token }}" },
        "Files": { "key": "{{ base64 .Secrets.key }}\n" },
    });
    let stage = Stage::with_parameters(folder.path(), parameters);
    let dry_run = |value: &Value, place: &str, reason: &str| {
        for version in BOTH {
            let answer = stage.upload(version, value);
            assert_eq!(answer.status, version.failure(), "{value}: {}", answer.body);
            let message = answer.message();
            assert!(message.contains("running manifest template dry run: in Marble svc: "), "{message}");
            assert!(message.contains(place) && message.contains(reason), "{message}");
        }
    };
    let place = "env variable TOKEN";
    dry_run(&json!({ "token": key(b"a\0b") }), place, "secret contains null bytes");
    dry_run(&json!({ "token": { "Key": "" } }), place, "empty value");
    dry_run(&json!({ "token": null, "key": key(&[7; 16]) }), place, "");
    assert_eq!(stage.read("key")["Private"], Value::Null, "all or nothing");
    // Not uploaded yet: it passed as a dummy, and the Marble cannot have it.
    fail(&mut premain(&stage.coordinator, folder.path(), "svc"));
    let both = json!({ "token": key(b"a b"), "key": key(&[7; 16]) });
    assert_eq!(stage.upload(Version::V2, &both).status, 200);
    let output = succeed(&mut premain(&stage.coordinator, folder.path(), "svc"));
    assert_eq!(output, format!("a b\n{}\n", STANDARD.encode([7; 16])));
    // Running Marbles are not told; the next activation has the new value.
    assert_eq!(stage.upload(Version::V1, &json!({ "token": key(b"second") })).status, 200);
    assert!(succeed(&mut premain(&stage.coordinator, folder.path(), "svc")).starts_with("second\n"));
}

// S-57, X-68: an upload never writes the previous value
#[test]
fn an_upload_leaves_the_previous_secret_unset() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = json!({
        "Argv": ["/bin/true"],
        "Files": { "previous": "{{ base64 .Previous.Secrets.token }}" },
    });
    let stage = Stage::with_parameters(folder.path(), parameters);
    for value in [b"one", b"two"] {
        assert_eq!(stage.upload(Version::V2, &json!({ "token": key(value) })).status, 200);
        fail(&mut premain(&stage.coordinator, folder.path(), "svc"));
    }
}

// X-25, R-53
#[test]
fn what_was_answered_with_success_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path());
    let uploads = json!({ "token": key(b"one"), "key": key(&[3; 16]) });
    assert_eq!(stage.upload(Version::V1, &uploads).status, 200);
    let lines = api::log_lines(&stage.coordinator);
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    assert_eq!(stage.read("token")["Private"], STANDARD.encode("one"));
    assert_eq!(stage.read("key")["Private"], STANDARD.encode([3; 16]));
    assert_eq!(api::log_lines(&stage.coordinator), lines);
}
