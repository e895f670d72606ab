//! The update that waits for acknowledgements: who must acknowledge it, and who has (L-51, L-53, L-54).
//!
//! The required users are frozen when the update is started: a change of roles by the update itself, or a policy that
//! changes its mind, neither adds nor removes anybody.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Cause;

/// The first byte of the record; JSON follows.
const VERSION: u8 = 1;

/// A full update that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The proposed manifest's bytes.
    pub(crate) manifest: Vec<u8>,
    /// Who started it.
    pub(crate) proposer: String,
    /// Every user who may acknowledge it, and whether they have.
    required: BTreeMap<String, bool>,
    /// How many acknowledgements it takes, the proposer's included; at least 1.
    needed: usize,
}

/// The record as JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    manifest: String,
    proposer: String,
    required: BTreeMap<String, bool>,
    needed: u64,
}

/// What an acknowledgement changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// It counts.
    Now,
    /// It counted before.
    Before,
    /// The user is not among those who may acknowledge.
    NotAllowed,
}

impl Pending {
    /// An update that `proposer` starts, which acknowledges it. `holders` may acknowledge; `threshold` 0 means all.
    pub(crate) fn start(
        manifest: Vec<u8>,
        proposer: &str,
        holders: impl IntoIterator<Item = String>,
        threshold: u64,
    ) -> Self {
        let mut required: BTreeMap<String, bool> = holders.into_iter().map(|name| (name, false)).collect();
        required.insert(proposer.to_owned(), true);
        let needed = match usize::try_from(threshold) {
            Ok(0) => required.len(),
            Ok(threshold) => threshold,
            Err(_) => usize::MAX,
        };
        Self { manifest, proposer: proposer.to_owned(), required, needed }
    }

    /// Counts a user's acknowledgement.
    pub(crate) fn acknowledge(&mut self, user: &str) -> Acknowledged {
        match self.required.get_mut(user) {
            None => Acknowledged::NotAllowed,
            Some(true) => Acknowledged::Before,
            Some(acknowledged) => {
                *acknowledged = true;
                Acknowledged::Now
            }
        }
    }

    /// How many acknowledgements are still needed.
    pub(crate) fn missing(&self) -> usize {
        let acknowledged = self.required.values().filter(|acknowledged| **acknowledged).count();
        self.needed.saturating_sub(acknowledged)
    }

    /// Who has not acknowledged yet, sorted, also where fewer are needed; nobody once none is needed (L-54).
    pub(crate) fn missing_users(&self) -> Vec<String> {
        if self.missing() == 0 {
            return Vec::new();
        }
        let waiting = self.required.iter().filter(|(_, acknowledged)| !**acknowledged);
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// Lower-case hex SHA-256 of the manifest.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.manifest))
    }

    /// The record.
    ///
    /// # Errors
    /// The library does not encode it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Cause> {
        let stored = Stored {
            manifest: STANDARD.encode(&self.manifest),
            proposer: self.proposer.clone(),
            required: self.required.clone(),
            needed: self.needed as u64,
        };
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, &stored).map_err(|error| Cause(error.to_string()))?;
        Ok(bytes)
    }

    /// Reads the record.
    ///
    /// # Errors
    /// It is damaged, or of a newer coordinator.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Cause> {
        let json = match bytes.split_first() {
            Some((&VERSION, json)) => json,
            Some((version, _)) => {
                return Err(Cause(format!("version {version} is newer than this coordinator")));
            }
            None => return Err(Cause("is empty".to_owned())),
        };
        let stored: Stored = serde_json::from_slice(json).map_err(|error| Cause(error.to_string()))?;
        let manifest = STANDARD.decode(&stored.manifest).map_err(|error| Cause(error.to_string()))?;
        Ok(Self {
            manifest,
            proposer: stored.proposer,
            required: stored.required,
            needed: usize::try_from(stored.needed).unwrap_or(usize::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn pending(threshold: u64) -> Pending {
        Pending::start(b"{}".to_vec(), "bob", names(&["alice", "bob", "carol"]), threshold)
    }

    // L-51
    #[test]
    fn without_a_threshold_everybody_acknowledges_and_the_proposer_has() {
        let mut pending = pending(0);
        assert_eq!((pending.missing(), pending.missing_users()), (2, names(&["alice", "carol"])));
        assert_eq!(pending.acknowledge("carol"), Acknowledged::Now);
        assert_eq!((pending.missing(), pending.missing_users()), (1, names(&["alice"])));
        assert_eq!(pending.acknowledge("alice"), Acknowledged::Now);
        assert_eq!((pending.missing(), pending.missing_users()), (0, Vec::new()));
    }

    // L-51, L-54
    #[test]
    fn a_threshold_lowers_the_number_and_not_the_list() {
        let mut pending = pending(2);
        assert_eq!((pending.missing(), pending.missing_users()), (1, names(&["alice", "carol"])));
        pending.acknowledge("alice");
        assert_eq!((pending.missing(), pending.missing_users()), (0, Vec::new()));
        assert_eq!(self::pending(1).missing(), 0);
    }

    // L-51: at least one, and the initiator counts
    #[test]
    fn the_proposer_counts_whoever_else_holds_the_permission() {
        let alone = Pending::start(Vec::new(), "bob", Vec::new(), 0);
        assert_eq!((alone.missing(), alone.missing_users()), (0, Vec::new()));
    }

    // L-53
    #[test]
    fn a_second_acknowledgement_changes_nothing_and_a_stranger_s_is_none() {
        let mut pending = pending(0);
        let before = pending.clone();
        assert_eq!(pending.acknowledge("bob"), Acknowledged::Before);
        assert_eq!(pending.acknowledge("mallory"), Acknowledged::NotAllowed);
        assert_eq!(pending, before);
    }

    // A golden: what waits when the coordinator is updated must be read by the new one.
    #[test]
    fn the_encoding_does_not_change() {
        let mut pending = pending(2);
        pending.acknowledge("alice");
        let bytes = pending.encode().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "\u{1}{\"manifest\":\"e30=\",\"proposer\":\"bob\",\"required\":{\"alice\":true,\"bob\":true,\"carol\":false},\
             \"needed\":2}"
        );
        assert_eq!(Pending::decode(&bytes).unwrap(), pending);
        assert!(Pending::decode(&[2]).unwrap_err().0.contains("version 2"));
        assert!(Pending::decode(&[]).is_err());
        assert!(Pending::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
