//! Verifies quotes of SGX and TDX against Intel's root, with collateral that is given; of SEV-SNP's evidence see [`crate::snp`].
//!
//! Synchronous and without I/O: some milliseconds of computing. A status that is merely bad is a claim, not an error,
//! and so is debug mode; revoked keys, expired or foreign collateral and wrong signatures are errors. Virtual machines
//! that can be migrated, are bound to service TDs or handle pending pages unsafely are refused, as by Intel's library.

mod link;

use carrara_types::claims::{Claims, Identity, Platform, TcbEvaluation};
use dcap_qvl::quote::Report;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy, TcbInfo, TcbStatus};

use crate::EvidenceError;
use crate::collateral::Collateral;
use crate::crypto::{AwsLc, sha256};
use crate::framing::snp::{SnpEvidence, is_snp};
use crate::quote::{IntelQuote, QuoteKind};
use crate::snp::{SnpCollateral, SnpRoot, SnpVerifier};
use crate::{sgx, tdx};

/// Intel SGX Root CA (certificates.trustedservices.intel.com), the root of SGX and TDX, for all products.
const INTEL_ROOT: &[u8] = include_bytes!("intel-sgx-root-ca.der");

/// Verifies against one root of Intel's, and AMD's.
#[derive(Debug, Clone)]
pub struct Verifier {
    root: Vec<u8>,
    snp: SnpVerifier,
}

/// What a report says of the code, whichever TEE's it is.
pub(crate) struct Measured {
    pub(crate) debug: bool,
    pub(crate) report_data: Vec<u8>,
    pub(crate) identity: Identity,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// Accepts what Intel's root certifies, and AMD's.
    #[must_use]
    pub fn new() -> Self {
        Self::with_root(INTEL_ROOT.to_vec())
    }

    /// Accepts what another root (DER) certifies: for tests with chains of their own. Nothing that is released asks for it.
    #[must_use]
    pub fn with_root(root: Vec<u8>) -> Self {
        Self { root, snp: SnpVerifier::default() }
    }

    /// The same with another root instead of AMD's: for tests with chains of their own. Nothing that is released asks for it.
    #[must_use]
    pub fn with_snp_root(self, root: SnpRoot) -> Self {
        Self { snp: SnpVerifier::with_root(root), ..self }
    }

    /// What evidence is, framed or raw, and whose collateral [`Verifier::verify`] needs for it. Proves nothing, but that
    /// the root certified the platform's key some time: nobody else's evidence makes anybody fetch collateral.
    ///
    /// # Errors
    /// It is no evidence.
    pub fn kind(&self, evidence: &[u8]) -> Result<QuoteKind, EvidenceError> {
        if is_snp(evidence) {
            SnpEvidence::unframe(evidence)?;
            return Ok(QuoteKind::Snp);
        }
        IntelQuote::parse(evidence)?.kind(&self.root)
    }

    /// What framed evidence of SEV-SNP proves as of `now` (Unix seconds).
    ///
    /// # Errors
    /// It proves nothing, or a certificate is missing in it and in the collateral.
    pub fn verify_snp(
        &self,
        evidence: &[u8],
        collateral: &SnpCollateral,
        now: i64,
    ) -> Result<Claims, EvidenceError> {
        self.snp.verify(evidence, collateral, now)
    }

    /// What a quote of SGX or TDX, framed or raw, proves as of `now` (Unix seconds).
    ///
    /// # Errors
    /// It proves nothing, or the collateral is not its own, expired or from the future.
    pub fn verify(
        &self,
        evidence: &[u8],
        collateral: &Collateral,
        now: i64,
    ) -> Result<Claims, EvidenceError> {
        let quote = IntelQuote::parse(evidence)?;
        // Asked first for the clear answer, and since nothing below asks when a revocation list was issued.
        if !collateral.validity().holds(now) {
            let when = if now < collateral.validity().from { "yet" } else { "any more" };
            return Err(EvidenceError::Refused(format!("the collateral for the quote is not valid {when}")));
        }
        let now = u64::try_from(now).map_err(|_| EvidenceError::Malformed("the time is before 1970"))?;
        let mut parts = collateral.parts().clone();
        // The quote's own platform counts, never one that came with the collateral.
        parts.pck_certificate_chain = None;
        check_pce(&parts.tcb_info, &quote)?;
        let verifier = QuoteVerifier::<AwsLc>::new_with_config(self.root.clone()).allow_debug(true);
        let proved = verifier
            .verify_with_policy(quote.bytes, parts, now, &QuotePolicy::claims_only(now))
            .map_err(|error| refused(&format!("{error:#}"), &quote, collateral.parts(), &self.root))?;
        self.claims(&proved)
    }

    fn claims(&self, proved: &QuoteClaims) -> Result<Claims, EvidenceError> {
        let measured = match &proved.report {
            Report::SgxEnclave(report) => sgx::measured(report),
            report => match report.as_td10() {
                Some(report) => tdx::measured(report),
                None => return Err(EvidenceError::Malformed("its report is of an unknown kind")),
            },
        };
        let pck = &proved.platform.pck;
        let current = proved.platform.current_tcb_level.as_ref();
        let mut advisories = proved.tcb.advisory_ids.clone();
        let more = current.map_or(&[][..], |level| &level.advisory_ids);
        let more: Vec<_> = more.iter().filter(|id| !advisories.contains(id)).cloned().collect();
        advisories.extend(more);
        let platform = Platform {
            // Both are the quoting enclave's, whose report the platform's key has signed.
            cpu_svn: proved.qe.report.cpu_svn.to_vec(),
            qe_svn: proved.qe.report.isv_svn,
            pce_svn: pck.pce_svn,
            root_ca_sha256: sha256(&self.root).to_vec(),
            tcb_evaluation: Some(TcbEvaluation { fmspc: pck.fmspc, number: proved.tcb.eval_data_number }),
        };
        Ok(Claims {
            tee: measured.identity.tee(),
            debug: measured.debug,
            tcb_status: status_name(proved.tcb.status, current.map(|level| level.tcb_status)).to_owned(),
            advisories: Some(advisories),
            report_data: measured.report_data,
            identity: measured.identity,
            platform,
        })
    }
}

/// M-81's names. Of a virtual machine both count: what it was started on, and what it runs on now. One that should be
/// started anew was started on what is out of date.
fn status_name(status: TcbStatus, current: Option<TcbStatus>) -> &'static str {
    let mut lacks = Lacks::of(status);
    if let Some(current) = current {
        lacks.and(&Lacks::of(current));
    }
    match lacks {
        Lacks { revoked: true, .. } => "Revoked",
        Lacks { updates: true, configuration: true, .. } => "OutOfDateConfigurationNeeded",
        Lacks { updates: true, .. } => "OutOfDate",
        Lacks { configuration: true, hardening: true, .. } => "ConfigurationAndSWHardeningNeeded",
        Lacks { configuration: true, .. } => "ConfigurationNeeded",
        Lacks { hardening: true, .. } => "SWHardeningNeeded",
        _ => "UpToDate",
    }
}

/// What a platform lacks by its status.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // Each is a word of Intel's, and they go together.
struct Lacks {
    revoked: bool,
    updates: bool,
    configuration: bool,
    hardening: bool,
}

impl Lacks {
    fn of(status: TcbStatus) -> Self {
        let none = Self::default();
        match status {
            TcbStatus::UpToDate => none,
            TcbStatus::OutOfDate | TcbStatus::TDRelaunchAdvised => Self { updates: true, ..none },
            TcbStatus::Revoked => Self { revoked: true, ..none },
            TcbStatus::ConfigurationNeeded => Self { configuration: true, ..none },
            TcbStatus::OutOfDateConfigurationNeeded | TcbStatus::TDRelaunchAdvisedConfigurationNeeded => {
                Self { updates: true, configuration: true, ..none }
            }
            TcbStatus::SWHardeningNeeded => Self { hardening: true, ..none },
            TcbStatus::ConfigurationAndSWHardeningNeeded => {
                Self { configuration: true, hardening: true, ..none }
            }
        }
    }

    fn and(&mut self, other: &Self) {
        self.revoked |= other.revoked;
        self.updates |= other.updates;
        self.configuration |= other.configuration;
        self.hardening |= other.hardening;
    }
}

/// Intel's words, with the link of the chain where they do not name it.
fn refused(text: &str, quote: &IntelQuote<'_>, collateral: &QuoteCollateralV3, root: &[u8]) -> EvidenceError {
    EvidenceError::Refused(match link::broken(text, quote, collateral, root) {
        Some(link) => format!("{link}: {text}"),
        None => text.to_owned(),
    })
}

/// Intel's library compares the PCE's id, too. The signature over the text is verified by what follows.
fn check_pce(tcb_info: &str, quote: &IntelQuote<'_>) -> Result<(), EvidenceError> {
    let malformed = |_| EvidenceError::Refused("the collateral's TCB info cannot be read".to_owned());
    let wanted = serde_json::from_str::<TcbInfo>(tcb_info).map_err(malformed)?.pce_id;
    match quote.pce_id()? {
        found if hex::encode(&found).eq_ignore_ascii_case(&wanted) => Ok(()),
        found => Err(EvidenceError::Refused(format!(
            "the collateral is for PCE {wanted}, the platform has {}",
            hex::encode(found)
        ))),
    }
}

#[cfg(test)]
pub(crate) mod changed_bytes;
#[cfg(test)]
mod tests;
