//! The absence of a TEE, for development and tests. Proves nothing and keeps nothing secret: its sealing key is public.

use carrara_types::claims::Claims;
use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use sha2::{Digest as _, Sha256};

use crate::EvidenceError;

/// Issues empty quotes and verifies none (M-91).
#[derive(Debug, Clone, Copy)]
pub struct Simulated;

impl Simulated {
    pub(crate) fn issue(self) -> Vec<u8> {
        Vec::new()
    }

    pub(crate) fn verify(self, _quote: &[u8], _now: i64) -> Result<Claims, EvidenceError> {
        Err(EvidenceError::Simulated)
    }

    /// The same on every machine, so that a simulated state can be moved. They never change: there are states.
    pub(crate) fn sealing_key(self, policy: KeyPolicy) -> SecretBytes {
        let text: &[u8] = match policy {
            KeyPolicy::Product => b"carrara: the sealing key of simulation is public",
            KeyPolicy::Unique => b"carrara: the unique sealing key of simulation is public",
        };
        let key = Sha256::digest(text);
        SecretBytes::new("simulated sealing key", key.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use carrara_types::seal_mode::KeyPolicy;

    use crate::{EvidenceError, Expected, open};

    /// Nothing waits for anything in simulation.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("simulation waits for nothing"),
        }
    }

    // G-33
    #[test]
    fn simulated_quotes_are_empty_and_none_verifies() {
        let attestation = open(Expected::Simulation).unwrap();
        assert!(attestation.simulated());
        assert_eq!(now(attestation.issue(&[0; 32])), Ok(Vec::new()));
        assert_eq!(now(attestation.verify(&[], 0)), Err(EvidenceError::Simulated));
    }

    #[test]
    fn report_data_is_at_least_a_hash_and_at_most_a_report() {
        let attestation = open(Expected::Simulation).unwrap();
        for (length, fits) in [(31, false), (32, true), (64, true), (65, false)] {
            assert_eq!(now(attestation.issue(&vec![0; length])).is_ok(), fits, "{length}");
        }
    }

    // lifecycle.md section 12
    #[test]
    fn the_sealing_keys_of_simulation_are_constants() {
        let attestation = open(Expected::Simulation).unwrap();
        let shown = |policy| hex::encode(attestation.sealing_key(policy, &[]).unwrap().expose());
        let product = "31b05b0c21026e518e715abbbf6a482b74fc6e48e499f8aa07959beefe79e70a";
        let unique = "c76151d8dbebb0a288550f358f40cf84b260581020838d036a278e492982c040";
        assert_eq!(shown(KeyPolicy::Product), product);
        assert_eq!(shown(KeyPolicy::Unique), unique);
    }
}
