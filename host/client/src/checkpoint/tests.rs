//! Checkpoints signed by a key of ours; proofs by a tree written straight from RFC 6962's definition.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{Signature, SigningKey};
use p384::pkcs8::{DecodePrivateKey, EncodePublicKey};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// RFC 6962 section 2.1, as defined.
fn naive_root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            node(&naive_root(left), &naive_root(right))
        }
    }
}

/// RFC 6962 section 2.1.2, as defined.
fn naive_proof(from: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let middle = half(leaves.len());
    let (left, right) = leaves.split_at(middle);
    if from <= middle {
        let mut proof = naive_proof(from, left, whole);
        proof.push(naive_root(right));
        proof
    } else {
        let mut proof = naive_proof(from - middle, right, false);
        proof.push(naive_root(left));
        proof
    }
}

/// The largest power of two below `count`.
fn half(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| index.to_string().into_bytes()).collect()
}

#[test]
fn the_root_is_that_of_rfc_6962_for_every_size() {
    for count in 0..70 {
        assert_eq!(root_of(&leaves(count)), naive_root(&leaves(count)), "{count}");
    }
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex::encode(root_of::<&[u8]>(&[])), empty);
    assert_eq!(
        hex::encode(leaf_hash(b"")),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
}

#[test]
fn every_proof_between_small_sizes_is_accepted_and_no_shorter_or_longer_one() {
    for newer in 1..40 {
        let all = leaves(newer);
        for older in 1..=newer {
            let (old_root, new_root) = (naive_root(&all[..older]), naive_root(&all));
            let proof = naive_proof(older, &all, true);
            let accepts =
                |proof: &[Hash]| consistent((older as u64, &old_root), (newer as u64, &new_root), proof);
            assert!(accepts(&proof), "{older} {newer}");
            assert!(!accepts(&[&proof[..], &[[0; 32]]].concat()), "{older} {newer}");
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!accepts(shorter), "{older} {newer}");
            }
        }
    }
}

#[test]
fn the_empty_log_is_continued_by_every_log_and_needs_no_proof() {
    let (empty, root) = (root_of::<&[u8]>(&[]), naive_root(&leaves(3)));
    assert!(consistent((0, &empty), (3, &root), &[]));
    assert!(consistent((0, &empty), (0, &empty), &[]));
    assert!(!consistent((0, &empty), (3, &root), &[root]));
    assert!(!consistent((0, &root), (3, &root), &[]));
    assert!(!consistent((3, &root), (0, &empty), &[]));
}

proptest! {
    #[test]
    fn a_log_that_begins_with_other_lines_has_no_proof(
        newer in 1_usize..300, older in 1_usize..300, changed in 0_usize..300, noise in prop::array::uniform32(any::<u8>()),
    ) {
        let older = older.min(newer);
        let all = leaves(newer);
        let mut past = all[..older].to_vec();
        let proof = naive_proof(older, &all, true);
        let (old_root, new_root) = (naive_root(&past), naive_root(&all));
        let sizes = (older as u64, newer as u64);
        prop_assert!(consistent((sizes.0, &old_root), (sizes.1, &new_root), &proof));

        past[changed % older] = b"other".to_vec();
        prop_assert!(!consistent((sizes.0, &naive_root(&past)), (sizes.1, &new_root), &proof));
        prop_assert!(!consistent((sizes.0, &old_root), (sizes.1, &noise), &proof));
        for index in 0..proof.len() {
            let mut broken = proof.clone();
            broken[index] = noise;
            prop_assert!(!consistent((sizes.0, &old_root), (sizes.1, &new_root), &broken));
        }
    }

    #[test]
    fn a_proof_of_any_shape_is_judged_without_panic(
        older in any::<u64>(), newer in any::<u64>(), count in 0_usize..80, root in prop::array::uniform32(any::<u8>()),
    ) {
        let proof = vec![[7; 32]; count];
        let other = leaf_hash(&root);
        prop_assert!(!consistent((older, &root), (newer, &other), &proof));
    }
}

/// A coordinator's root certificate with a key that signs notes.
struct Signer {
    certificate: Vec<u8>,
    key: SigningKey,
}

impl Signer {
    fn new() -> Self {
        let certificate_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&certificate_key).unwrap().der().to_vec();
        // The same key, signing with SHA-256 as coordinators do for notes.
        let key = SigningKey::from_pkcs8_der(&certificate_key.serialize_der()).unwrap();
        Self { certificate, key }
    }

    fn origin(&self) -> String {
        format!("carrara/{}", hex::encode(Sha256::digest(&self.certificate)))
    }

    fn sign(&self, text: &str) -> String {
        let signature: Signature = self.key.sign_prehash(&Sha256::digest(text)).unwrap();
        let id = Sha256::digest(self.key.verifying_key().to_public_key_der().unwrap());
        let encoded = BASE64_STANDARD.encode([&id[..4], signature.to_der().as_bytes()].concat());
        format!("{text}\n\u{2014} {} {encoded}\n", self.origin())
    }

    fn note(&self, lines: &[Vec<u8>], revision: u64) -> String {
        let root = BASE64_STANDARD.encode(naive_root(lines));
        self.sign(&format!("{}\n{}\n{root}\nrevision {revision}\n", self.origin(), lines.len()))
    }

    fn checkpoint(&self, lines: &[Vec<u8>], revision: u64) -> Checkpoint {
        Checkpoint::verify(&self.note(lines, revision), &self.certificate).unwrap()
    }
}

#[test]
fn a_note_of_the_root_key_is_read() {
    let signer = Signer::new();
    let note = signer.note(&leaves(5), 9);
    let checkpoint = Checkpoint::verify(&note, &signer.certificate).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.revision()), (5, 9));
    assert_eq!(checkpoint.root(), &naive_root(&leaves(5)));
    assert_eq!((checkpoint.origin(), checkpoint.as_note()), (signer.origin().as_str(), note.as_str()));
    assert!(checkpoint.covers(&leaves(5)));
    assert!(!checkpoint.covers(&leaves(4)) && !checkpoint.covers(&leaves(6)));
    let mut other = leaves(5);
    other[2] = b"other".to_vec();
    assert!(!checkpoint.covers(&other));
}

#[test]
fn signatures_of_other_keys_beside_it_do_not_matter() {
    let (signer, other) = (Signer::new(), Signer::new());
    let note = signer.note(&leaves(1), 1);
    let witness = other.note(&leaves(1), 1).lines().last().unwrap().to_owned();
    Checkpoint::verify(&format!("{note}{witness}\n"), &signer.certificate).unwrap();
    let (text, ours) = note.split_at(note.find("\n\n").unwrap() + 2);
    Checkpoint::verify(&format!("{text}{witness}\n{ours}"), &signer.certificate).unwrap();
}

#[test]
fn a_changed_note_and_another_coordinators_are_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let note = signer.note(&leaves(5), 9);
    let refused = |note: &str| Checkpoint::verify(note, &signer.certificate).unwrap_err();
    assert_eq!(refused(&note.replace("\n5\n", "\n6\n")), CheckpointError::Signature);
    assert_eq!(refused(&note.replace("revision 9", "revision 8")), CheckpointError::Signature);
    assert_eq!(refused(&other.note(&leaves(5), 9)), CheckpointError::Unsigned);
    // Under the right name, by another key with or without its own key id.
    let renamed = other.note(&leaves(5), 9).replace(&other.origin(), &signer.origin());
    assert_eq!(refused(&renamed), CheckpointError::Unsigned);
    assert_eq!(Checkpoint::verify(&note, b"junk"), Err(CheckpointError::Certificate));
}

#[test]
fn what_is_no_note_or_no_checkpoint_is_refused() {
    let signer = Signer::new();
    let refused = |note: &str| Checkpoint::verify(note, &signer.certificate).unwrap_err();
    let note = signer.note(&leaves(5), 9);
    for text in
        ["", "\n", "text", "a\n\nb\n", note.trim_end(), &note.replace('\n', "\r\n"), &"\n".repeat(70_000)]
    {
        assert_eq!(refused(text), CheckpointError::Note, "{text:?}");
    }
    let (origin, root) = (signer.origin(), BASE64_STANDARD.encode([1; 32]));
    for text in [
        "\n".to_owned(),
        format!("other\n5\n{root}\nrevision 1\n"),
        format!("{origin}\n05\n{root}\nrevision 1\n"),
        format!("{origin}\n+5\n{root}\nrevision 1\n"),
        format!("{origin}\n5\nAQ==\nrevision 1\n"),
        format!("{origin}\n5\n{root}\n"),
        format!("{origin}\n5\n{root}\nrevision -1\n"),
        format!("{origin}\n5\n{root}\nrevision 18446744073709551616\n"),
    ] {
        assert_eq!(refused(&signer.sign(&text)), CheckpointError::Content, "{text:?}");
    }
    // Further extension lines are no error.
    let more = signer.sign(&format!("{origin}\n5\n{root}\nrevision 1\nmore\n"));
    assert_eq!(Checkpoint::verify(&more, &signer.certificate).unwrap().revision(), 1);
}

#[test]
fn a_newer_checkpoint_continues_or_contradicts_the_older() {
    let signer = Signer::new();
    let all = leaves(7);
    let (old, new) = (signer.checkpoint(&all[..4], 10), signer.checkpoint(&all, 20));
    let proof = naive_proof(4, &all, true);
    assert_eq!(old.follow(&new, &proof), Ok(Progress::Continued));
    assert_eq!(old.follow(&signer.checkpoint(&all[..4], 10), &[]), Ok(Progress::Same));
    assert_eq!(old.follow(&signer.checkpoint(&all[..4], 11), &[]), Ok(Progress::Same));

    // Fewer lines, or an older state with as many or more.
    assert_eq!(new.follow(&old, &[]), Err(Contradiction::RolledBack));
    assert_eq!(old.follow(&signer.checkpoint(&all[..4], 9), &[]), Err(Contradiction::RolledBack));
    assert_eq!(old.follow(&signer.checkpoint(&all, 9), &proof), Err(Contradiction::RolledBack));

    // Another past: with as many lines, and with more.
    let mut other = all.clone();
    other[1] = b"other".to_vec();
    assert_eq!(old.follow(&signer.checkpoint(&other[..4], 10), &[]), Err(Contradiction::Forked));
    let forked = signer.checkpoint(&other, 20);
    assert_eq!(old.follow(&forked, &naive_proof(4, &other, true)), Err(Contradiction::Forked));
    assert_eq!(old.follow(&new, &[]), Err(Contradiction::Forked));
    assert_eq!(old.follow(&Signer::new().checkpoint(&all, 20), &proof), Err(Contradiction::OtherLog));
}

/// The fenced blocks of a kind in the documentation, without their fences.
fn documented(kind: &str) -> Vec<&'static str> {
    let text = include_str!("../../../docs/checkpoint.md");
    let opening = format!("```{kind}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

// host/docs/checkpoint.md: the worked example was made by the coordinator's code.
#[test]
fn the_worked_example_of_the_documentation_verifies() {
    let certificate = pem::parse(documented("pem")[0]).unwrap();
    let lines: Vec<&str> = documented("json")[0].lines().collect();
    let read = |note| Checkpoint::verify(note, certificate.contents()).unwrap();
    let (older, newer) = (read(documented("note")[0]), read(documented("note")[1]));
    assert_eq!((older.size(), older.revision(), newer.size(), newer.revision()), (2, 2, 5, 6));
    assert!(older.covers(&lines[..2]) && newer.covers(&lines));
    let proof: Vec<Hash> = documented("base64")[0]
        .lines()
        .map(|line| BASE64_STANDARD.decode(line).unwrap().try_into().unwrap())
        .collect();
    assert_eq!(older.follow(&newer, &proof), Ok(Progress::Continued));
    assert_eq!(older.follow(&newer, &proof[..1]), Err(Contradiction::Forked));
}
