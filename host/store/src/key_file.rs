//! `sealed_key`: the data key, wrapped by the sealing key.
//!
//! Magic, format, kind of sealing, number of entries; each entry is a state id, a nonce and the wrapped data key (32
//! bytes and tag). All that stands before an entry's nonce but the number is authenticated with it. While a commit
//! changes the data key the file holds the old and the new one; whichever opens the head is the right one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use carrara_core::ports::{Entropy, SealingKind};
use carrara_types::secret::SecretBytes;
use zeroize::Zeroizing;

use crate::head::take;
use crate::mark::{MarkError, StateId, kind_byte, kind_of};
use crate::sealed::{DATA_KEY, NONCE, SealError, TAG};

const MAGIC: &[u8] = b"carrara key";
const FORMAT: u8 = 1;
const WRAPPING_KEY: &[u8] = b"carrara key wrap v1";

/// Old and new are two; more than this is no key file.
const MAX_ENTRIES: usize = 4;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFile {
    pub(crate) kind: SealingKind,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    state_id: StateId,
    nonce: [u8; NONCE],
    wrapped: [u8; DATA_KEY],
    tag: [u8; TAG],
}

impl KeyFile {
    /// A file with one entry.
    pub(crate) fn wrap(
        kind: SealingKind,
        state_id: StateId,
        data_key: &SecretBytes,
        sealing_key: &SecretBytes,
        entropy: &dyn Entropy,
    ) -> Result<Self, SealError> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let entry = Entry::wrap(kind, state_id, data_key, sealing_key, nonce)?;
        Ok(Self { kind, entries: vec![entry] })
    }

    /// Whether one of the entries belongs to the state.
    pub(crate) fn names(&self, state_id: &StateId) -> bool {
        self.entries.iter().any(|entry| entry.state_id == *state_id)
    }

    /// The data keys of the state that the sealing key opens, each with the file that holds it alone.
    pub(crate) fn data_keys<'a>(
        &'a self,
        state_id: &'a StateId,
        sealing_key: &'a SecretBytes,
    ) -> impl Iterator<Item = (SecretBytes, KeyFile)> + 'a {
        let entries = self.entries.iter().filter(move |entry| entry.state_id == *state_id);
        entries.filter_map(move |entry| {
            let data_key = entry.unwrap(self.kind, sealing_key).ok()?;
            Some((data_key, Self { kind: self.kind, entries: vec![entry.clone()] }))
        })
    }

    /// The file while the other one's key takes the place of this one's: it holds both.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self { kind: self.kind, entries: [self.entries.as_slice(), &other.entries].concat() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = prefix(self.kind);
        bytes.push(u8::try_from(self.entries.len()).unwrap_or(u8::MAX));
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.state_id);
            bytes.extend_from_slice(&entry.nonce);
            bytes.extend_from_slice(&entry.wrapped);
            bytes.extend_from_slice(&entry.tag);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MarkError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(MarkError::Malformed)?;
        let [format] = take(&mut rest).ok_or(MarkError::Malformed)?;
        if format != FORMAT {
            return Err(MarkError::Newer);
        }
        Self::decode_body(rest).ok_or(MarkError::Malformed)
    }

    fn decode_body(mut rest: &[u8]) -> Option<Self> {
        let [kind, count] = take(&mut rest)?;
        let kind = kind_of(kind)?;
        if count == 0 || usize::from(count) > MAX_ENTRIES {
            return None;
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let (state_id, nonce) = (take(&mut rest)?, take(&mut rest)?);
            entries.push(Entry { state_id, nonce, wrapped: take(&mut rest)?, tag: take(&mut rest)? });
        }
        rest.is_empty().then_some(Self { kind, entries })
    }
}

impl Entry {
    fn wrap(
        kind: SealingKind,
        state_id: StateId,
        data_key: &SecretBytes,
        sealing_key: &SecretBytes,
        nonce: [u8; NONCE],
    ) -> Result<Self, SealError> {
        // Wiped on drop: it holds the data key until it is wrapped, and if wrapping fails.
        let mut wrapped: Zeroizing<[u8; DATA_KEY]> =
            Zeroizing::new(data_key.expose().try_into().map_err(|_| SealError)?);
        let aad = Aad::from(associated_data(kind, &state_id));
        let tag = wrapping_key(sealing_key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, wrapped.as_mut_slice())
            .map_err(|_| SealError)?;
        let tag = tag.as_ref().try_into().map_err(|_| SealError)?;
        Ok(Self { state_id, nonce, wrapped: *wrapped, tag })
    }

    fn unwrap(&self, kind: SealingKind, sealing_key: &SecretBytes) -> Result<SecretBytes, SealError> {
        let mut data_key = Zeroizing::new([0; DATA_KEY]);
        let aad = Aad::from(associated_data(kind, &self.state_id));
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        wrapping_key(sealing_key)?
            .open_separate_gather(nonce, aad, &self.wrapped, &self.tag, data_key.as_mut_slice())
            .map_err(|_| SealError)?;
        Ok(SecretBytes::new("data key", data_key.to_vec()))
    }
}

fn prefix(kind: SealingKind) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(FORMAT);
    bytes.push(kind_byte(kind));
    bytes
}

fn associated_data(kind: SealingKind, state_id: &StateId) -> Vec<u8> {
    let mut data = prefix(kind);
    data.extend_from_slice(state_id);
    data
}

fn wrapping_key(sealing_key: &SecretBytes) -> Result<LessSafeKey, SealError> {
    let root = Salt::new(HKDF_SHA256, &[]).extract(sealing_key.expose());
    let info = [WRAPPING_KEY];
    let key = root.expand(&info, &AES_256_GCM).map_err(|_| SealError)?;
    Ok(LessSafeKey::new(UnboundKey::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: StateId = [0x44; 16];

    fn key(byte: u8) -> SecretBytes {
        SecretBytes::new("k", vec![byte; 32])
    }

    fn entry(data_key: u8) -> Entry {
        Entry::wrap(SealingKind::Tee, ID, &key(data_key), &key(9), [0x55; NONCE]).unwrap()
    }

    fn opened(file: &KeyFile, id: &StateId, sealing_key: u8) -> Vec<Vec<u8>> {
        file.data_keys(id, &key(sealing_key)).map(|(key, _)| key.expose().to_vec()).collect()
    }

    #[test]
    fn the_format_of_the_key_file_never_changes() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] };
        // Computed with other implementations of HKDF and AES-GCM (Python's).
        let golden = "63617272617261206b657901000144444444444444444444444444444444555555555555555555555555\
                      978d04eb80615e6f9ca9c006f7c3078907e2a9bd6b347913bff93b7987899bfe84cfcd3eb95cb5deeb21431ea1c3fe0f";
        assert_eq!(hex::encode(file.encode()), golden);
        assert_eq!(KeyFile::decode(&file.encode()), Ok(file));
    }

    // L-32
    #[test]
    fn only_the_sealing_key_opens_it_and_only_for_its_state() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] };
        assert_eq!(opened(&file, &ID, 9), [vec![1; 32]]);
        assert!(opened(&file, &ID, 8).is_empty());
        assert!(opened(&file, &[0; 16], 9).is_empty());
        assert!(file.names(&ID) && !file.names(&[0; 16]));
    }

    #[test]
    fn the_kind_is_authenticated() {
        let file = KeyFile { kind: SealingKind::Simulation, entries: vec![entry(1)] };
        assert!(opened(&file, &ID, 9).is_empty());
    }

    #[test]
    fn an_old_and_a_new_key_lie_side_by_side() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1), entry(2)] };
        let read = KeyFile::decode(&file.encode()).unwrap();
        assert_eq!(opened(&read, &ID, 9), [vec![1; 32], vec![2; 32]]);
    }

    #[test]
    fn a_flipped_bit_anywhere_opens_nothing() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] };
        for index in 0..file.encode().len() {
            let mut bytes = file.encode();
            bytes[index] ^= 1;
            let opens = KeyFile::decode(&bytes).is_ok_and(|file| !opened(&file, &ID, 9).is_empty());
            assert!(!opens, "byte {index}");
        }
    }

    #[test]
    fn other_lengths_counts_and_formats_are_refused() {
        let good = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] }.encode();
        assert_eq!(KeyFile::decode(&good[..good.len() - 1]), Err(MarkError::Malformed));
        assert_eq!(KeyFile::decode(&[good.as_slice(), &[0]].concat()), Err(MarkError::Malformed));
        assert_eq!(KeyFile::decode(b""), Err(MarkError::Malformed));
        let mut newer = good.clone();
        newer[MAGIC.len()] = 2;
        assert_eq!(KeyFile::decode(&newer), Err(MarkError::Newer));
        let none = [&good[..MAGIC.len() + 2], &[0]].concat();
        assert_eq!(KeyFile::decode(&none), Err(MarkError::Malformed));
        let many = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1); MAX_ENTRIES + 1] };
        assert_eq!(KeyFile::decode(&many.encode()), Err(MarkError::Malformed));
    }

    #[test]
    fn a_data_key_of_another_length_is_not_wrapped() {
        let short = SecretBytes::new("k", vec![1; 31]);
        assert!(Entry::wrap(SealingKind::Tee, ID, &short, &key(9), [0; NONCE]).is_err());
    }
}
