//! Recovery of a state whose key is lost, by those who hold the manifest's recovery keys (lifecycle.md section 7).
//!
//! A state becomes the coordinator's only if the secrets open it, its recovery data is its own, it loads, its manifest's
//! recovery keys have signed the secrets, and a quote over its root certificate was had. Until then nothing is changed.

use std::sync::Arc;

use carrara_types::manifest::AcceptedManifest;
use tokio::sync::OwnedMutexGuard;

use crate::audit::{self, Action, Entry};
use crate::error::{Cause, RecoverError, RecoveryPublicKeyError, public_message};
use crate::outcome::{RecoveryInput, RecoveryStep};
use crate::ports::{Batch, Candidate, Found, StoreError};
use crate::recovery_data::RecoveryData;
use crate::recovery_progress::{EphemeralKey, Progress, Weighed};
use crate::recovery_shares::MAX_RSA_BITS;
use crate::recovery_signatures::{self, SignedSecret};
use crate::view::{Epoch, View};
use crate::{Coordinator, RootQuote, status};

/// Lengths of secrets in the clear: old data keys, data keys and XOR shares, Shamir shares.
const PLAIN_LENGTHS: [usize; 3] = [16, 32, 33];

/// The longest signature, in bytes: that of the largest recovery key.
const MAX_SIGNATURE: usize = MAX_RSA_BITS / 8;

impl Coordinator {
    /// The public key that recovery secrets may be encrypted with, SubjectPublicKeyInfo DER. Made when it is first
    /// asked for, which takes seconds; the same until the state is open.
    ///
    /// # Errors
    /// The state is not locked, or no key can be made.
    pub async fn recovery_public_key(&self) -> Result<Vec<u8>, RecoveryPublicKeyError> {
        let mut slot = Arc::clone(&self.recovering.ephemeral).lock_owned().await;
        let failed = RecoveryPublicKeyError::Generate;
        if slot.is_none() && self.expect_locked().is_ok() {
            // The slot goes along, so that a caller who goes away does not make room for a second one.
            let work = move || {
                *slot = Some(EphemeralKey::generate()?);
                Ok(slot)
            };
            let made = tokio::task::spawn_blocking(work).await;
            slot = made.map_err(|_| failed(Cause("it ended unexpectedly".to_owned())))?.map_err(failed)?;
        }
        if self.expect_locked().is_err() {
            // Also where the state was opened meanwhile.
            *slot = None;
        }
        slot.as_ref().map(|key| key.spki.clone()).ok_or(RecoveryPublicKeyError::WrongState)
    }

    /// Takes one recovery secret. With the last one that is needed the state is open again (R-42..R-44).
    ///
    /// # Errors
    /// See [`RecoverError`], which also says whether the secrets before this one are kept.
    pub async fn recover(&self, input: RecoveryInput) -> Result<RecoveryStep, RecoverError> {
        let step = self.take(input).await;
        match &step {
            Ok(step) => tracing::info!(remaining = step.remaining, "recovery secret accepted"),
            Err(RecoverError::WrongState) => {}
            Err(error) => {
                let (reason, remaining) = (public_message(error), self.missing().await);
                tracing::warn!(reason, remaining, "recovery secret refused");
            }
        }
        step
    }

    /// How many secrets are missing, for the log; `None` where nothing says how many are needed.
    async fn missing(&self) -> Option<usize> {
        let progress = self.recovering.progress.lock().await;
        Some(progress.missing(&self.recovery_data()?))
    }

    fn recovery_data(&self) -> Option<RecoveryData> {
        RecoveryData::decode(self.ports.store.recovery_data().as_deref()?)
    }

    async fn take(&self, input: RecoveryInput) -> Result<RecoveryStep, RecoverError> {
        if input.signature.is_none() && !self.ports.evidence.simulated() {
            return Err(RecoverError::Unsigned);
        }
        // At once: at the end it would cost all others their secrets, too.
        if input.signature.as_ref().is_some_and(Vec::is_empty) {
            return Err(RecoverError::SignatureMissing);
        }
        if input.signature.as_ref().is_some_and(|signature| signature.len() > MAX_SIGNATURE) {
            return Err(RecoverError::SignatureTooLong(MAX_SIGNATURE));
        }
        // One at a time.
        let mut progress = Arc::clone(&self.recovering.progress).lock_owned().await;
        let secret = Arc::new(self.decrypt_secret(input).await?);
        self.expect_locked()?;
        let data = self.recovery_data().ok_or(RecoverError::DataLost)?;
        let (data_key, secrets) = match progress.weigh(&data, &secret) {
            Ok(Weighed::Missing(remaining)) => {
                progress.accept(secret);
                return Ok(RecoveryStep { remaining });
            }
            Ok(Weighed::Complete { data_key, secrets }) => (data_key, secrets),
            Err(error) => return Err(forgetting(&mut progress, error)),
        };
        let candidate = match self.ports.store.try_data_key(&data_key).await {
            Ok(Some(candidate)) => candidate,
            Ok(None) if data.is_single() => return Err(RecoverError::WrongSecret),
            Ok(None) => return Err(forgetting(&mut progress, RecoverError::DoNotOpen)),
            Err(error) => return Err(not_stored(error)),
        };
        drop(data_key);
        let view = self.load(candidate.as_ref())?;
        if let Err(error) = verify(Arc::clone(&view.epoch.manifest), secrets).await {
            return Err(forgetting(&mut progress, error));
        }
        self.adopt(candidate, view, progress).await?;
        Ok(RecoveryStep { remaining: 0 })
    }

    fn expect_locked(&self) -> Result<(), RecoverError> {
        if self.ports.store.found() == Found::Locked { Ok(()) } else { Err(RecoverError::WrongState) }
    }

    /// The secret in the clear.
    async fn decrypt_secret(&self, input: RecoveryInput) -> Result<SignedSecret, RecoverError> {
        let RecoveryInput { secret, signature } = input;
        if PLAIN_LENGTHS.contains(&secret.len()) {
            return Ok(SignedSecret { secret, signature });
        }
        let slot = Arc::clone(&self.recovering.ephemeral).lock_owned().await;
        let work = move || match slot.as_ref() {
            Some(key) => key.decrypt(secret.expose()),
            None => Err(Cause("the coordinator has no recovery public key; ask for it first".to_owned())),
        };
        let plain = tokio::task::spawn_blocking(work).await;
        let plain = plain.unwrap_or_else(|_| Err(Cause("it ended unexpectedly".to_owned())));
        Ok(SignedSecret { secret: plain.map_err(RecoverError::Decrypt)?, signature })
    }

    /// What the state would make of this coordinator. A state that does not load stays locked.
    fn load(&self, candidate: &dyn Candidate) -> Result<View, RecoverError> {
        let snapshot = candidate.snapshot();
        let epoch = Epoch::load(&snapshot, &self.policies, None).map_err(RecoverError::Store)?;
        Ok(View { snapshot, epoch: Arc::new(epoch) })
    }

    /// The quote, then the state; then what recovery remembers is dropped (L-49a).
    async fn adopt(
        &self,
        candidate: Box<dyn Candidate>,
        view: View,
        mut progress: OwnedMutexGuard<Progress>,
    ) -> Result<(), RecoverError> {
        let root = view.epoch.live.authority.root_der().to_vec();
        let quote =
            status::issue(self.ports.evidence.as_ref(), &root, &[]).await.map_err(RecoverError::Quote)?;
        let now = self.now(&view);
        let entry = Entry::done(now, None, Action::Recover, [view.epoch.answer.fingerprint.clone()]);
        let mut batch = Batch { time_ms: audit::unix_milliseconds(now), ..Batch::default() };
        entry.record(&mut batch);
        let (store, kept) = (Arc::clone(&self.ports.store), Arc::clone(&self.quote));
        let recovering = self.recovering.clone();
        // On its own: a caller who goes away does not leave it half done.
        let work = async move {
            candidate.adopt().await?;
            kept.store(Arc::new(RootQuote { root, quote }));
            progress.forget();
            recovering.forget_key();
            Ok(store.commit(batch).await)
        };
        let done = tokio::spawn(work).await;
        let recorded = done.unwrap_or(Err(StoreError::Closed)).map_err(not_stored)?;
        // What was loaded for judging is not put in force by hand: an update may have come since. Reading the state drops
        // the temporary CA, too.
        let _ = self.view();
        match recorded {
            Ok(_) => entry.announce(),
            // The state is open: the entry waits with the others.
            Err(_) => self.note(&entry),
        }
        Ok(())
    }
}

/// Verifying is slow with many keys.
async fn verify(
    manifest: Arc<AcceptedManifest>,
    secrets: Vec<Arc<SignedSecret>>,
) -> Result<(), RecoverError> {
    let work = move || {
        let secrets: Vec<&SignedSecret> = secrets.iter().map(Arc::as_ref).collect();
        recovery_signatures::verify(&manifest.recovery_keys, manifest.config.recovery_threshold, &secrets)
    };
    let verified = tokio::task::spawn_blocking(work).await;
    verified
        .unwrap_or_else(|_| Err(Cause("it ended unexpectedly".to_owned())))
        .map_err(RecoverError::Signatures)
}

/// Drops the progress where the error says so.
fn forgetting(progress: &mut Progress, error: RecoverError) -> RecoverError {
    if error.drops_progress() {
        progress.forget();
    }
    error
}

fn not_stored(error: StoreError) -> RecoverError {
    match error {
        StoreError::NotLocked => RecoverError::WrongState,
        error => RecoverError::Store(error),
    }
}
