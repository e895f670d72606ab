//! Which coordinators are accepted: `era-config.json` (cli.md section 2), with `TDX` and `SNP` as manifests have them.

use carrara_types::claims::{Claims, Identity, SgxIdentity};
use carrara_types::manifest::{Difference, Package, ParsedManifest, SnpPackage, TdxPackage};
use serde_json::{Map, Value, json};

use super::AttestationError;
use crate::answer::take_field;

/// Always accepted (M-81).
const UP_TO_DATE: &str = "UpToDate";
/// The only status whose advisories are looked at (M-82).
const SW_HARDENING_NEEDED: &str = "SWHardeningNeeded";
/// What a platform of SEV-SNP is whose versions are lower than the policy's.
const OUT_OF_DATE: &str = "OutOfDate";

/// Which coordinators are accepted. The TEE's kind comes first: each has its own fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationPolicy {
    /// Lowest ISVSVN; 0 = not compared.
    pub security_version: u64,
    /// ISVPRODID; 0 = not compared.
    pub product_id: u64,
    /// MRSIGNER, hex; empty = not compared.
    pub signer_id: String,
    /// MRENCLAVE, hex; empty = not compared.
    pub unique_id: String,
    /// A coordinator in a TDX virtual machine.
    pub tdx: Option<Box<TdxPackage>>,
    /// A coordinator in an SEV-SNP guest.
    pub snp: Option<Box<SnpPackage>>,
    /// Whether debug mode is accepted, too.
    pub debug: bool,
    /// Beside `UpToDate`.
    pub accepted_tcb_statuses: Vec<String>,
    /// Empty = all; counts for `SWHardeningNeeded`.
    pub accepted_advisories: Vec<String>,
}

/// Why a text is no attestation policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// Not a JSON object, or a field of another type.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// `TDX` or `SNP` cannot be read.
    #[error("{0}")]
    Machine(String),
}

impl AttestationPolicy {
    /// Reads a policy file (cli.md section 2): field names in any case, unknown fields ignored, but for those within `TDX`
    /// and `SNP`, where one that is misspelt would not be compared.
    ///
    /// # Errors
    /// Not a JSON object, a field of another type, or a measurement that is none.
    pub fn from_json(text: &[u8]) -> Result<Self, PolicyFileError> {
        let mut map: Map<String, Value> = serde_json::from_slice(text)?;
        let mut field = |name: &str| take_field(&mut map, name);
        let machine = machine(field("TDX"), field("SNP"))?;
        Ok(Self {
            security_version: parse(field("SecurityVersion"))?,
            product_id: parse(field("ProductID"))?,
            signer_id: parse(field("SignerID"))?,
            unique_id: parse(field("UniqueID"))?,
            tdx: machine.tdx,
            snp: machine.snp,
            debug: parse(field("Debug"))?,
            accepted_tcb_statuses: parse(field("AcceptedTCBStatuses"))?,
            accepted_advisories: parse(field("AcceptedAdvisories"))?,
        })
    }

    /// C-3: without a UniqueID, any version of any product would do.
    pub(super) fn check(&self) -> Result<(), AttestationError> {
        let incomplete = |what| Err(AttestationError::Policy(what));
        if self.tdx.as_ref().is_some_and(|tdx| tdx.mr_td.is_none()) {
            return incomplete("TDX must have MRTD");
        }
        if self.snp.as_ref().is_some_and(|snp| snp.measurement.is_none()) {
            return incomplete("SNP must have Measurement");
        }
        if !self.is_for_sgx() || !self.unique_id.is_empty() {
            return Ok(());
        }
        if self.security_version == 0 {
            return incomplete("without UniqueID it must have a SecurityVersion other than 0");
        }
        if self.product_id == 0 {
            return incomplete("without UniqueID it must have a ProductID other than 0");
        }
        Ok(())
    }

    /// One that says nothing at all is for SGX: the form that others write.
    fn is_for_sgx(&self) -> bool {
        let says = self.security_version != 0
            || self.product_id != 0
            || !self.signer_id.is_empty()
            || !self.unique_id.is_empty();
        says || (self.tdx.is_none() && self.snp.is_none())
    }

    /// What is not compared although it should be.
    pub(super) fn warnings(&self, identity: &Identity) -> Vec<&'static str> {
        let warning = match identity {
            Identity::Sgx(_) if self.unique_id.is_empty() && self.signer_id.is_empty() => {
                "the attestation policy has neither UniqueID nor SignerID: anybody's enclave is accepted"
            }
            Identity::Tdx(_) if self.tdx.as_ref().is_some_and(|tdx| kernel_is_not_compared(tdx)) => {
                "the attestation policy does not compare both RTMR1 and RTMR2 of TDX: any operating system may run on the \
                 expected firmware"
            }
            Identity::Snp(_) if self.snp.as_ref().is_some_and(|snp| snp.tcb == Default::default()) => {
                "the attestation policy has no TCB in SNP: platforms with old firmware are accepted"
            }
            _ => return Vec::new(),
        };
        vec![warning]
    }

    /// C-3, C-4.
    pub(super) fn accept(&self, claims: &Claims) -> Result<(), AttestationError> {
        self.accept_identity(&claims.identity)?;
        if claims.debug && !self.debug {
            return Err(AttestationError::Debug);
        }
        self.accept_tcb(claims)
    }

    fn accept_identity(&self, identity: &Identity) -> Result<(), AttestationError> {
        let unknown = |field| AttestationError::Tee { found: identity.tee().name(), field };
        match identity {
            Identity::Sgx(sgx) if self.is_for_sgx() => self.accept_sgx(sgx),
            Identity::Sgx(_) => Err(unknown("UniqueID, or SignerID, ProductID and SecurityVersion")),
            Identity::Tdx(tdx) => {
                let wanted = self.tdx.as_deref().ok_or(unknown("TDX"))?;
                wanted.difference(tdx).map_or(Ok(()), |difference| Err(difference.into()))
            }
            Identity::Snp(snp) => {
                let wanted = self.snp.as_deref().ok_or(unknown("SNP"))?;
                wanted.difference(snp).map_or(Ok(()), |difference| Err(difference.into()))
            }
        }
    }

    fn accept_sgx(&self, sgx: &SgxIdentity) -> Result<(), AttestationError> {
        let different = |what, found, expected| Err(AttestationError::Identity { what, found, expected });
        let ids =
            [("UniqueID", sgx.unique_id, &self.unique_id), ("SignerID", sgx.signer_id, &self.signer_id)];
        for (what, found, expected) in ids {
            let found = hex::encode(found);
            if !expected.is_empty() && !found.eq_ignore_ascii_case(expected) {
                return different(what, found, expected.clone());
            }
        }
        if self.security_version != 0 && sgx.security_version < self.security_version {
            let expected = format!("at least {}", self.security_version);
            return different("SecurityVersion", sgx.security_version.to_string(), expected);
        }
        if self.product_id != 0 && sgx.product_id & 0xffff != self.product_id {
            return different("ProductID", sgx.product_id.to_string(), self.product_id.to_string());
        }
        Ok(())
    }

    fn accept_tcb(&self, claims: &Claims) -> Result<(), AttestationError> {
        let status = self.tcb_status(claims);
        if status != UP_TO_DATE && !self.accepted_tcb_statuses.iter().any(|accepted| accepted == status) {
            return Err(AttestationError::Tcb(status.to_owned()));
        }
        if status != SW_HARDENING_NEEDED || self.accepted_advisories.is_empty() {
            return Ok(());
        }
        let Some(advisories) = &claims.advisories else {
            return Err(AttestationError::Advisory("advisories that cannot be read".to_owned()));
        };
        let accepted =
            |id: &String| self.accepted_advisories.iter().any(|known| known.eq_ignore_ascii_case(id));
        match advisories.iter().find(|id| !accepted(id)) {
            Some(id) => Err(AttestationError::Advisory(id.clone())),
            None => Ok(()),
        }
    }

    /// Nobody publishes a status for SEV-SNP: the policy's versions decide.
    fn tcb_status<'a>(&self, claims: &'a Claims) -> &'a str {
        match (&claims.identity, &self.snp) {
            (Identity::Snp(has), Some(wanted)) if !wanted.tcb.is_met_by(&has.tcb) => OUT_OF_DATE,
            _ => &claims.tcb_status,
        }
    }
}

impl From<Difference> for AttestationError {
    fn from(Difference { field, found, wanted }: Difference) -> Self {
        Self::Identity { what: field, found, expected: wanted }
    }
}

/// Boot loader and kernel, command line and initrd, with usual firmware.
fn kernel_is_not_compared(tdx: &TdxPackage) -> bool {
    let [_, kernel, command_line, _] = &tdx.rtmrs;
    kernel.is_none() || command_line.is_none()
}

/// Reads `TDX` and `SNP` as the manifest's reader does.
fn machine(tdx: Option<Value>, snp: Option<Value>) -> Result<Package, PolicyFileError> {
    if tdx.is_none() && snp.is_none() {
        return Ok(Package::default());
    }
    let text = json!({ "Packages": { "": { "TDX": tdx, "SNP": snp } } }).to_string();
    let mut manifest = ParsedManifest::parse(text.as_bytes())
        .map_err(|error| PolicyFileError::Machine(without_package(&error.message)))?;
    if let Some(unknown) = manifest.warnings.first() {
        let what = unknown.message.strip_suffix(" is ignored").unwrap_or(&unknown.message);
        let hint = unknown.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        return Err(PolicyFileError::Machine(format!("{what}{hint}")));
    }
    Ok(manifest.packages.remove("").unwrap_or_default())
}

/// The place within the policy. Line and column are those of the text that was made above.
fn without_package(message: &str) -> String {
    let placed = message.rsplit_once(" (at /Packages//").and_then(|(what, place)| {
        let (place, _) = place.split_once(", line ")?;
        Some(format!("{place}: {what}"))
    });
    placed.unwrap_or_else(|| message.to_owned())
}

fn parse<T: serde::de::DeserializeOwned + Default>(value: Option<Value>) -> Result<T, serde_json::Error> {
    value.map_or_else(|| Ok(T::default()), serde_json::from_value)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
pub(super) mod tests;
