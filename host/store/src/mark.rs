//! What a state's file says in the clear: its format, the kind of sealing and the state's id.
//!
//! Nothing here is trusted: the sealed head repeats it, and every record is bound to the id. It is only there so that
//! a start without the key can say what it found.

use carrara_core::ports::SealingKind;

/// 16 random bytes chosen when a state is made.
pub(crate) type StateId = [u8; 16];

const MAGIC: &[u8] = b"carrara state";
const FORMAT: u8 = 2;

/// The clear mark of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) kind: SealingKind,
    pub(crate) state_id: StateId,
}

/// Why a marked file does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkError {
    /// Not what it should be.
    Malformed,
    /// Of a format that this version does not know.
    Newer,
}

impl Mark {
    /// Magic, format, kind, state id.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        bytes.push(kind_byte(self.kind));
        bytes.extend_from_slice(&self.state_id);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MarkError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(MarkError::Malformed)?;
        let (&format, rest) = rest.split_first().ok_or(MarkError::Malformed)?;
        if format != FORMAT {
            return Err(MarkError::Newer);
        }
        let (&kind, id) = rest.split_first().ok_or(MarkError::Malformed)?;
        let kind = kind_of(kind).ok_or(MarkError::Malformed)?;
        let state_id = id.try_into().map_err(|_| MarkError::Malformed)?;
        Ok(Self { kind, state_id })
    }
}

/// How a kind is written in files.
pub(crate) fn kind_byte(kind: SealingKind) -> u8 {
    match kind {
        SealingKind::Tee => 0,
        SealingKind::Simulation => 1,
    }
}

/// The reverse of [`kind_byte`].
pub(crate) fn kind_of(byte: u8) -> Option<SealingKind> {
    match byte {
        0 => Some(SealingKind::Tee),
        1 => Some(SealingKind::Simulation),
        _ => None,
    }
}

/// For messages.
pub(crate) fn kind_name(kind: SealingKind) -> &'static str {
    match kind {
        SealingKind::Tee => "a TEE",
        SealingKind::Simulation => "simulation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_encoding_and_other_bytes_do_not_pass() {
        for kind in [SealingKind::Tee, SealingKind::Simulation] {
            let mark = Mark { kind, state_id: [7; 16] };
            assert_eq!(Mark::decode(&mark.encode()), Ok(mark));
        }
        let good = Mark { kind: SealingKind::Tee, state_id: [7; 16] }.encode();
        for end in 0..good.len() {
            assert!(Mark::decode(&good[..end]).is_err(), "{end} bytes");
        }
        let mut newer = good.clone();
        newer[MAGIC.len()] = 3;
        assert_eq!(Mark::decode(&newer), Err(MarkError::Newer));
        let mut odd = good;
        odd[MAGIC.len() + 1] = 2;
        assert_eq!(Mark::decode(&odd), Err(MarkError::Malformed));
    }
}
