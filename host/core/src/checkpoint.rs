//! The signed head of the update log: a C2SP tlog-checkpoint over an RFC 6962 tree, signed by the root key.
//!
//! The format is described in host/docs/checkpoint.md. The root key also signs manifests and quotes with the same digest;
//! a checkpoint cannot be mistaken for either: it begins with a letter and has several lines.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;
use x509_cert::Certificate;

use crate::Coordinator;
use crate::error::{Cause, LogHeadError};
use crate::outcome::LogHead;
use crate::ports::Snapshot;
use crate::view::View;

/// The newest checkpoint. A signature takes more than a millisecond, so that nobody signs the same revision twice.
#[derive(Default)]
pub(crate) struct Checkpoints {
    newest: Arc<ArcSwapOption<Checkpoint>>,
    /// Held while one is signed.
    signing: Arc<tokio::sync::Mutex<()>>,
}

struct Checkpoint {
    state_id: Option<[u8; 16]>,
    log_size: u64,
    revision: u64,
    text: String,
}

impl Checkpoints {
    /// The newest checkpoint if it is of the snapshot's log and not older than `least`.
    fn at_least(&self, snapshot: &dyn Snapshot, least: u64) -> Option<Arc<Checkpoint>> {
        self.newest.load_full().filter(|newest| {
            newest.state_id == snapshot.state_id()
                && newest.log_size == snapshot.log_size()
                && newest.revision >= least
        })
    }

    /// Signs, off the async workers. It is kept even if who asked goes away meanwhile.
    async fn sign(&self, view: View, turn: OwnedMutexGuard<()>) -> Result<Arc<Checkpoint>, LogHeadError> {
        let newest = Arc::clone(&self.newest);
        let work = move || {
            let checkpoint = Arc::new(Checkpoint::sign(&view)?);
            newest.store(Some(Arc::clone(&checkpoint)));
            drop(turn);
            Ok(checkpoint)
        };
        let signed = tokio::task::spawn_blocking(work).await;
        let signed = signed.unwrap_or_else(|_| Err(Cause("signing ended unexpectedly".to_owned())));
        signed.map_err(LogHeadError::Sign)
    }
}

impl Checkpoint {
    fn sign(view: &View) -> Result<Self, Cause> {
        let snapshot = view.snapshot.as_ref();
        let authority = &view.epoch.live.authority;
        let origin = origin(authority.root_der());
        let (log_size, revision) = (snapshot.log_size(), snapshot.revision());
        let root = STANDARD.encode(snapshot.log_root());
        let note = format!("{origin}\n{log_size}\n{root}\nrevision {revision}\n");
        let mut signature = key_id(authority.root_der())?;
        signature.extend(authority.sign_fingerprint(note.as_bytes())?);
        let text = format!("{note}\n\u{2014} {origin} {}\n", STANDARD.encode(signature));
        Ok(Self { state_id: snapshot.state_id(), log_size, revision, text })
    }
}

impl Coordinator {
    /// The signed checkpoint with the consistency proof from the log's first `from` lines; `None` or 0 asks for no proof.
    /// Who asks while one is signed gets that one, or the next.
    ///
    /// # Errors
    /// Wrong state, or `from` is past the end.
    pub async fn log_head(&self, from: Option<u64>) -> Result<LogHead, LogHeadError> {
        let from = from.unwrap_or(0);
        let view = self.log_view()?;
        // Refused before anything is signed.
        prove(&view, from)?;
        let asked = view.snapshot.revision();
        let (view, checkpoint) = match self.checkpoints.at_least(view.snapshot.as_ref(), asked) {
            Some(checkpoint) => (view, checkpoint),
            None => self.signed(asked).await?,
        };
        Ok(LogHead { checkpoint: checkpoint.text.clone(), consistency: prove(&view, from)? })
    }

    /// Waits for the turn; then the checkpoint that somebody signed meanwhile does, or the newest state is signed.
    async fn signed(&self, least: u64) -> Result<(View, Arc<Checkpoint>), LogHeadError> {
        let turn = Arc::clone(&self.checkpoints.signing).lock_owned().await;
        let view = self.log_view()?;
        let checkpoint = match self.checkpoints.at_least(view.snapshot.as_ref(), least) {
            Some(checkpoint) => checkpoint,
            None => self.checkpoints.sign(view.clone(), turn).await?,
        };
        Ok((view, checkpoint))
    }

    fn log_view(&self) -> Result<View, LogHeadError> {
        self.view().map_err(LogHeadError::Store)?.ok_or(LogHeadError::WrongState)
    }
}

/// The proof from the first `from` lines to all of the view's.
fn prove(view: &View, from: u64) -> Result<Vec<[u8; 32]>, LogHeadError> {
    let proof = view.snapshot.log_consistency(from).map_err(LogHeadError::Store)?;
    proof.ok_or_else(|| LogHeadError::TooFar { from, size: view.snapshot.log_size() })
}

/// The log's name, which is the key's, too: whoever knows the root certificate knows both.
fn origin(root: &[u8]) -> String {
    format!("carrara/{}", hex::encode(Sha256::digest(root)))
}

/// The key's id as signed-note defines it for ECDSA: the first four bytes of SHA-256 over the SPKI's DER.
fn key_id(root: &[u8]) -> Result<Vec<u8>, Cause> {
    let unreadable = |_| Cause("the root certificate does not read".to_owned());
    let certificate = Certificate::from_der(root).map_err(unreadable)?;
    let spki = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(unreadable)?;
    Ok(Sha256::digest(spki).iter().take(4).copied().collect())
}
