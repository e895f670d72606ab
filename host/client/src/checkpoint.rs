//! Signed heads of the update log: C2SP tlog-checkpoint in a C2SP signed note, over an RFC 6962 Merkle tree.
//!
//! A [`Checkpoint`] exists only if the coordinator's root key signed it. Two of them either agree ([`Checkpoint::follow`]) or
//! prove that the coordinator's state was rolled back or forked: both are signed, so either can be shown to others.
//! Knows no files: who keeps the last checkpoint is the caller.

mod note;
mod tree;

use std::fmt;

pub use note::CheckpointError;
pub use tree::{Hash, consistent, leaf_hash, root_of};

/// What the coordinator said about its log at one time, with its signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    text: String,
    origin: String,
    size: u64,
    root: Hash,
    revision: u64,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Checkpoint {
    /// Reads a note and verifies its signature with the key of the coordinator's root certificate, DER.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn verify(note: &str, root_certificate: &[u8]) -> Result<Self, CheckpointError> {
        note::open(note, root_certificate)
    }

    /// The note as it was signed, to keep and to show.
    #[must_use]
    pub fn as_note(&self) -> &str {
        &self.text
    }

    /// `carrara/` and the hex SHA-256 of the root certificate.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Lines of the log.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle root over the lines.
    #[must_use]
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// The revision of the coordinator's whole state, which every change raises.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether these are the lines: all of them, without newlines.
    #[must_use]
    pub fn covers<T: AsRef<[u8]>>(&self, lines: &[T]) -> bool {
        lines.len() as u64 == self.size && root_of(lines) == self.root
    }

    /// What `newer`, fetched after this one, means. `proof` is the consistency proof from this size to its size.
    ///
    /// # Errors
    /// The two contradict each other.
    pub fn follow(&self, newer: &Self, proof: &[Hash]) -> Result<Progress, Contradiction> {
        if self.origin != newer.origin {
            return Err(Contradiction::OtherLog);
        }
        if newer.size < self.size || newer.revision < self.revision {
            return Err(Contradiction::RolledBack);
        }
        if newer.size == self.size {
            return match newer.root == self.root {
                true => Ok(Progress::Same),
                false => Err(Contradiction::Forked),
            };
        }
        match consistent((self.size, &self.root), (newer.size, &newer.root), proof) {
            true => Ok(Progress::Continued),
            false => Err(Contradiction::Forked),
        }
    }
}

/// How a log went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No line was added; other parts of the state may have changed.
    Same,
    /// Lines were added after those that were seen.
    Continued,
}

/// How two checkpoints contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// They are not about the same log.
    #[error("the checkpoints are signed by different coordinators")]
    OtherLog,
    /// The newer one tells of an older state.
    #[error("the coordinator's state was rolled back: it is older than what was seen before")]
    RolledBack,
    /// There are two different pasts.
    #[error("the coordinator's state was forked: its log does not continue what was seen before")]
    Forked,
}

#[cfg(test)]
#[path = "checkpoint/tests.rs"]
mod tests;
