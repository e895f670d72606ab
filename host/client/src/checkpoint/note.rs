//! Reading a checkpoint's note and verifying its signature.

use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Checkpoint, Hash};

/// A note has five lines and one signature; others' signatures may come with it.
const MAX_NOTE_BYTES: usize = 64 << 10;
/// C2SP signed-note: a signature line.
const SIGNATURE_PREFIX: &str = "\u{2014} ";
/// The first bytes of a signature: which key made it.
const KEY_ID_BYTES: usize = 4;

/// Why a text is no checkpoint of the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// No signed note.
    #[error("the checkpoint is no signed note")]
    Note,
    /// Not about an update log.
    #[error("the checkpoint does not name origin, size, root hash and revision")]
    Content,
    /// No signature by this coordinator.
    #[error("the checkpoint is not signed by the trusted coordinator's root key")]
    Unsigned,
    /// A signature that does not verify.
    #[error("the signature of the checkpoint is wrong; do not trust this server")]
    Signature,
    /// The root certificate cannot be read.
    #[error("the coordinator's root certificate cannot be read")]
    Certificate,
}

pub(super) fn open(note: &str, root_certificate: &[u8]) -> Result<Checkpoint, CheckpointError> {
    if note.len() > MAX_NOTE_BYTES
        || note.chars().any(|character| character.is_control() && character != '\n')
    {
        return Err(CheckpointError::Note);
    }
    // The signed text ends with its last newline; the blank line separates.
    let split = note.rfind("\n\n").ok_or(CheckpointError::Note)? + 1;
    let (text, signatures) = note.split_at(split);
    let signatures = signatures.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
    let origin = format!("carrara/{}", hex::encode(Sha256::digest(root_certificate)));
    verify(text, signatures.ok_or(CheckpointError::Note)?, &origin, root_certificate)?;
    read(note, text, origin)
}

fn verify(text: &str, signatures: &str, name: &str, root_certificate: &[u8]) -> Result<(), CheckpointError> {
    let (_, certificate) =
        X509Certificate::from_der(root_certificate).map_err(|_| CheckpointError::Certificate)?;
    let key_id = Sha256::digest(certificate.public_key().raw);
    let mut ours = None;
    for line in signatures.split('\n') {
        let signature = line.strip_prefix(SIGNATURE_PREFIX).and_then(|rest| rest.split_once(' '));
        let (signer, signature) = signature.ok_or(CheckpointError::Note)?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| CheckpointError::Note)?;
        let (id, signature) = signature.split_at_checked(KEY_ID_BYTES).ok_or(CheckpointError::Note)?;
        // Signatures of keys that are not known count for nothing.
        if signer == name && key_id.starts_with(id) {
            ours = Some(signature.to_vec());
        }
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, certificate.public_key().subject_public_key.data.as_ref())
        .verify(text.as_bytes(), &ours.ok_or(CheckpointError::Unsigned)?)
        .map_err(|_| CheckpointError::Signature)
}

fn read(note: &str, text: &str, origin: String) -> Result<Checkpoint, CheckpointError> {
    let mut lines = text.lines();
    if lines.next() != Some(origin.as_str()) {
        return Err(CheckpointError::Content);
    }
    let size = lines.next().and_then(number).ok_or(CheckpointError::Content)?;
    let root = lines.next().and_then(|line| BASE64_STANDARD.decode(line).ok());
    let root = root.and_then(|root| Hash::try_from(root).ok()).ok_or(CheckpointError::Content)?;
    let revision = lines.next().and_then(|line| line.strip_prefix("revision ")).and_then(number);
    let revision = revision.ok_or(CheckpointError::Content)?;
    Ok(Checkpoint { text: note.to_owned(), origin, size, root, revision })
}

/// One way to write each number.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
