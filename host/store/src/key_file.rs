//! `sealed_key`: the data key, wrapped by the sealing key.
//!
//! Magic, format, kind of sealing, number of entries; each entry is the policy of the sealing key, what the key is bound to
//! besides it (a length and as many bytes; only where some entry has any), a state id, a nonce and the wrapped data key (32
//! bytes and tag). All that stands before an entry's nonce but the number is authenticated
//! with it. While a commit changes the data key or the policy, the file holds the old and the new one; whichever opens
//! the head, and is of the head's seal mode, is the right one. Without entries it says that the state is withdrawn, as
//! its mode became Disabled: a start finishes that.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use carrara_core::ports::{Entropy, KeyPolicy, MAX_KEY_BINDING, Sealing, SealingKind};
use carrara_types::secret::SecretBytes;
use zeroize::Zeroizing;

use crate::head::take;
use crate::mark::{MarkError, StateId, kind_byte, kind_of};
use crate::sealed::{DATA_KEY, NONCE, SealError, TAG};

const MAGIC: &[u8] = b"carrara key";
/// Of files whose keys are bound to something; others are written as before.
const FORMAT: u8 = 3;
/// Entries without it.
const FORMAT_OF_POLICIES: u8 = 2;
/// Entries without a policy, when there was but one, and always an entry.
const FORMAT_OF_PRODUCT_KEY: u8 = 1;
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
    policy: KeyPolicy,
    bound_to: Vec<u8>,
    state_id: StateId,
    nonce: [u8; NONCE],
    wrapped: [u8; DATA_KEY],
    tag: [u8; TAG],
}

/// What an entry is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) kind: SealingKind,
    pub(crate) policy: KeyPolicy,
    pub(crate) state_id: StateId,
}

/// An entry that opened.
pub(crate) struct OpenedEntry {
    pub(crate) policy: KeyPolicy,
    pub(crate) data_key: SecretBytes,
    /// The file with this entry alone.
    pub(crate) file: KeyFile,
}

impl KeyFile {
    /// A file with one entry.
    ///
    /// # Errors
    /// Text for the log: there is no sealing key, or the data key has another length.
    pub(crate) fn wrap(
        binding: Binding,
        data_key: &SecretBytes,
        sealing: &dyn Sealing,
        entropy: &dyn Entropy,
    ) -> Result<Self, String> {
        let bound_to = sealing.binding()?;
        if bound_to.len() > MAX_KEY_BINDING {
            return Err("the sealing key is bound to more than a key file holds".to_owned());
        }
        let sealing_key = sealing.bound_key(binding.policy, &bound_to)?;
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let entry = Entry::wrap(binding, bound_to, data_key, &sealing_key, nonce);
        let entry = entry.map_err(|_| "the data key could not be sealed".to_owned())?;
        Ok(Self { kind: binding.kind, entries: vec![entry] })
    }

    /// The file of a state that is withdrawn.
    pub(crate) fn withdrawal(kind: SealingKind) -> Self {
        Self { kind, entries: Vec::new() }
    }

    /// Whether the state is withdrawn.
    pub(crate) fn withdraws(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one of the entries belongs to the state.
    pub(crate) fn names(&self, state_id: &StateId) -> bool {
        self.entries.iter().any(|entry| entry.state_id == *state_id)
    }

    /// The entries of the state that the sealing keys open.
    ///
    /// # Errors
    /// Text for the log: there is no sealing key.
    pub(crate) fn open(&self, state_id: &StateId, sealing: &dyn Sealing) -> Result<Vec<OpenedEntry>, String> {
        let mut opened = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.state_id == *state_id) {
            let sealing_key = match sealing.bound_key(entry.policy, &entry.bound_to) {
                Err(error) if !entry.bound_to.is_empty() => {
                    // Of newer code or a newer CPU, most likely: that is what it is bound to.
                    tracing::warn!(error, "the TEE does not give the sealing key that wrapped a data key");
                    continue;
                }
                other => other?,
            };
            if let Ok(data_key) = entry.unwrap(self.kind, &sealing_key) {
                let file = Self { kind: self.kind, entries: vec![entry.clone()] };
                opened.push(OpenedEntry { policy: entry.policy, data_key, file });
            }
        }
        Ok(opened)
    }

    /// The file while the other one's key takes the place of this one's: it holds both.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self { kind: self.kind, entries: [self.entries.as_slice(), &other.entries].concat() }
    }

    /// Whether a file has all the entries of another one; both encoded.
    pub(crate) fn holds(found: &[u8], wanted: &[u8]) -> bool {
        let (Ok(found), Ok(wanted)) = (Self::decode(found), Self::decode(wanted)) else { return false };
        found.kind == wanted.kind && wanted.entries.iter().all(|entry| found.entries.contains(entry))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let bound = self.entries.iter().any(|entry| !entry.bound_to.is_empty());
        let format = if bound { FORMAT } else { FORMAT_OF_POLICIES };
        bytes.extend_from_slice(&[format, kind_byte(self.kind)]);
        bytes.push(u8::try_from(self.entries.len()).unwrap_or(u8::MAX));
        for entry in &self.entries {
            bytes.push(policy_byte(entry.policy));
            if bound {
                bytes.push(u8::try_from(entry.bound_to.len()).unwrap_or(u8::MAX));
                bytes.extend_from_slice(&entry.bound_to);
            }
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
        if ![FORMAT, FORMAT_OF_POLICIES, FORMAT_OF_PRODUCT_KEY].contains(&format) {
            return Err(MarkError::Newer);
        }
        Self::decode_body(format, rest).ok_or(MarkError::Malformed)
    }

    fn decode_body(format: u8, mut rest: &[u8]) -> Option<Self> {
        let [kind, count] = take(&mut rest)?;
        let kind = kind_of(kind)?;
        if usize::from(count) > MAX_ENTRIES || (count == 0 && format == FORMAT_OF_PRODUCT_KEY) {
            return None;
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let policy = match format {
                FORMAT_OF_PRODUCT_KEY => KeyPolicy::Product,
                _ => policy_of(take(&mut rest)?)?,
            };
            let bound_to = if format == FORMAT { take_binding(&mut rest)? } else { Vec::new() };
            let (state_id, nonce) = (take(&mut rest)?, take(&mut rest)?);
            let (wrapped, tag) = (take(&mut rest)?, take(&mut rest)?);
            entries.push(Entry { policy, bound_to, state_id, nonce, wrapped, tag });
        }
        rest.is_empty().then_some(Self { kind, entries })
    }
}

impl Entry {
    fn wrap(
        binding: Binding,
        bound_to: Vec<u8>,
        data_key: &SecretBytes,
        sealing_key: &SecretBytes,
        nonce: [u8; NONCE],
    ) -> Result<Self, SealError> {
        // Wiped on drop: it holds the data key until it is wrapped, and if wrapping fails.
        let mut wrapped: Zeroizing<[u8; DATA_KEY]> =
            Zeroizing::new(data_key.expose().try_into().map_err(|_| SealError)?);
        let aad = Aad::from(binding.associated_data(&bound_to));
        let tag = wrapping_key(sealing_key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, wrapped.as_mut_slice())
            .map_err(|_| SealError)?;
        let tag = tag.as_ref().try_into().map_err(|_| SealError)?;
        let Binding { policy, state_id, .. } = binding;
        Ok(Self { policy, bound_to, state_id, nonce, wrapped: *wrapped, tag })
    }

    fn unwrap(&self, kind: SealingKind, sealing_key: &SecretBytes) -> Result<SecretBytes, SealError> {
        let mut data_key = Zeroizing::new([0; DATA_KEY]);
        let binding = Binding { kind, policy: self.policy, state_id: self.state_id };
        let aad = Aad::from(binding.associated_data(&self.bound_to));
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        wrapping_key(sealing_key)?
            .open_separate_gather(nonce, aad, &self.wrapped, &self.tag, data_key.as_mut_slice())
            .map_err(|_| SealError)?;
        Ok(SecretBytes::new("data key", data_key.to_vec()))
    }
}

impl Binding {
    /// Of the product key as in the first format, so that its entries open as they are.
    fn associated_data(&self, bound_to: &[u8]) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        data.extend_from_slice(&[FORMAT_OF_PRODUCT_KEY, kind_byte(self.kind)]);
        data.extend_from_slice(&self.state_id);
        if self.policy != KeyPolicy::Product || !bound_to.is_empty() {
            data.push(policy_byte(self.policy));
        }
        // The last, so that its length need not be there.
        data.extend_from_slice(bound_to);
        data
    }
}

fn take_binding(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let [length] = take(rest)?;
    let length = usize::from(length);
    if length > MAX_KEY_BINDING {
        return None;
    }
    let (bound_to, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bound_to.to_vec())
}

fn policy_byte(policy: KeyPolicy) -> u8 {
    match policy {
        KeyPolicy::Product => 0,
        KeyPolicy::Unique => 1,
    }
}

fn policy_of([byte]: [u8; 1]) -> Option<KeyPolicy> {
    match byte {
        0 => Some(KeyPolicy::Product),
        1 => Some(KeyPolicy::Unique),
        _ => None,
    }
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

    /// The same sealing key for both policies, so that nothing but the entry tells them apart.
    struct OneKey(u8);

    impl Sealing for OneKey {
        fn kind(&self) -> SealingKind {
            SealingKind::Tee
        }

        fn key(&self, _: KeyPolicy) -> Result<SecretBytes, String> {
            Ok(key(self.0))
        }
    }

    const PRODUCT: Binding = Binding { kind: SealingKind::Tee, policy: KeyPolicy::Product, state_id: ID };
    const UNIQUE: Binding = Binding { policy: KeyPolicy::Unique, ..PRODUCT };

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    /// A TEE whose keys are bound to a version; it has those of its own and of lower ones.
    struct Versioned(u8);

    impl Sealing for Versioned {
        fn kind(&self) -> SealingKind {
            SealingKind::Tee
        }

        fn key(&self, _: KeyPolicy) -> Result<SecretBytes, String> {
            Ok(key(self.0))
        }

        fn binding(&self) -> Result<Vec<u8>, String> {
            Ok(vec![self.0])
        }

        fn bound_key(&self, _: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, String> {
            match binding {
                [version] if *version <= self.0 => Ok(key(*version)),
                _ => Err("a newer one's".to_owned()),
            }
        }
    }

    // L-35
    #[test]
    fn newer_code_opens_what_older_code_sealed_and_not_the_reverse() {
        let file = KeyFile::wrap(UNIQUE, &key(1), &Versioned(5), &Zeros).unwrap();
        assert_eq!(file.encode()[MAGIC.len()], 3);
        let read = KeyFile::decode(&file.encode()).unwrap();
        assert_eq!(read, file);
        for (version, opens) in [(5, true), (6, true), (4, false)] {
            let opened = read.open(&ID, &Versioned(version)).unwrap();
            assert_eq!(opened.len(), usize::from(opens), "{version}");
        }
        // Beside an entry that is bound to nothing, as while the key changes.
        let both = file.with(&KeyFile { kind: SealingKind::Tee, entries: vec![entry(2)] });
        assert_eq!(KeyFile::decode(&both.encode()), Ok(both));
    }

    #[test]
    fn what_a_key_is_bound_to_is_authenticated_and_small() {
        let file = KeyFile::wrap(PRODUCT, &key(1), &Versioned(5), &Zeros).unwrap();
        let good = file.encode();
        for index in 0..good.len() {
            let mut bytes = good.clone();
            bytes[index] ^= 1;
            let read = KeyFile::decode(&bytes);
            assert!(
                read.is_err() || read.is_ok_and(|file| file.open(&ID, &Versioned(9)).unwrap().is_empty())
            );
        }
        let mut long = file;
        long.entries[0].bound_to = vec![1; MAX_KEY_BINDING];
        assert!(KeyFile::decode(&long.encode()).is_ok());
        long.entries[0].bound_to.push(1);
        assert_eq!(KeyFile::decode(&long.encode()), Err(MarkError::Malformed));
    }

    fn entry(data_key: u8) -> Entry {
        Entry::wrap(PRODUCT, Vec::new(), &key(data_key), &key(9), [0x55; NONCE]).unwrap()
    }

    fn unique(data_key: u8) -> Entry {
        Entry::wrap(UNIQUE, Vec::new(), &key(data_key), &key(9), [0x55; NONCE]).unwrap()
    }

    fn opened(file: &KeyFile, id: &StateId, sealing_key: u8) -> Vec<Vec<u8>> {
        let opened = file.open(id, &OneKey(sealing_key)).unwrap();
        opened.iter().map(|entry| entry.data_key.expose().to_vec()).collect()
    }

    #[test]
    fn the_format_of_the_key_file_never_changes() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] };
        // Computed with other implementations of HKDF and AES-GCM (Python's).
        let entry = "44444444444444444444444444444444555555555555555555555555\
                     978d04eb80615e6f9ca9c006f7c3078907e2a9bd6b347913bff93b7987899bfe84cfcd3eb95cb5deeb21431ea1c3fe0f";
        assert_eq!(hex::encode(file.encode()), format!("63617272617261206b657902000100{entry}"));
        assert_eq!(KeyFile::decode(&file.encode()), Ok(file.clone()));
        // Without policies, as it was written when there was but one.
        let old = hex::decode(format!("63617272617261206b6579010001{entry}")).unwrap();
        assert_eq!(KeyFile::decode(&old), Ok(file));
        let withdrawn = KeyFile::withdrawal(SealingKind::Simulation);
        assert_eq!(hex::encode(withdrawn.encode()), "63617272617261206b6579020100");
        assert_eq!(KeyFile::decode(&withdrawn.encode()), Ok(withdrawn));
    }

    // L-35
    #[test]
    fn an_entry_says_which_key_wraps_it_and_that_is_authenticated() {
        let file = KeyFile { kind: SealingKind::Tee, entries: vec![unique(1), entry(1)] };
        let read = KeyFile::decode(&file.encode()).unwrap();
        let policies: Vec<_> = read.open(&ID, &OneKey(9)).unwrap().iter().map(|entry| entry.policy).collect();
        assert_eq!(policies, [KeyPolicy::Unique, KeyPolicy::Product]);
        for mut turned in [unique(1), entry(1)] {
            turned.policy =
                if turned.policy == KeyPolicy::Unique { KeyPolicy::Product } else { KeyPolicy::Unique };
            let file = KeyFile { kind: SealingKind::Tee, entries: vec![turned] };
            assert!(opened(&file, &ID, 9).is_empty());
        }
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
        for entry in [entry(1), unique(1)] {
            let file = KeyFile { kind: SealingKind::Tee, entries: vec![entry] };
            for index in 0..file.encode().len() {
                let mut bytes = file.encode();
                bytes[index] ^= 1;
                let read = KeyFile::decode(&bytes);
                // Nor does it withdraw the state.
                let harmless = read.is_err()
                    || read.is_ok_and(|file| !file.withdraws() && opened(&file, &ID, 9).is_empty());
                assert!(harmless, "byte {index}");
            }
        }
    }

    #[test]
    fn other_lengths_counts_and_formats_are_refused() {
        let good = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1)] }.encode();
        assert_eq!(KeyFile::decode(&good[..good.len() - 1]), Err(MarkError::Malformed));
        assert_eq!(KeyFile::decode(&[good.as_slice(), &[0]].concat()), Err(MarkError::Malformed));
        assert_eq!(KeyFile::decode(b""), Err(MarkError::Malformed));
        let mut newer = good.clone();
        newer[MAGIC.len()] = 4;
        assert_eq!(KeyFile::decode(&newer), Err(MarkError::Newer));
        let mut none = [&good[..MAGIC.len() + 2], &[0]].concat();
        none[MAGIC.len()] = 1;
        assert_eq!(KeyFile::decode(&none), Err(MarkError::Malformed));
        let many = KeyFile { kind: SealingKind::Tee, entries: vec![entry(1); MAX_ENTRIES + 1] };
        assert_eq!(KeyFile::decode(&many.encode()), Err(MarkError::Malformed));
    }

    #[test]
    fn a_data_key_of_another_length_is_not_wrapped() {
        let short = SecretBytes::new("k", vec![1; 31]);
        assert!(KeyFile::wrap(PRODUCT, &short, &OneKey(9), &Zeros).is_err());
    }
}
