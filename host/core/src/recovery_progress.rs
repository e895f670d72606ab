//! Recovery between two uploads: the secrets that were accepted so far, and the key that secrets may be encrypted with.
//!
//! Bounded: of each share that the recovery data knows one is kept, once. All of it is wiped when it is dropped.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use carrara_types::secret::SecretBytes;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::error::{Cause, RecoverError};
use crate::recovery_data::{RecoveryData, hash};
use crate::recovery_signatures::SignedSecret;

/// What recovery remembers while the state is locked. Each lock is held by one request at a time, and by no reader.
#[derive(Default, Clone)]
pub(crate) struct Recovering {
    pub(crate) progress: Arc<Mutex<Progress>>,
    pub(crate) ephemeral: Arc<Mutex<Option<EphemeralKey>>>,
}

impl Recovering {
    /// Once the state is open nothing of it is needed. Does not wait for requests that are at work on it.
    pub(crate) fn forget(&self) {
        self.forget_key();
        let progress = Arc::clone(&self.progress);
        tokio::spawn(async move { progress.lock().await.forget() });
    }

    /// At once, unless the key is in use: then as soon as it is not.
    pub(crate) fn forget_key(&self) {
        let ephemeral = Arc::clone(&self.ephemeral);
        match Arc::clone(&ephemeral).try_lock_owned() {
            Ok(mut slot) => *slot = None,
            Err(_) => drop(tokio::spawn(async move { *ephemeral.lock().await = None })),
        }
    }
}

/// The secrets accepted so far.
#[derive(Default)]
pub(crate) struct Progress {
    accepted: Vec<Arc<SignedSecret>>,
}

/// What one more secret comes to.
pub(crate) enum Weighed {
    /// So many are missing still once it is kept.
    Missing(usize),
    /// That were all: the data key, if they are what they should be, and whose signatures count.
    Complete { data_key: SecretBytes, secrets: Vec<Arc<SignedSecret>> },
}

impl Progress {
    /// What the secret comes to together with those before it. Changes nothing.
    pub(crate) fn weigh(
        &self,
        data: &RecoveryData,
        secret: &Arc<SignedSecret>,
    ) -> Result<Weighed, RecoverError> {
        if data.threshold == 0 {
            return Err(RecoverError::NoKeys);
        }
        if data.is_single() {
            let data_key = secret.secret.duplicate();
            return Ok(Weighed::Complete { data_key, secrets: vec![Arc::clone(secret)] });
        }
        if !data.knows(&hash(&secret.secret)) {
            return Err(RecoverError::NotExpected);
        }
        if let Some(earlier) = self.accepted.iter().find(|earlier| earlier.is_of(secret)) {
            if earlier.signature == secret.signature {
                return Err(RecoverError::AlreadyUsed);
            }
            return Ok(Weighed::Missing(self.missing(data)));
        }
        let secrets: Vec<_> = self.accepted.iter().chain([secret]).map(Arc::clone).collect();
        match data.threshold.saturating_sub(secrets.len()) {
            0 => {
                let shares: Vec<&SecretBytes> = secrets.iter().map(|signed| &signed.secret).collect();
                let data_key = data.join(&shares).ok_or(RecoverError::DoNotOpen)?;
                Ok(Weighed::Complete { data_key, secrets })
            }
            missing => Ok(Weighed::Missing(missing)),
        }
    }

    /// How many are missing.
    pub(crate) fn missing(&self, data: &RecoveryData) -> usize {
        data.threshold.saturating_sub(self.accepted.len())
    }

    /// Keeps a secret. One that is there already gets the new signature, so that its holder can correct hers (L-49).
    pub(crate) fn accept(&mut self, secret: Arc<SignedSecret>) {
        match self.accepted.iter_mut().find(|earlier| earlier.is_of(&secret)) {
            Some(earlier) => *earlier = secret,
            None => self.accepted.push(secret),
        }
    }

    pub(crate) fn forget(&mut self) {
        self.accepted = Vec::new();
    }
}

impl SignedSecret {
    /// Whether both are the same secret, whatever the signatures.
    fn is_of(&self, other: &Self) -> bool {
        self.secret.equals(other.secret.expose())
    }
}

/// The key pair that recovery secrets may be encrypted with on their way: RSA with 4096 bits.
pub(crate) struct EphemeralKey {
    key: OaepPrivateDecryptingKey,
    /// SubjectPublicKeyInfo DER.
    pub(crate) spki: Vec<u8>,
}

impl EphemeralKey {
    /// Takes seconds.
    pub(crate) fn generate() -> Result<Self, Cause> {
        let failed = |_| Cause("making the ephemeral key".to_owned());
        let key = PrivateDecryptingKey::generate(KeySize::Rsa4096).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(failed)?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { key: OaepPrivateDecryptingKey::new(key).map_err(failed)?, spki })
    }

    /// RSA-OAEP with SHA-256 and no label. Takes milliseconds.
    pub(crate) fn decrypt(&self, ciphertext: &[u8]) -> Result<SecretBytes, Cause> {
        let mut buffer = Zeroizing::new(vec![0; self.key.min_output_size()]);
        let plain = self.key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut buffer, None);
        let plain = plain.map_err(|_| {
            Cause("it is neither a secret of 16, 32 or 33 bytes nor encrypted with the coordinator's recovery public key".to_owned())
        })?;
        Ok(SecretBytes::new("recovery secret", plain.to_vec()))
    }
}
