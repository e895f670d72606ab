//! L-40..L-43: what the holders of recovery keys get when a manifest is set, and that it opens the data key.

use std::collections::BTreeMap;

use carrara_core::shamir;
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{self, RecoveryKey, World, manifest};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// What a set manifest left behind.
struct Outcome {
    /// By name, decrypted by its owner.
    shares: BTreeMap<String, Vec<u8>>,
    data_key: SecretBytes,
    recovery_data: Value,
}

async fn outcome(keys: usize, threshold: u64) -> Outcome {
    let owners: BTreeMap<&str, RecoveryKey> =
        NAMES[..keys].iter().map(|name| (*name, RecoveryKey::generate())).collect();
    let mut manifest = manifest();
    manifest["RecoveryKeys"] =
        owners.iter().map(|(name, key)| ((*name).to_owned(), json!(key.pem()))).collect();
    manifest["Config"] = json!({ "RecoveryThreshold": threshold });
    let world = World::new().await;
    let coordinator = world.start().await;
    let set = common::set(&coordinator, &manifest).await;
    assert_eq!(set.recovery_secrets.len(), keys);
    let shares = set.recovery_secrets.iter().map(|(name, blob)| {
        for (other, key) in &owners {
            assert_eq!(key.decrypt(blob).is_some(), other == name, "{name}'s blob is {name}'s alone");
        }
        (name.clone(), owners[name.as_str()].decrypt(blob).unwrap())
    });
    let shares = shares.collect();
    let created = world.store.created.lock().unwrap().take().unwrap();
    Outcome {
        shares,
        data_key: created.data_key,
        recovery_data: serde_json::from_slice(&created.recovery_data).unwrap(),
    }
}

impl Outcome {
    /// L-42, L-43: "JSON map hex(SHA-256(share)) -> true", with the threshold
    fn expect_hashes(&self, threshold: usize) {
        let hashes: serde_json::Map<String, Value> =
            self.shares.values().map(|share| (hex::encode(Sha256::digest(share)), json!(true))).collect();
        assert_eq!(self.recovery_data, json!({ "format": 1, "threshold": threshold, "shares": hashes }));
    }
}

// L-40
#[tokio::test]
async fn without_recovery_keys_there_is_nothing_to_return() {
    let outcome = outcome(0, 0).await;
    assert_eq!(outcome.data_key.len(), 32);
    assert_eq!(outcome.recovery_data, json!({ "format": 1, "threshold": 0, "shares": {} }));
}

// L-41
#[tokio::test]
async fn the_holder_of_the_only_key_gets_the_data_key() {
    let outcome = outcome(1, 0).await;
    assert!(outcome.data_key.equals(&outcome.shares["alice"]));
    assert_eq!(outcome.recovery_data, json!({ "format": 1, "threshold": 1, "shares": {} }));
}

// L-42: threshold 0 and n are the same
#[tokio::test]
async fn all_holders_together_get_the_data_key_by_exclusive_or() {
    for (keys, threshold) in [(2, 0), (2, 2), (3, 3)] {
        let outcome = outcome(keys, threshold).await;
        let mut sum = vec![0; 32];
        for share in outcome.shares.values() {
            assert_eq!(share.len(), 32);
            assert!(!outcome.data_key.equals(share), "one share alone opens nothing");
            sum.iter_mut().zip(share).for_each(|(sum, byte)| *sum ^= byte);
        }
        assert!(outcome.data_key.equals(&sum), "{keys} keys, threshold {threshold}");
        outcome.expect_hashes(keys);
    }
}

// L-43
#[tokio::test]
async fn any_two_of_three_holders_get_the_data_key_and_one_alone_does_not() {
    let outcome = outcome(3, 2).await;
    outcome.expect_hashes(2);
    let shares: Vec<SecretBytes> =
        outcome.shares.values().map(|share| SecretBytes::new("share", share.clone())).collect();
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        assert_eq!((shares[first].len(), shares[second].len()), (33, 33));
        let opened = shamir::combine(&[&shares[first], &shares[second]]).unwrap();
        assert!(outcome.data_key.equals(opened.expose()));
    }
    for share in &shares {
        assert!(!outcome.data_key.equals(&share.expose()[..32]));
    }
}

// M-76, M-77
#[tokio::test]
async fn a_threshold_of_one_or_above_the_number_of_keys_is_refused() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    let (one, two) = (RecoveryKey::generate(), RecoveryKey::generate());
    manifest["RecoveryKeys"] = json!({ "alice": one.pem(), "bob": two.pem() });
    for (threshold, text) in [
        (1, "invalid recovery threshold: if set, threshold must be at least 2"),
        (3, "not enough recovery keys (2) defined to meet the recovery threshold of 3"),
    ] {
        manifest["Config"] = json!({ "RecoveryThreshold": threshold });
        assert_eq!(common::refusal(&coordinator, &manifest).await, format!("checking manifest: {text}"));
    }
}
