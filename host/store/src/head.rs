//! The head: one sealed record that says what the whole state is, so that mixing old and new records shows at load.

use carrara_core::ports::{SealMode, SealingKind};

use crate::mark::{StateId, kind_byte, kind_of};
use crate::merkle::Hash;

/// The head's own record name; names of other records never begin with NUL.
pub(crate) const HEAD_NAME: &[u8] = b"\0head";

const FORMAT: u8 = 3;
/// Without a seal mode, when there was but one.
const FORMAT_OF_PRODUCT_KEY: u8 = 2;
const LENGTH: usize = 1 + 1 + 1 + 16 + 8 + 8 + 32 + 8 + 32 + 8 + 8 + 8 + 32;

/// What the state is. Encoded in the order of the fields, after a format byte; integers little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which kind of key wraps the data key.
    pub(crate) kind: SealingKind,
    /// How the state is kept: a key of another policy does not open it.
    pub(crate) seal_mode: SealMode,
    pub(crate) state_id: StateId,
    /// The last commit.
    pub(crate) revision: u64,
    /// Number of records, log lines and audit entries included.
    pub(crate) records: u64,
    /// Over all of them.
    pub(crate) sum: Multiset,
    /// Number of lines in the update log.
    pub(crate) log_size: u64,
    /// Its Merkle root.
    pub(crate) log_root: Hash,
    /// The index of the oldest audit entry kept.
    pub(crate) audit_first: u64,
    /// One past the index of the newest.
    pub(crate) audit_end: u64,
    /// The highest time of all batches, Unix milliseconds.
    pub(crate) last_time_ms: i64,
    /// SHA-256 of the clear recovery data.
    pub(crate) recovery_hash: Hash,
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(FORMAT);
        bytes.push(kind_byte(self.kind));
        bytes.push(mode_byte(self.seal_mode));
        bytes.extend_from_slice(&self.state_id);
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.sum.0);
        bytes.extend_from_slice(&self.log_size.to_le_bytes());
        bytes.extend_from_slice(&self.log_root);
        bytes.extend_from_slice(&self.audit_first.to_le_bytes());
        bytes.extend_from_slice(&self.audit_end.to_le_bytes());
        bytes.extend_from_slice(&self.last_time_ms.to_le_bytes());
        bytes.extend_from_slice(&self.recovery_hash);
        bytes
    }

    /// Whether a later version wrote it.
    pub(crate) fn is_newer(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|format| *format > FORMAT)
    }

    /// `None` if it is not exactly a head of this format or of an older one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [format, kind] = take::<2>(&mut rest)?;
        let seal_mode = match format {
            FORMAT => mode_of(take::<1>(&mut rest)?)?,
            FORMAT_OF_PRODUCT_KEY => SealMode::ProductKey,
            _ => return None,
        };
        let head = Self {
            kind: kind_of(kind)?,
            seal_mode,
            state_id: take(&mut rest)?,
            revision: u64::from_le_bytes(take(&mut rest)?),
            records: u64::from_le_bytes(take(&mut rest)?),
            sum: Multiset(take(&mut rest)?),
            log_size: u64::from_le_bytes(take(&mut rest)?),
            log_root: take(&mut rest)?,
            audit_first: u64::from_le_bytes(take(&mut rest)?),
            audit_end: u64::from_le_bytes(take(&mut rest)?),
            last_time_ms: i64::from_le_bytes(take(&mut rest)?),
            recovery_hash: take(&mut rest)?,
        };
        rest.is_empty().then_some(head)
    }
}

/// A sum mod 2^256 (little-endian) of keyed hashes: the same for any order, updated and never recomputed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Multiset([u8; 32]);

impl Multiset {
    pub(crate) fn add(&mut self, summand: &[u8; 32]) {
        let mut carry = 0;
        for (digit, other) in self.0.iter_mut().zip(summand) {
            let sum = u16::from(*digit) + u16::from(*other) + carry;
            let [low, high] = sum.to_le_bytes();
            *digit = low;
            carry = u16::from(high);
        }
    }

    pub(crate) fn remove(&mut self, summand: &[u8; 32]) {
        let mut borrow = false;
        for (digit, other) in self.0.iter_mut().zip(summand) {
            let (first, under) = digit.overflowing_sub(*other);
            let (second, again) = first.overflowing_sub(u8::from(borrow));
            *digit = second;
            borrow = under || again;
        }
    }
}

fn mode_byte(mode: SealMode) -> u8 {
    match mode {
        SealMode::ProductKey => 0,
        SealMode::UniqueKey => 1,
        SealMode::Disabled => 2,
    }
}

fn mode_of([byte]: [u8; 1]) -> Option<SealMode> {
    match byte {
        0 => Some(SealMode::ProductKey),
        1 => Some(SealMode::UniqueKey),
        2 => Some(SealMode::Disabled),
        _ => None,
    }
}

/// Takes the next `N` bytes.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Head {
        Head {
            kind: SealingKind::Simulation,
            seal_mode: SealMode::UniqueKey,
            state_id: [1; 16],
            revision: 2,
            records: 3,
            sum: Multiset([4; 32]),
            log_size: 5,
            log_root: [6; 32],
            audit_first: 8,
            audit_end: 9,
            last_time_ms: 10,
            recovery_hash: [7; 32],
        }
    }

    #[test]
    fn the_format_of_the_head_never_changes() {
        let expected = format!(
            "030101{}02000000000000000300000000000000{}0500000000000000{}080000000000000009000000000000000a00000000000000{}",
            "01".repeat(16),
            "04".repeat(32),
            "06".repeat(32),
            "07".repeat(32)
        );
        assert_eq!(hex::encode(sample().encode()), expected);
        assert_eq!(Head::decode(&sample().encode()), Some(sample()));
    }

    // Written before there were seal modes.
    #[test]
    fn a_head_without_a_seal_mode_is_one_of_the_product_key() {
        let mut old = sample().encode();
        old[0] = 2;
        old.remove(2);
        let expected = Head { seal_mode: SealMode::ProductKey, ..sample() };
        assert_eq!(Head::decode(&old), Some(expected.clone()));
        // Its next commit writes it anew.
        assert_eq!(Head::decode(&expected.encode()), Some(expected));
    }

    #[test]
    fn other_lengths_formats_and_kinds_are_refused() {
        let good = sample().encode();
        assert_eq!(Head::decode(&good[..good.len() - 1]), None);
        assert_eq!(Head::decode(&[good.as_slice(), &[0]].concat()), None);
        for index in [0, 1, 2] {
            let mut bad = good.clone();
            bad[index] = 9;
            assert_eq!(Head::decode(&bad), None);
        }
    }

    #[test]
    fn the_sum_wraps_at_2_to_the_256() {
        let mut sum = Multiset([0xff; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        sum.add(&one);
        assert_eq!(sum, Multiset::default());
        sum.remove(&one);
        assert_eq!(sum, Multiset([0xff; 32]));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_removing_undoes_adding(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
            let (mut ab, mut ba) = (Multiset::default(), Multiset::default());
            ab.add(&a);
            let only_a = ab;
            ab.add(&b);
            ba.add(&b);
            ba.add(&a);
            prop_assert_eq!(ab, ba);
            ab.remove(&b);
            prop_assert_eq!(ab, only_a);
        }
    }
}
