//! Evidence: who issues quotes and who verifies them, per TEE.
//!
//! Verifies and issues; what verified claims are worth is decided by `carrara-core`. Simulation is compiled in by the
//! feature `simulation` only: without it [`Attestation`] has no such variant, so a build cannot fall back to it.

#[cfg(any(test, feature = "testing"))]
pub mod chain;
pub mod collateral;
mod crypto;
pub mod framing;
pub mod issue;
pub mod quote;
mod sgx;
pub mod snp;
mod tdx;
mod tee;
pub mod verification;
pub mod verify;

#[cfg(feature = "simulation")]
mod simulated;

use carrara_types::claims::Claims;
use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;

#[cfg(feature = "simulation")]
pub use simulated::Simulated;
pub use tee::RealTee;
pub use verification::Verification;

/// What a start expects to run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A TEE, found by its devices.
    Tee,
    /// None: quotes are empty and nothing is proved. An explicit choice, never a fallback.
    Simulation,
}

/// Why there is no attestation. `Display` names the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Gramine, without quotes of DCAP.
    #[error(
        "Gramine was found, but /dev/attestation/attestation_type is not \"dcap\": set sgx.remote_attestation = \"dcap\" in \
         its manifest"
    )]
    GramineWithoutDcap,
    /// Occlum, without its device; with what the system said of it.
    #[error(
        "Occlum was found, but not its device: {0}; build the image with DCAP, and run it on a machine with SGX"
    )]
    NoSgxDevice(String),
    /// A VM that is a TEE, without configfs-tsm.
    #[error(
        "{0} was found, but nothing in /sys/kernel/config/tsm/report issues its reports: use Linux 6.7 or later with \
         configfs-tsm, load the driver (modprobe tdx_guest or sev-guest) and mount configfs (mount -t configfs none \
         /sys/kernel/config)"
    )]
    NoReports(&'static str),
    /// configfs-tsm, but not for this user.
    #[error(
        "a TEE was found, but this user may not make entries in /sys/kernel/config/tsm/report: run as root, or let root \
         give the folder to the service's user"
    )]
    ReportsDenied,
    /// configfs-tsm, which does not work; with what the system said.
    #[error(
        "configfs-tsm was found, but not which TEE is behind it: {0}; mount configfs for writing and look into the kernel's log"
    )]
    Reports(String),
    /// A TEE of another kind.
    #[error(
        "a TEE was found whose reports this version does not know: {0:?}; Intel TDX and AMD SEV-SNP are known"
    )]
    Provider(String),
}

/// Evidence that was not issued or does not verify. `Display` is the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Neither the length of a hash nor up to a report's.
    #[error("{0} bytes of report data; 32 to 64 are needed")]
    ReportData(usize),
    /// No frame of evidence.
    #[error("reading the quote: {0}")]
    Framing(#[from] framing::FramingError),
    /// Longer than any evidence.
    #[error("the quote has {0} bytes; no quote is longer than {max}", max = quote::MAX_QUOTE_BYTES)]
    TooLong(usize),
    /// It does not have the form of evidence.
    #[error("reading the quote: {0}")]
    Malformed(&'static str),
    /// It proves nothing: the text says why.
    #[error("{0}")]
    Refused(String),
    /// There is nothing to judge it by.
    #[error(transparent)]
    Collateral(#[from] collateral::CollateralError),
    /// The bundle that evidence of SEV-SNP is judged by. The cause names files, and is for the log only.
    #[error("the bundle of collateral cannot be read")]
    Bundle(#[source] collateral::FetchError),
    /// This attestation was never told where collateral is from.
    #[error("no source of collateral is configured, so that no quote can be verified")]
    NoVerification,
    /// The TEE gave no quote.
    #[error("{name} gave no quote: {cause}")]
    NotIssued {
        /// The TEE.
        name: &'static str,
        /// What it said.
        cause: String,
    },
    /// The TEE gave no sealing key.
    #[error("{name} gave no sealing key: {cause}")]
    NoSealingKey {
        /// The TEE.
        name: &'static str,
        /// What it said.
        cause: String,
    },
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
    /// One that is there.
    Tee(RealTee),
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
        Expected::Tee => RealTee::find(&issue::Places::default()).map(Attestation::Tee),
    }
}

impl Attestation {
    /// Whether nothing is proved.
    #[must_use]
    pub fn simulated(&self) -> bool {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => true,
            Self::Tee(_) => false,
        }
    }

    /// For the log: which TEE, by which interface.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => "simulation",
            Self::Tee(ref tee) => tee.platform().name(),
        }
    }

    /// Whether what a sealing key of this process seals can be opened by another process. Without (TDX), a start with a
    /// state is a recovery.
    #[must_use]
    pub fn has_sealing_key(&self) -> bool {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => true,
            Self::Tee(ref tee) => tee.platform().has_sealing_key(),
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
            Self::Tee(ref tee) => tee.issue(report_data).await,
        }
    }

    /// The same, and verifies the quotes of others; in simulation none.
    #[must_use]
    pub fn verifying(self, verification: Verification) -> Self {
        match self {
            #[cfg(feature = "simulation")]
            Self::Simulated(simulated) => Self::Simulated(simulated),
            Self::Tee(tee) => Self::Tee(tee.verifying(verification)),
        }
    }

    /// Verifies a quote as of `now` (Unix seconds). Waits for collateral, if there is none.
    ///
    /// # Errors
    /// It does not verify. An outdated TCB is no error but a claim.
    pub async fn verify(&self, quote: &[u8], now: i64) -> Result<Claims, EvidenceError> {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(ref simulated) => simulated.verify(quote, now),
            Self::Tee(ref tee) => tee.verify(quote, now).await,
        }
    }

    /// What a sealing key of now is bound to besides its policy (security versions); kept in the clear beside what it
    /// seals. Empty where the policy says all.
    ///
    /// # Errors
    /// The TEE does not say.
    pub fn key_binding(&self) -> Result<Vec<u8>, EvidenceError> {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => Ok(Vec::new()),
            Self::Tee(ref tee) => tee.key_binding(),
        }
    }

    /// 32 bytes that only this code, or code of its signer, on this machine can get; in simulation constants.
    ///
    /// # Errors
    /// The TEE gives none, or none for this binding.
    pub fn sealing_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, EvidenceError> {
        match *self {
            #[cfg(feature = "simulation")]
            Self::Simulated(ref simulated) => Ok(simulated.sealing_key(policy)),
            Self::Tee(ref tee) => tee.sealing_key(policy, binding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn expecting_a_tee_never_gives_simulation() {
        // Where the tests run in a TEE, it is that one.
        match open(Expected::Tee) {
            Ok(found) => assert!(!found.simulated()),
            Err(error) => assert!(!matches!(error, OpenError::CannotSimulate), "{error}"),
        }
    }

    #[cfg(not(feature = "simulation"))]
    #[test]
    fn a_build_without_the_feature_cannot_simulate() {
        assert_eq!(open(Expected::Simulation).unwrap_err(), OpenError::CannotSimulate);
    }
}
