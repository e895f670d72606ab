//! The update log in pages, and its signed head: checkpoints and proofs are checked by openssl and by an
//! implementation of RFC 6962 that is not the coordinator's.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::openssl::Chain;
use carrara_tests::users::User;
use carrara_tests::{manifests, succeed};
use serde_json::json;
use sha2::{Digest as _, Sha256};

type Hash = [u8; 32];

/// MTH of RFC 6962, section 2.1, written down as it stands there.
fn tree(lines: &[String]) -> Hash {
    match lines {
        [] => Sha256::digest([]).into(),
        [line] => Sha256::new().chain_update([0]).chain_update(line).finalize().into(),
        _ => {
            let (left, right) = lines.split_at(split(lines.len()));
            Sha256::new()
                .chain_update([1])
                .chain_update(tree(left))
                .chain_update(tree(right))
                .finalize()
                .into()
        }
    }
}

/// The largest power of two below the number.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// SUBPROOF of RFC 6962, section 2.1.2.
fn subproof(from: usize, lines: &[String], whole: bool) -> Vec<Hash> {
    if from == lines.len() {
        return if whole { Vec::new() } else { vec![tree(lines)] };
    }
    let (left, right) = lines.split_at(split(lines.len()));
    let (mut proof, other) = if from <= left.len() {
        (subproof(from, left, whole), tree(right))
    } else {
        (subproof(from - left.len(), right, false), tree(left))
    };
    proof.push(other);
    proof
}

/// A checkpoint, read by hand.
struct Checkpoint {
    note: String,
    origin: String,
    size: usize,
    root: Vec<u8>,
    revision: u64,
    key_id: Vec<u8>,
    signature: Vec<u8>,
}

impl Checkpoint {
    fn read(text: &str) -> Self {
        let (note, signatures) = text.split_once("\n\n").expect("a note has a blank line");
        let lines: Vec<&str> = note.lines().collect();
        let [origin, size, root, revision] = lines[..] else { panic!("four lines: {text}") };
        let signature = signatures.strip_prefix(&format!("\u{2014} {origin} ")).expect("the key's name");
        let signature = STANDARD.decode(signature.strip_suffix('\n').expect("a newline at the end")).unwrap();
        Self {
            note: format!("{note}\n"),
            origin: origin.to_owned(),
            size: size.parse().unwrap(),
            root: STANDARD.decode(root).unwrap(),
            revision: revision.strip_prefix("revision ").unwrap().parse().unwrap(),
            key_id: signature[..4].to_vec(),
            signature: signature[4..].to_vec(),
        }
    }
}

fn head(coordinator: &Coordinator, from: usize) -> (Checkpoint, Vec<Hash>) {
    let answer = api::get(coordinator, &format!("/api/v2/update/head?from={from}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.data();
    let hash =
        |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap().try_into().unwrap();
    let proof = data["consistency"].as_array().unwrap().iter().map(hash).collect();
    (Checkpoint::read(data["checkpoint"].as_str().unwrap()), proof)
}

/// A coordinator whose log grows with every upload by Alice.
fn start(folder: &std::path::Path) -> (Launch, Coordinator, User) {
    let alice = User::new(folder, "alice");
    let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
    manifest["Secrets"] = json!({ "token": { "Type": "plain", "UserDefined": true } });
    manifests::grant(&mut manifest, "alice", "writer", "Secrets", &["token"], &["WriteSecret"]);
    let launch = Launch::new();
    let coordinator = launch.start();
    api::set(&coordinator, &manifest);
    (launch, coordinator, alice)
}

fn grow(coordinator: &Coordinator, alice: &User) {
    let answer = api::upload(coordinator, Version::V2, alice, &json!({ "token": { "Key": "AAAA" } }));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

// X-6, L-37, R-60
#[test]
fn every_checkpoint_is_signed_by_the_root_and_continues_every_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, mut coordinator, alice) = start(folder.path());
    let mut last = 0;
    for size in 1..=9 {
        if size > 1 {
            grow(&coordinator, &alice);
        }
        if size == 6 {
            coordinator.kill();
            coordinator = launch.start();
        }
        let lines = api::log_lines(&coordinator);
        assert_eq!(lines.len(), size);
        let (checkpoint, none) = head(&coordinator, 0);
        assert!(none.is_empty(), "nothing was asked for");
        assert_eq!((checkpoint.size, &checkpoint.root[..]), (size, &tree(&lines)[..]));
        assert!(checkpoint.revision > last, "{} after {last}", checkpoint.revision);
        last = checkpoint.revision;
        carrara_tests::openssl::verify_with_root(
            &coordinator,
            &checkpoint.signature,
            checkpoint.note.as_bytes(),
        );
        for from in 1..=size {
            let (_, proof) = head(&coordinator, from);
            assert_eq!(proof, subproof(from, &lines, true), "from {from} to {size}");
        }
    }
}

// facts.md, Signed checkpoints
#[test]
fn a_checkpoint_names_the_root_certificate_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_launch, coordinator, alice) = start(folder.path());
    let chain = Chain::fetch(&coordinator, folder.path());
    let certificate = folder.path().join("root.der");
    succeed(
        Command::new("openssl")
            .args(["x509", "-outform", "DER", "-in"])
            .arg(&chain.root)
            .arg("-out")
            .arg(&certificate),
    );
    let public = succeed(Command::new("openssl").args(["x509", "-pubkey", "-noout", "-in"]).arg(&chain.root));
    let spki: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    let (checkpoint, _) = head(&coordinator, 0);
    let fingerprint = hex::encode(Sha256::digest(std::fs::read(&certificate).unwrap()));
    assert_eq!(checkpoint.origin, format!("carrara/{fingerprint}"));
    assert_eq!(checkpoint.key_id, Sha256::digest(STANDARD.decode(spki).unwrap())[..4]);
    // Asked for again, it is the same text: one signature for one revision.
    let text = || api::get(&coordinator, "/api/v2/update/head").data()["checkpoint"].clone();
    let first = text();
    assert_eq!(text(), first);
    grow(&coordinator, &alice);
    assert_ne!(text(), first);
}

//
#[test]
fn what_is_past_the_end_or_no_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_launch, coordinator, _) = start(folder.path());
    for query in
        ["from=2", "from=18446744073709551615", "from=-1", "from=x", "from=18446744073709551616", "from="]
    {
        let answer = api::get(&coordinator, &format!("/api/v2/update/head?{query}"));
        assert_eq!(
            (answer.status, answer.json()["status"].as_str()),
            (400, Some("fail")),
            "{query}: {}",
            answer.body
        );
        assert!(!answer.message().is_empty(), "{query}");
    }
    assert_eq!(api::get(&coordinator, "/api/v2/update/head?from=1").status, 200, "the boundary");
    for query in ["from=x", "limit=x", "limit=-1"] {
        assert_eq!(api::get(&coordinator, &format!("/api/v2/update?{query}")).status, 400, "{query}");
    }
    let early = Coordinator::start();
    let answer = api::get(&early, "/api/v2/update/head");
    assert!(answer.status >= 400 && answer.message() == "server is not in expected state", "{}", answer.body);
}

// from and limit
#[test]
fn the_log_is_read_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let (_launch, coordinator, alice) = start(folder.path());
    for _ in 0..4 {
        grow(&coordinator, &alice);
    }
    let all = api::log_lines(&coordinator);
    for (query, expected) in [
        ("from=0", &all[..]),
        ("from=2", &all[2..]),
        ("limit=2", &all[..2]),
        ("from=1&limit=3", &all[1..4]),
        ("from=4&limit=9", &all[4..]),
        ("from=5", &[]),
        ("from=99", &[]),
        ("limit=0", &[]),
    ] {
        let answer = api::get(&coordinator, &format!("/api/v2/update?{query}"));
        assert_eq!(answer.data()["updateLog"], json!(expected), "{query}: {}", answer.body);
    }
    let v1 = api::get(&coordinator, "/update?from=3&limit=1").data();
    assert_eq!(v1.as_str().unwrap().lines().count(), 5, "version 1 knows neither");
}
