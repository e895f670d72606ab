//! Why a store does not open. Every message names the file, what is wrong with it and the remedy.

use std::io;
use std::path::PathBuf;

use carrara_core::ports::SealingKind;

use crate::mark::kind_name;
use crate::remedy::remedy;

/// Why a store does not open. Nothing was changed, but that a finished step of an earlier start may have been completed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, read or written.
    #[error("the state directory {path} cannot be used: {}", remedy(source))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read, or written where a start has to. That is no damage.
    #[error("{path} cannot be read and written: {}", remedy(source))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error(
        "the state directory {path} is in use by another coordinator{process}: stop it, or choose another directory",
        process = holder.map_or_else(String::new, |id| format!(" (process {id})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process, where it says so.
        holder: Option<u32>,
    },
    /// A file of another system lies where the state belongs.
    #[error(
        "{path} is the state of another system, which this coordinator cannot read: choose another state directory, \
         or move that file away and set the manifest anew"
    )]
    OtherSystem {
        /// The file.
        path: PathBuf,
    },
    /// There is a key but no state that it could open.
    #[error(
        "{path} is there, but the state.redb that it opens is not: restore state.redb from a copy, or move \
         sealed_key away to start without a state"
    )]
    KeyAlone {
        /// The key's file.
        path: PathBuf,
    },
    /// Sealed by a key of the other kind: a TEE's state never opens in simulation, and the reverse.
    #[error(
        "{path} was sealed by {was}, and this coordinator seals by {is}: start it the other way, or choose another \
         state directory", was = kind_name(*.found), is = kind_name(*.expected)
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What sealed it.
        found: SealingKind,
        /// What this process seals by.
        expected: SealingKind,
    },
    /// Of a format that this version does not know.
    #[error(
        "{path} has a format that this version does not know: start the version that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error(
        "{path} is damaged ({fault}): restore it together with sealed_key from a copy, or move both away to start \
         without a state"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The TEE gives no sealing key, so that nothing could be opened or stored.
    #[error("the TEE gives no sealing key ({0}): check that the enclave may seal on this machine")]
    SealingKey(String),
    /// The thread of the store did not start or ended while it read the state.
    #[error(
        "the thread that keeps the state ended while it read {path}, see the log: the state may be damaged; restore \
         state.redb and sealed_key from one copy"
    )]
    Stopped {
        /// The directory.
        path: PathBuf,
    },
}
