//! Evidence: who issues quotes and who verifies them, per TEE.
//!
//! Verifies and issues; what verified claims are worth is decided by `carrara-core`. Simulation is compiled in by the
//! feature `simulation` only: without it [`Attestation`] has no such variant, so a build cannot fall back to it.

pub mod framing;
#[cfg(feature = "simulation")]
mod simulated;

use std::path::Path;

use carrara_types::claims::Claims;
use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;

#[cfg(feature = "simulation")]
pub use simulated::Simulated;

/// What a start expects to run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A TEE, found by its devices.
    Tee,
    /// None: quotes are empty and nothing is proved. An explicit choice, never a fallback.
    Simulation,
}

/// Why there is no attestation. `Display` names the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Simulation was asked for.
    #[error(
        "this build cannot simulate a TEE and no TEE was found; use a build with the feature `simulation` for tests"
    )]
    CannotSimulate,
    /// No device of a TEE.
    #[error(
        "no TEE was found; run inside an enclave, or pass --simulation to a build with the feature `simulation`"
    )]
    NoTee,
    /// There is one, but this version cannot use it.
    #[error("{0} was found, but this version can neither issue nor verify its quotes yet")]
    NotYet(&'static str),
}

/// Evidence that was not issued or does not verify. `Display` is the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Neither the length of a hash nor up to a report's.
    #[error("{0} bytes of report data; 32 to 64 are needed")]
    ReportData(usize),
    /// Nothing can be said about a quote in simulation.
    #[error("quotes are not verified in simulation")]
    Simulated,
}

/// The attestation of the TEE that this process runs in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Attestation {
    /// No TEE at all.
    #[cfg(feature = "simulation")]
    Simulated(Simulated),
}

/// Finds the TEE that is expected.
///
/// # Errors
/// There is none that this build can use.
pub fn open(expected: Expected) -> Result<Attestation, OpenError> {
    match expected {
        #[cfg(feature = "simulation")]
        Expected::Simulation => Ok(Attestation::Simulated(Simulated)),
        #[cfg(not(feature = "simulation"))]
        Expected::Simulation => Err(OpenError::CannotSimulate),
        Expected::Tee => Err(detect(|path| Path::new(path).exists())),
    }
}

/// The devices by which TEEs show.
const DEVICES: [(&str, &str); 4] = [
    ("/dev/attestation/quote", "Gramine (SGX)"),
    (occlum_dcap::SGX_DEVICE, "Occlum (SGX)"),
    ("/dev/tdx_guest", "Intel TDX"),
    ("/dev/sev-guest", "AMD SEV-SNP"),
];

fn detect(exists: impl Fn(&str) -> bool) -> OpenError {
    let found = DEVICES.into_iter().find(|(path, _)| exists(path));
    found.map_or(OpenError::NoTee, |(_, name)| OpenError::NotYet(name))
}

impl Attestation {
    /// Whether nothing is proved.
    #[must_use]
    pub fn simulated(&self) -> bool {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => true,
        }
    }

    /// A quote over 32..64 bytes of report data, framed (G-30); empty in simulation.
    ///
    /// # Errors
    /// The TEE gives none.
    pub async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        if !(32..=64).contains(&report_data.len()) {
            return Err(EvidenceError::ReportData(report_data.len()));
        }
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(ref simulated) => Ok(simulated.issue()),
        }
    }

    /// Verifies a quote as of `now` (Unix seconds).
    ///
    /// # Errors
    /// It does not verify. An outdated TCB is no error but a claim.
    #[cfg_attr(not(feature = "simulation"), allow(unused_variables))]
    pub async fn verify(&self, quote: &[u8], now: i64) -> Result<Claims, EvidenceError> {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(ref simulated) => simulated.verify(quote, now),
        }
    }

    /// 32 bytes that only this code, or code of its signer, on this machine can get; in simulation constants.
    ///
    /// # Errors
    /// The TEE gives none.
    #[cfg_attr(not(feature = "simulation"), allow(unused_variables))]
    pub fn sealing_key(&self, policy: KeyPolicy) -> Result<SecretBytes, EvidenceError> {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(ref simulated) => Ok(simulated.sealing_key(policy)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tee_that_is_there_is_named_and_not_silently_replaced() {
        assert_eq!(detect(|path| path == "/dev/sgx"), OpenError::NotYet("Occlum (SGX)"));
        assert_eq!(detect(|_| true), OpenError::NotYet("Gramine (SGX)"));
    }

    #[test]
    fn without_a_tee_the_error_names_the_remedy() {
        assert_eq!(detect(|_| false), OpenError::NoTee);
        assert!(OpenError::NoTee.to_string().contains("--simulation"));
    }

    //
    #[test]
    fn expecting_a_tee_never_gives_simulation() {
        assert!(open(Expected::Tee).is_err());
    }

    #[cfg(not(feature = "simulation"))]
    #[test]
    fn a_build_without_the_feature_cannot_simulate() {
        assert_eq!(open(Expected::Simulation).unwrap_err(), OpenError::CannotSimulate);
    }
}
