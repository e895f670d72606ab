//! The coordinator's states, with the numbers and texts that clients know (rest-api.md section 4).

use crate::outcome::Status;
use crate::ports::Found;

/// What the coordinator can do now. Follows from what the store found or made; there is no other state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// 1: a sealed state is there and does not open.
    Recovery,
    /// 2: no state.
    AcceptingManifest,
    /// 3: the state is open.
    AcceptingMarbles,
}

impl Phase {
    /// The phase of a store.
    pub(crate) fn of(found: Found) -> Self {
        match found {
            Found::Locked => Self::Recovery,
            Found::Empty => Self::AcceptingManifest,
            Found::Open => Self::AcceptingMarbles,
        }
    }

    /// Whether a manifest may be set.
    pub(crate) fn accepts_manifest(self) -> bool {
        matches!(self, Self::Recovery | Self::AcceptingManifest)
    }

    /// What `GET status` answers.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Recovery => Status {
                code: 1,
                message: "Coordinator is in recovery mode. Either upload a key to unseal the saved state, or set a new \
                          manifest. For more information on how to proceed, consult the documentation.",
            },
            Self::AcceptingManifest => {
                Status { code: 2, message: "Coordinator is ready to accept a manifest." }
            }
            Self::AcceptingMarbles => {
                Status { code: 3, message: "Coordinator is running correctly and ready to accept marbles." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_the_number_and_text_that_clients_know() {
        let codes = [Found::Locked, Found::Empty, Found::Open].map(|found| Phase::of(found).status().code);
        assert_eq!(codes, [1, 2, 3]);
        assert!(
            Phase::Recovery
                .status()
                .message
                .starts_with("Coordinator is in recovery mode. Either upload a key")
        );
        assert_eq!(Phase::AcceptingManifest.status().message, "Coordinator is ready to accept a manifest.");
    }

    #[test]
    fn a_manifest_is_accepted_in_states_1_and_2_only() {
        assert!(Phase::Recovery.accepts_manifest());
        assert!(Phase::AcceptingManifest.accepts_manifest());
        assert!(!Phase::AcceptingMarbles.accepts_manifest());
    }
}
