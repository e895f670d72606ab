//! The records of the sealed state: their names (L-34) and their encodings.
//!
//! Every encoding starts with a version byte, but for what is stored as clients know it (the manifest's bytes, DER).

use std::collections::BTreeMap;

use carrara_types::policy::Digest;
use carrara_types::secret::SecretBytes;
use sha2::{Digest as _, Sha256};

use crate::error::Cause;
use crate::generate::SecretValue;
use crate::pending::Pending;
use crate::ports::{Batch, Snapshot, StoreError};

/// The uploaded bytes (M-1).
pub(crate) const MANIFEST: &str = "manifest";
/// DER ECDSA.
pub(crate) const MANIFEST_SIGNATURE: &str = "manifestSignature";
/// 32 bytes (S-24).
pub(crate) const ROOT_SECRET: &str = "rootSecret";
/// 32 bytes (S-40).
pub(crate) const PREVIOUS_ROOT_SECRET: &str = "previousRootSecret";
/// DER.
pub(crate) const ROOT_CERTIFICATE: &str = "certificate:coordinatorRootCert";
/// DER.
pub(crate) const INTERMEDIATE_CERTIFICATE: &str = "certificate:coordinatorIntermediateCert";
/// DER.
pub(crate) const MARBLE_ROOT_CERTIFICATE: &str = "certificate:marbleRootCert";
/// As [`crate::authority::AuthorityRecords`] holds it.
pub(crate) const ROOT_KEY: &str = "privateKey:coordinatorRootKey";
/// As [`crate::authority::AuthorityRecords`] holds it.
pub(crate) const INTERMEDIATE_KEY: &str = "privateKey:coordinatorIntermediateKey";
/// The update that waits for acknowledgements (L-51).
pub(crate) const PENDING_UPDATE: &str = "pendingUpdate";

/// Written when a lost component of the manifest in force is stored again: its revision says that policies are to be made anew.
pub(crate) const RESTORED: &str = "policyRestored";
/// What the names of components' records start with.
pub(crate) const COMPONENTS: &str = "policy:";

/// The first byte of encodings made here.
const VERSION: u8 = 1;

/// The current value of a shared or user-defined secret; absent while a user-defined one is unset.
pub(crate) fn secret(name: &str) -> String {
    format!("secret:{name}")
}

/// The previous value of a secret where it differs from the current one; for a generated secret without this record
/// the previous value is the current one (S-40).
pub(crate) fn previous_secret(name: &str) -> String {
    format!("previousSecret:{name}")
}

/// How often a Marble type was activated, u64 LE (M-92).
pub(crate) fn activations(marble_type: &str) -> String {
    format!("activations:{marble_type}")
}

/// A package's security version after package updates (M-104..M-106), u64 LE.
pub(crate) fn package_version(package: &str) -> String {
    format!("package:{package}")
}

/// When a user-defined secret was last uploaded, Unix seconds, u64 LE.
pub(crate) fn secret_set(name: &str) -> String {
    format!("secretSet:{name}")
}

/// The bytes of a policy's component.
pub(crate) fn component_key(digest: &Digest) -> String {
    format!("{COMPONENTS}{}", hex::encode(digest.0))
}

/// Reads a component, which may have many megabytes.
///
/// # Errors
/// It does not open, or is not what its name says.
pub(crate) fn component(snapshot: &dyn Snapshot, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(record) = snapshot.open(&component_key(digest))? else { return Ok(None) };
    if Sha256::digest(record.expose())[..] != digest.0 {
        return Err(StoreError::Read(format!("the component {digest} has other content")));
    }
    Ok(Some(record.expose().to_vec()))
}

/// The security versions that package updates stored, by package.
pub(crate) fn package_versions(snapshot: &dyn Snapshot) -> Result<BTreeMap<String, u64>, StoreError> {
    let prefix = package_version("");
    let read = |key: String| {
        let bytes = required(snapshot, &key)?;
        let version = u64::from_le_bytes(fixed(&key, bytes.expose())?);
        Ok((key.strip_prefix(&prefix).unwrap_or_default().to_owned(), version))
    };
    snapshot.keys(&prefix).into_iter().map(read).collect()
}

/// The update that waits for acknowledgements.
pub(crate) fn pending_update(snapshot: &dyn Snapshot) -> Result<Option<Pending>, StoreError> {
    let Some(bytes) = snapshot.open(PENDING_UPDATE)? else { return Ok(None) };
    Pending::decode(bytes.expose())
        .map(Some)
        .map_err(|cause| StoreError::Read(format!("record `{PENDING_UPDATE}`: {cause}")))
}

/// A monotonic counter, u64 LE; `id` as rest-api.md, monotonic-counter, builds it.
pub(crate) fn counter(id: &str) -> String {
    format!("monotonicCounter:{id}")
}

/// Adds a record to a batch.
pub(crate) fn put(batch: &mut Batch, key: impl Into<String>, bytes: Vec<u8>) {
    batch.puts.push((key.into(), SecretBytes::new("record", bytes)));
}

/// A record that must be there.
pub(crate) fn required(snapshot: &dyn Snapshot, key: &str) -> Result<SecretBytes, StoreError> {
    snapshot.open(key)?.ok_or_else(|| StoreError::Read(format!("record `{key}` is missing")))
}

/// The stored count of activations.
pub(crate) fn activation_count(snapshot: &dyn Snapshot, marble_type: &str) -> Result<u64, StoreError> {
    Ok(number(snapshot, &activations(marble_type))?.unwrap_or(0))
}

/// The value of a record that holds a number, u64 LE; `None` if there is no such record.
pub(crate) fn number(snapshot: &dyn Snapshot, key: &str) -> Result<Option<u64>, StoreError> {
    let Some(bytes) = snapshot.open(key)? else { return Ok(None) };
    Ok(Some(u64::from_le_bytes(fixed(key, bytes.expose())?)))
}

/// The value of a secret record, `None` if there is no such record.
pub(crate) fn read_secret(snapshot: &dyn Snapshot, key: &str) -> Result<Option<SecretValue>, StoreError> {
    let Some(bytes) = snapshot.open(key)? else { return Ok(None) };
    decode_secret(bytes.expose())
        .map(Some)
        .map_err(|cause| StoreError::Read(format!("record `{key}`: {cause}")))
}

/// Version, validity in days (u64 LE), then certificate, private and public part: one byte (1 = present), and if
/// present length (u32 LE) and bytes.
pub(crate) fn encode_secret(value: &SecretValue) -> Vec<u8> {
    let parts = [
        value.certificate.as_deref(),
        value.private.as_ref().map(SecretBytes::expose),
        value.public.as_ref().map(SecretBytes::expose),
    ];
    let length: usize = parts.iter().flatten().map(|part| part.len() + 4).sum();
    // Exact capacity: growing would leave copies of the secret behind.
    let mut bytes = Vec::with_capacity(1 + 8 + parts.len() + length);
    bytes.push(VERSION);
    bytes.extend_from_slice(&value.valid_for.to_le_bytes());
    for part in parts {
        match part {
            Some(part) => {
                bytes.push(1);
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(part);
            }
            None => bytes.push(0),
        }
    }
    bytes
}

/// The reverse of [`encode_secret`].
pub(crate) fn decode_secret(mut rest: &[u8]) -> Result<SecretValue, Cause> {
    let [version] = take::<1>(&mut rest)?;
    if version != VERSION {
        return Err(Cause(format!("version {version} is newer than this coordinator")));
    }
    let valid_for = u64::from_le_bytes(take(&mut rest)?);
    let certificate = decode_part(&mut rest)?;
    let private = decode_part(&mut rest)?.map(|bytes| SecretBytes::new("secret", bytes));
    let public = decode_part(&mut rest)?.map(|bytes| SecretBytes::new("secret", bytes));
    Ok(SecretValue { certificate, private, public, valid_for })
}

fn decode_part(rest: &mut &[u8]) -> Result<Option<Vec<u8>>, Cause> {
    if take::<1>(rest)? == [0] {
        return Ok(None);
    }
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (part, tail) = rest.split_at_checked(length).ok_or_else(|| Cause("is cut short".to_owned()))?;
    *rest = tail;
    Ok(Some(part.to_vec()))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Cause> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or_else(|| Cause("is cut short".to_owned()))?;
    *rest = tail;
    Ok(*head)
}

fn fixed<const N: usize>(key: &str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Read(format!("record `{key}` has a wrong length")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_encoding_with_absent_and_empty_parts_kept_apart() {
        let value = SecretValue {
            certificate: Some(vec![1, 2]),
            private: Some(SecretBytes::new("p", Vec::new())),
            public: None,
            valid_for: 365,
        };
        let read = decode_secret(&encode_secret(&value)).unwrap();
        assert_eq!(read.certificate, Some(vec![1, 2]));
        assert!(read.private.unwrap().is_empty());
        assert!(read.public.is_none());
        assert_eq!(read.valid_for, 365);
    }

    #[test]
    fn a_secret_cut_anywhere_is_refused() {
        let value = SecretValue {
            certificate: Some(vec![9; 5]),
            private: Some(SecretBytes::new("p", vec![7; 3])),
            public: Some(SecretBytes::new("p", vec![7; 3])),
            valid_for: 0,
        };
        let bytes = encode_secret(&value);
        for length in 0..bytes.len() {
            assert!(decode_secret(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        assert!(decode_secret(&[2]).unwrap_err().0.contains("version 2"));
    }

    // A golden: states that were written once must be read for ever.
    #[test]
    fn the_encoding_of_a_secret_does_not_change() {
        let value = SecretValue {
            certificate: None,
            private: Some(SecretBytes::new("p", vec![0xaa])),
            public: Some(SecretBytes::new("p", vec![0xbb])),
            valid_for: 1,
        };
        assert_eq!(
            hex::encode(encode_secret(&value)),
            "0101000000000000000001010000 00aa0101000000bb".replace(' ', "")
        );
    }
}
