//! The format of sealed records: `0x01`, revision (u64 LE), nonce (12 bytes), AES-256-GCM ciphertext, tag (16 bytes).
//!
//! Every record has its own key, HKDF-SHA256 (data key, "carrara record v1" then the name), so that the bound on random
//! nonces holds per record and not per state. Nonces are never counted: a restored copy would repeat them. The state's
//! id, the name and the revision are authenticated, so that no record passes for another one.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::hmac;
use carrara_core::ports::Entropy;
use carrara_types::secret::SecretBytes;
use zeroize::Zeroize;

use crate::mark::StateId;

/// Length of a nonce in bytes.
pub(crate) const NONCE: usize = 12;
/// Length of an authentication tag in bytes.
pub(crate) const TAG: usize = 16;
/// Length of the data key in bytes.
pub(crate) const DATA_KEY: usize = 32;

const FORMAT: u8 = 0x01;
const HEADER: usize = 1 + 8 + NONCE;
const RECORD_KEY: &[u8] = b"carrara record v1";
const MULTISET_KEY: &[u8] = b"head";

/// Something does not seal or open. Says nothing more on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealing failed")]
pub(crate) struct SealError;

/// A record as it lies in the backend. Invariant: has the format's first byte and at least its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed(Arc<[u8]>);

impl Sealed {
    /// Reads a record's frame; whether it is genuine shows when it is opened.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        (bytes.first() == Some(&FORMAT) && bytes.len() >= HEADER + TAG).then(|| Self(bytes.into()))
    }

    /// Whether a later version wrote it.
    pub(crate) fn is_newer(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|format| *format > FORMAT)
    }

    /// The whole record.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The revision that wrote it.
    pub(crate) fn revision(&self) -> u64 {
        self.0.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    fn nonce(&self) -> Option<[u8; NONCE]> {
        self.0.get(9..HEADER)?.try_into().ok()
    }

    fn ciphertext_and_tag(&self) -> Option<(&[u8], &[u8])> {
        self.0.get(HEADER..)?.split_last_chunk::<TAG>().map(|(text, tag)| (text, tag.as_slice()))
    }
}

/// Where a record belongs; authenticated with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) state_id: &'a StateId,
    pub(crate) name: &'a [u8],
}

impl Place<'_> {
    /// State id, length of the name (u32 LE), name, revision (u64 LE).
    fn associated_data(&self, revision: u64) -> Result<Vec<u8>, SealError> {
        let length = u32::try_from(self.name.len()).map_err(|_| SealError)?;
        let mut data = Vec::with_capacity(16 + 4 + self.name.len() + 8);
        data.extend_from_slice(self.state_id);
        data.extend_from_slice(&length.to_le_bytes());
        data.extend_from_slice(self.name);
        data.extend_from_slice(&revision.to_le_bytes());
        Ok(data)
    }
}

/// What follows from the data key. The key itself is not kept.
pub(crate) struct Keyring {
    root: Prk,
    multiset: hmac::Key,
}

impl Keyring {
    /// Refuses a data key that is not 32 bytes long.
    pub(crate) fn new(data_key: &SecretBytes) -> Result<Self, SealError> {
        if data_key.len() != DATA_KEY {
            return Err(SealError);
        }
        let root = Salt::new(HKDF_SHA256, &[]).extract(data_key.expose());
        let multiset = root.expand(&[MULTISET_KEY], hmac::HMAC_SHA256).map_err(|_| SealError)?.into();
        Ok(Self { root, multiset })
    }

    /// Seals with a nonce from `entropy`.
    pub(crate) fn seal(
        &self,
        place: Place<'_>,
        revision: u64,
        clear: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        self.seal_with(place, revision, clear, nonce)
    }

    fn seal_with(
        &self,
        place: Place<'_>,
        revision: u64,
        clear: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Sealed, SealError> {
        let key = self.record_key(place.name)?;
        let data = place.associated_data(revision)?;
        // Allocated once, at its final length: growing would leave clear text behind in freed memory.
        let mut record = Vec::with_capacity(HEADER + clear.len() + TAG);
        record.push(FORMAT);
        record.extend_from_slice(&revision.to_le_bytes());
        record.extend_from_slice(&nonce);
        record.extend_from_slice(clear);
        let body = record.get_mut(HEADER..).ok_or(SealError)?;
        let sealed =
            key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(data), body);
        let Ok(tag) = sealed else {
            record.zeroize();
            return Err(SealError);
        };
        record.extend_from_slice(tag.as_ref());
        Ok(Sealed(record.into()))
    }

    /// Opens a record; `label` is what `Debug` prints of the result.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        record: &Sealed,
        label: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Result<SecretBytes, SealError> {
        let key = self.record_key(place.name)?;
        let data = place.associated_data(record.revision())?;
        let nonce = Nonce::assume_unique_for_key(record.nonce().ok_or(SealError)?);
        let (ciphertext, tag) = record.ciphertext_and_tag().ok_or(SealError)?;
        let mut clear = vec![0; ciphertext.len()];
        match key.open_separate_gather(nonce, Aad::from(data), ciphertext, tag, &mut clear) {
            Ok(()) => Ok(SecretBytes::new(label, clear)),
            Err(_) => {
                clear.zeroize();
                Err(SealError)
            }
        }
    }

    /// The same record, revision included, sealed with another keyring.
    pub(crate) fn reseal(
        &self,
        place: Place<'_>,
        record: &Sealed,
        new: &Keyring,
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        let clear = self.open(place, record, "record")?;
        new.seal(place, record.revision(), clear.expose(), entropy)
    }

    /// The record's summand in the head's multiset hash: HMAC-SHA256 over length of the name (u32 LE), name,
    /// revision (u64 LE) and tag.
    pub(crate) fn summand(&self, name: &[u8], record: &Sealed) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.multiset);
        context.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        context.update(name);
        context.update(&record.revision().to_le_bytes());
        context.update(record.ciphertext_and_tag().map_or(&[], |(_, tag)| tag));
        context.sign().as_ref().try_into().unwrap_or([0; 32])
    }

    fn record_key(&self, name: &[u8]) -> Result<LessSafeKey, SealError> {
        let info = [RECORD_KEY, name];
        let key = self.root.expand(&info, &AES_256_GCM).map_err(|_| SealError)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StateId = [0x11; 16];

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(&SecretBytes::new("data key", vec![byte; 32])).unwrap()
    }

    fn place(name: &[u8]) -> Place<'_> {
        Place { state_id: &ID, name }
    }

    fn sample() -> Sealed {
        keyring(0x22).seal_with(place(b"secret:a"), 7, b"clear text", [0x33; NONCE]).unwrap()
    }

    #[test]
    fn the_format_of_a_record_never_changes() {
        // Computed with other implementations of HKDF, AES-GCM and HMAC (Python's).
        let record =
            "010700000000000000333333333333333333333333485506e286646948dc4123a397a59b66f554f2930e9ba66cebbb";
        assert_eq!(hex::encode(sample().bytes()), record);
        let summand = "e5ba783e56b4663b732a3c6b6d51b875c5d2d04e97391c52fd088a8dd370e0d0";
        assert_eq!(hex::encode(keyring(0x22).summand(b"secret:a", &sample())), summand);
    }

    #[test]
    fn a_sealed_record_opens_in_its_place() {
        let record = sample();
        assert_eq!(record.revision(), 7);
        let clear = keyring(0x22).open(place(b"secret:a"), &record, "a").unwrap();
        assert_eq!(clear.expose(), b"clear text");
        assert_eq!(format!("{clear:?}"), "SecretBytes(a)");
    }

    // L-31
    #[test]
    fn a_record_does_not_open_elsewhere_nor_with_another_key() {
        let record = sample();
        assert!(keyring(0x22).open(place(b"secret:b"), &record, "b").is_err());
        assert!(keyring(0x23).open(place(b"secret:a"), &record, "a").is_err());
        let other = Place { state_id: &[0x12; 16], name: b"secret:a" };
        assert!(keyring(0x22).open(other, &record, "a").is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let record = sample();
        for index in 0..record.bytes().len() {
            let mut bytes = record.bytes().to_vec();
            bytes[index] ^= 1;
            let opens = Sealed::parse(&bytes)
                .is_some_and(|record| keyring(0x22).open(place(b"secret:a"), &record, "a").is_ok());
            assert!(!opens, "byte {index}");
        }
    }

    #[test]
    fn a_record_that_is_too_short_is_none() {
        let record = keyring(1).seal_with(place(b"a"), 1, b"", [0; NONCE]).unwrap();
        assert_eq!(record.bytes().len(), HEADER + TAG);
        assert!(Sealed::parse(record.bytes()).is_some());
        assert!(Sealed::parse(&record.bytes()[..HEADER + TAG - 1]).is_none());
        assert!(Sealed::parse(&[]).is_none());
    }

    #[test]
    fn a_data_key_has_32_bytes() {
        for (length, good) in [(31, false), (32, true), (33, false)] {
            assert_eq!(Keyring::new(&SecretBytes::new("k", vec![0; length])).is_ok(), good);
        }
    }
}
