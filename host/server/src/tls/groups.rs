//! Key exchange: hybrid with ML-KEM wherever the client can, in whatever order it asks.
//!
//! What is recorded today may be read by a quantum computer later, so the classical groups are for clients that know
//! nothing else. rustls takes the first of the client's groups that we know, so a client that can do both gets a
//! configuration without the classical ones (with a HelloRetryRequest, if it did not send a hybrid share at once). TLS 1.2
//! has no hybrid groups; there the classical ones stay.

use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
use rustls::crypto::{ActiveKeyExchange, SupportedKxGroup};
use rustls::{Error, NamedGroup, ProtocolVersion};

/// They stand here so that an update of rustls does not change them unseen.
const HYBRID: [&dyn SupportedKxGroup; 2] = [X25519MLKEM768, SECP256R1MLKEM768];

static OLD_X25519: BeforeHybrid = BeforeHybrid(X25519);
static OLD_SECP256R1: BeforeHybrid = BeforeHybrid(SECP256R1);
static OLD_SECP384R1: BeforeHybrid = BeforeHybrid(SECP384R1);

/// For clients that know no hybrid group, and for all of them in the order of their choice.
pub(super) fn any() -> Vec<&'static dyn SupportedKxGroup> {
    [&HYBRID[..], &[X25519, SECP256R1, SECP384R1]].concat()
}

/// For clients that know a hybrid group.
pub(super) fn hybrid() -> Vec<&'static dyn SupportedKxGroup> {
    [&HYBRID[..], &[&OLD_X25519, &OLD_SECP256R1, &OLD_SECP384R1]].concat()
}

/// Whether a client that offers these groups knows a hybrid one.
pub(super) fn knows_hybrid(offered: Option<&[NamedGroup]>) -> bool {
    offered.is_some_and(|offered| HYBRID.iter().any(|group| offered.contains(&group.name())))
}

/// A classical group that is there for TLS 1.2 only.
#[derive(Debug)]
struct BeforeHybrid(&'static dyn SupportedKxGroup);

impl SupportedKxGroup for BeforeHybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        self.0.start()
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2 && self.0.usable_for_version(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What it is for stands in tests/tests/tls_audit.rs: handshakes with clients of every preference.
    #[test]
    fn one_hybrid_group_anywhere_in_the_list_is_enough() {
        let classical = [NamedGroup::X25519, NamedGroup::secp256r1];
        assert!(!knows_hybrid(None) && !knows_hybrid(Some(&classical)));
        for group in [NamedGroup::X25519MLKEM768, NamedGroup::secp256r1MLKEM768] {
            assert!(knows_hybrid(Some(&[NamedGroup::X25519, group])));
        }
        assert!(!knows_hybrid(Some(&[NamedGroup::MLKEM768])), "not hybrid, and not offered");
    }

    #[test]
    fn beside_hybrid_groups_the_classical_ones_are_for_tls_1_2_alone() {
        for group in hybrid() {
            let new = group.usable_for_version(ProtocolVersion::TLSv1_3);
            assert_eq!(new, knows_hybrid(Some(&[group.name()])), "{group:?}");
            assert_ne!(new, group.usable_for_version(ProtocolVersion::TLSv1_2), "{group:?}");
        }
        assert!(any().iter().all(|group| group.usable_for_version(ProtocolVersion::TLSv1_3)));
    }
}
