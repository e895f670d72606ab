//! The signed head of the update log: its form, its signature, its proofs, and how often it is signed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carrara_core::Coordinator;
use carrara_core::error::LogHeadError;
use carrara_core::ports::{Batch, Store};
use carrara_types::manifest::ParsedManifest;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::common::{self, World, manifest, pem_blocks, set};

/// What host/docs/checkpoint.md says of a note, by other libraries than the coordinator's.
struct Note {
    origin: String,
    size: u64,
    root: [u8; 32],
    revision: u64,
}

/// Reads a signed note and verifies it with the root certificate (DER).
fn verify(checkpoint: &str, certificate: &[u8]) -> Result<Note, &'static str> {
    let (text, signatures) = checkpoint.split_once("\n\n").ok_or("no blank line")?;
    let text = format!("{text}\n");
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root, revision] = lines.as_slice() else { return Err("not four lines") };
    let expected = format!("carrara/{}", hex::encode(Sha256::digest(certificate)));
    let signature = signatures
        .strip_prefix(&format!("\u{2014} {expected} "))
        .and_then(|rest| rest.strip_suffix('\n'))
        .ok_or("not this key's")?;
    let signature = STANDARD.decode(signature).map_err(|_| "not base64")?;
    let (id, signature) = signature.split_at_checked(4).ok_or("too short")?;
    let (_, read) = X509Certificate::from_der(certificate).map_err(|_| "no certificate")?;
    let spki = read.public_key();
    if Sha256::digest(spki.raw)[..4] != *id {
        return Err("another key id");
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, &spki.subject_public_key.data)
        .verify(text.as_bytes(), signature)
        .map_err(|_| "wrong signature")?;
    Ok(Note {
        origin: (*origin).to_owned(),
        size: size.parse().map_err(|_| "no size")?,
        root: STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or("no root")?,
        revision: revision.strip_prefix("revision ").and_then(|n| n.parse().ok()).ok_or("no revision")?,
    })
}

/// RFC 6962, section 2.1.
fn tree_hash(lines: &[String]) -> [u8; 32] {
    match lines {
        [] => Sha256::digest(b"").into(),
        [line] => Sha256::new().chain_update([0]).chain_update(line).finalize().into(),
        _ => {
            let (left, right) = lines.split_at(lines.len().next_power_of_two() / 2);
            let node = Sha256::new().chain_update([1]).chain_update(tree_hash(left));
            node.chain_update(tree_hash(right)).finalize().into()
        }
    }
}

async fn root_certificate(coordinator: &Coordinator) -> Vec<u8> {
    pem_blocks(&coordinator.quote(None).await.unwrap().certificates).pop().unwrap().1
}

async fn log(world: &World, line: &str) {
    let batch = Batch { log_lines: vec![line.to_owned()], ..Batch::default() };
    world.store.commit(batch).await.unwrap();
}

async fn head(coordinator: &Coordinator) -> String {
    coordinator.log_head(None).await.unwrap().checkpoint
}

// X-6
#[tokio::test]
async fn the_checkpoint_says_what_the_log_is_and_the_root_key_signs_it() {
    let (world, coordinator) = World::with(&manifest()).await;
    log(&world, "one more line").await;
    let certificate = root_certificate(&coordinator).await;
    let checkpoint = head(&coordinator).await;
    let note = verify(&checkpoint, &certificate).unwrap();
    let lines = coordinator.update_log(0, None).unwrap();
    assert_eq!(note.origin, format!("carrara/{}", hex::encode(Sha256::digest(&certificate))));
    assert_eq!((note.size, note.root, note.revision), (2, tree_hash(&lines), world.revision()));

    let forged = checkpoint.replace("revision 2", "revision 3");
    assert_ne!(forged, checkpoint);
    assert_eq!(verify(&forged, &certificate).err(), Some("wrong signature"));
    let (_, other) = World::with(&manifest()).await;
    assert_eq!(verify(&checkpoint, &root_certificate(&other).await).err(), Some("not this key's"));
}

// X-6: the proof of section 2.1.2, written out for three lines.
#[tokio::test]
async fn the_proof_leads_from_what_the_caller_saw_to_the_checkpoint() {
    let (world, coordinator) = World::with(&manifest()).await;
    let one = verify(&head(&coordinator).await, &root_certificate(&coordinator).await).unwrap();
    log(&world, "b").await;
    log(&world, "c").await;
    let lines = coordinator.update_log(0, None).unwrap();
    let leaf = |line: &String| tree_hash(std::slice::from_ref(line));
    assert_eq!(one.root, leaf(&lines[0]));
    for (from, proof) in [
        (None, vec![]),
        (Some(0), vec![]),
        (Some(1), vec![leaf(&lines[1]), leaf(&lines[2])]),
        (Some(2), vec![leaf(&lines[2])]),
        (Some(3), vec![]),
    ] {
        assert_eq!(coordinator.log_head(from).await.unwrap().consistency, proof, "{from:?}");
    }
}

// A monitor that has seen more than there is has seen a state that was rolled back.
#[tokio::test]
async fn a_size_past_the_end_is_refused_with_both_numbers() {
    let (_world, coordinator) = World::with(&manifest()).await;
    coordinator.log_head(Some(1)).await.unwrap();
    for from in [2, u64::MAX] {
        let error = coordinator.log_head(Some(from)).await.unwrap_err();
        assert!(matches!(error, LogHeadError::TooFar { from: asked, size: 1 } if asked == from));
        assert_eq!(common::message(&error), format!("the update log has 1 lines, fewer than from={from}"));
    }
}

#[tokio::test]
async fn without_an_open_state_there_is_no_checkpoint() {
    let world = World::new().await;
    let coordinator = world.start().await;
    assert!(matches!(coordinator.log_head(None).await, Err(LogHeadError::WrongState)));
    set(&coordinator, &manifest()).await;
    coordinator.log_head(None).await.unwrap();
    world.store.locked.store(true, Ordering::SeqCst);
    assert!(matches!(coordinator.log_head(None).await, Err(LogHeadError::WrongState)));
}

// Signatures are randomised: equal texts were signed once.
#[tokio::test]
async fn a_revision_is_signed_once_however_many_ask() {
    let (world, coordinator) = World::with(&manifest()).await;
    let coordinator = Arc::new(coordinator);
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let coordinator = Arc::clone(&coordinator);
            tokio::spawn(async move { head(&coordinator).await })
        })
        .collect();
    let first = head(&coordinator).await;
    for asked in asking {
        assert_eq!(asked.await.unwrap(), first);
    }
    // A change that adds no line is another revision, and another checkpoint.
    world.store.upload("secret:x", b"x").await;
    let second = head(&coordinator).await;
    assert_ne!(second, first);
    assert_eq!(second, head(&coordinator).await);
    let certificate = root_certificate(&coordinator).await;
    let (first, second) = (verify(&first, &certificate).unwrap(), verify(&second, &certificate).unwrap());
    assert_eq!((second.size, second.root, second.revision), (first.size, first.root, first.revision + 1));
}

#[tokio::test]
async fn an_asker_who_goes_away_does_not_stop_the_signing_nor_those_who_wait() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let coordinator = Arc::new(coordinator);
    let gone = tokio::spawn({
        let coordinator = Arc::clone(&coordinator);
        async move { head(&coordinator).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    let text = head(&coordinator).await;
    assert_eq!(text, head(&coordinator).await);
}

// L-15: the same key and the same log, so the same origin, size and root.
#[tokio::test]
async fn a_restart_goes_on_with_the_same_log() {
    let (world, coordinator) = World::with(&manifest()).await;
    let certificate = root_certificate(&coordinator).await;
    let before = verify(&head(&coordinator).await, &certificate).unwrap();
    log(&world, "later").await;
    let coordinator = world.start().await;
    let after = coordinator.log_head(Some(before.size)).await.unwrap();
    let note = verify(&after.checkpoint, &certificate).unwrap();
    assert_eq!((note.origin, note.size), (before.origin, 2));
    assert_eq!(after.consistency, [tree_hash(&["later".to_owned()])]);
}

// The root key signs manifests, checkpoints and sign-quote's answers with the same digest (facts: signed checkpoints).
#[tokio::test]
async fn no_manifest_no_quote_answer_and_no_checkpoint_are_the_same_message() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let checkpoint = head(&coordinator).await;
    let (text, _) = checkpoint.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    // A manifest is a JSON object.
    assert!(ParsedManifest::parse(text.as_bytes()).is_err());
    let first = text.chars().next().unwrap();
    assert!(first.is_ascii_alphabetic(), "JSON objects begin with a brace or white space");
    // A quote's answer is base64 and a status, all in one line.
    assert!(text.lines().count() >= 3);
}
/// The fenced blocks of one kind.
fn blocks(document: &str, kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    document.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

// X-6: what others implement by.
#[test]
fn the_worked_example_of_the_documentation_is_true() {
    let document = include_str!("../../../docs/checkpoint.md");
    let certificate = pem_blocks(&blocks(document, "pem")[0]).remove(0).1;
    let lines: Vec<String> = blocks(document, "json")[0].lines().map(str::to_owned).collect();
    let notes = blocks(document, "note");
    let (two, five) = (verify(&notes[0], &certificate).unwrap(), verify(&notes[1], &certificate).unwrap());
    assert_eq!((two.size, two.root, two.revision), (2, tree_hash(&lines[..2]), 2));
    assert_eq!((five.size, five.root, five.revision), (5, tree_hash(&lines), 6));
    let proof = [tree_hash(&lines[2..4]), tree_hash(&lines[4..])].map(|hash| STANDARD.encode(hash));
    assert_eq!(blocks(document, "base64")[0].lines().collect::<Vec<_>>(), proof);
}
