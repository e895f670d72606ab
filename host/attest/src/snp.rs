//! Verifies the evidence of AMD SEV-SNP guests against AMD's roots (AMD 56860 and 57230).
//!
//! Synchronous and without I/O. Debug mode is a claim; so are the platform's versions, since AMD publishes no status of
//! them: whether they are good enough is the package's. Guests that can be migrated are refused: their measurement is the
//! same, and whoever the host appointed as migration agent gets their memory.

mod certificates;
mod report;
mod roots;
mod shown;

use carrara_types::claims::{Claims, Identity, Platform, SnpIdentity, SnpTcb, Tee};
use x509_parser::certificate::X509Certificate;

use crate::EvidenceError;
use crate::crypto::sha256;
use crate::framing::snp::SnpEvidence;
use certificates::{check_binding, check_revocation, check_signature, check_time, read, refused};
use report::{Report, tcb};
pub use roots::{Generation, SnpRoot};
pub use shown::{SnpLacks, SnpPart, SnpPartKind};

/// Names for messages.
const LEAF: &str = "VCEK or VLEK";
const INTERMEDIATE: &str = "ASK or ASVK";
const ROOT: &str = "ARK";

/// What evidence may lack, and what is revoked. Nothing of it is trusted for being there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnpCollateral {
    /// VCEKs, VLEKs, ASKs and ASVKs (DER), for hosts that give none with a report.
    pub certificates: Vec<Vec<u8>>,
    /// AMD's revocation lists (DER). One that is expired refuses what it is for.
    pub revocation_lists: Vec<Vec<u8>>,
}

/// Verifies against some roots.
#[derive(Debug, Clone)]
pub struct SnpVerifier {
    roots: Vec<SnpRoot>,
}

impl Default for SnpVerifier {
    fn default() -> Self {
        Self { roots: roots::amd() }
    }
}

impl SnpVerifier {
    /// Accepts what another root certifies: for tests with chains of their own. Nothing that is released asks for it.
    #[must_use]
    pub fn with_root(root: SnpRoot) -> Self {
        Self { roots: vec![root] }
    }

    /// What framed evidence proves as of `now` (Unix seconds).
    ///
    /// # Errors
    /// It proves nothing, or a certificate is missing.
    pub fn verify(
        &self,
        evidence: &[u8],
        collateral: &SnpCollateral,
        now: i64,
    ) -> Result<Claims, EvidenceError> {
        let evidence = SnpEvidence::unframe(evidence)?;
        let report = Report::parse(evidence.report)?;
        let leaf = leaf(&evidence, &report, collateral)?;
        let root = self.check_chain(&leaf, &evidence, collateral, now)?;
        check_binding(&leaf, &report, root.generation)?;
        if report.can_be_migrated() {
            return Err(refused("the guest can be migrated by an agent that the host chose"));
        }
        Ok(claims(&report, root))
    }

    /// The root above the leaf, with all between them certified, valid and not revoked.
    fn check_chain(
        &self,
        leaf: &X509Certificate<'_>,
        evidence: &SnpEvidence<'_>,
        collateral: &SnpCollateral,
        now: i64,
    ) -> Result<&SnpRoot, EvidenceError> {
        let der = self.intermediate(leaf, evidence, collateral)?;
        let intermediate = read(der, INTERMEDIATE)?;
        let root = self.root_above(&intermediate)?;
        let ark = read(&root.certificate, ROOT)?;
        // The one that came along is not needed, but must not be another.
        if !evidence.root.is_empty() && read(evidence.root, ROOT)?.public_key().raw != ark.public_key().raw {
            return Err(refused(format!("the {ROOT} of the evidence is not AMD's")));
        }
        if !intermediate.is_ca() {
            return Err(refused(format!("the {INTERMEDIATE} may not certify anything")));
        }
        check_signature(leaf, &intermediate, LEAF)?;
        for (certificate, name) in [(&ark, ROOT), (&intermediate, INTERMEDIATE), (leaf, LEAF)] {
            check_time(certificate, now, name)?;
        }
        for list in &collateral.revocation_lists {
            check_revocation(list, &ark, &intermediate, now)?;
        }
        Ok(root)
    }

    /// The certificate above the leaf: the evidence's, the collateral's, or one of this program.
    fn intermediate<'a>(
        &'a self,
        leaf: &X509Certificate<'_>,
        evidence: &SnpEvidence<'a>,
        collateral: &'a SnpCollateral,
    ) -> Result<&'a [u8], EvidenceError> {
        if !evidence.intermediate.is_empty() {
            return Ok(evidence.intermediate);
        }
        self.issuer(leaf, collateral).ok_or_else(|| {
            refused(format!(
                "the certificate of the {INTERMEDIATE} is missing in the evidence and the collateral"
            ))
        })
    }

    /// Who certified a leaf: the collateral's, or one of this program.
    fn issuer<'a>(&'a self, leaf: &X509Certificate<'_>, collateral: &'a SnpCollateral) -> Option<&'a [u8]> {
        let known = self.roots.iter().flat_map(|root| &root.intermediates);
        let is_issuer = |der: &&Vec<u8>| {
            read(der, INTERMEDIATE).is_ok_and(|issuer| check_signature(leaf, &issuer, LEAF).is_ok())
        };
        collateral.certificates.iter().chain(known).find(is_issuer).map(Vec::as_slice)
    }

    /// The root that certified an intermediate.
    fn root_above(&self, intermediate: &X509Certificate<'_>) -> Result<&SnpRoot, EvidenceError> {
        let is_above = |root: &&SnpRoot| {
            let root = read(&root.certificate, ROOT);
            root.is_ok_and(|root| check_signature(intermediate, &root, INTERMEDIATE).is_ok())
        };
        let uncertified = || refused(format!("the {INTERMEDIATE} is not certified by AMD"));
        self.roots.iter().find(is_above).ok_or_else(uncertified)
    }
}

/// The certificate of the key that signed the report: the evidence's, or else one of the collateral.
fn leaf<'a>(
    evidence: &SnpEvidence<'a>,
    report: &Report<'_>,
    collateral: &'a SnpCollateral,
) -> Result<X509Certificate<'a>, EvidenceError> {
    let signed = |leaf: &X509Certificate<'_>| report.is_signed_by(&leaf.public_key().subject_public_key.data);
    if evidence.leaf.is_empty() {
        let mut known = collateral.certificates.iter().filter_map(|der| read(der, LEAF).ok());
        let missing =
            "the certificate of the key that signed the report is missing in the evidence and the collateral";
        return known.find(signed).ok_or_else(|| refused(missing));
    }
    let leaf = read(evidence.leaf, LEAF)?;
    if signed(&leaf) { Ok(leaf) } else { Err(refused("the report is not signed by its VCEK or VLEK")) }
}

fn claims(report: &Report<'_>, root: &SnpRoot) -> Claims {
    let [reported, committed, launch] = [report.reported_tcb, report.committed_tcb, report.launch_tcb]
        .map(|version| tcb(version, root.generation));
    Claims {
        tee: Tee::SevSnp,
        debug: report.debug(),
        // Nobody publishes one; packages name the versions that they want.
        tcb_status: "UpToDate".to_owned(),
        advisories: Some(Vec::new()),
        report_data: report.report_data.to_vec(),
        identity: Identity::Snp(SnpIdentity {
            measurement: report.measurement,
            host_data: report.host_data,
            id_key_digest: report.id_key_digest,
            author_key_digest: report.author_key_digest,
            family_id: report.family_id,
            image_id: report.image_id,
            guest_svn: report.guest_svn,
            policy: report.policy,
            vmpl: report.vmpl,
            tcb: lowest(reported, lowest(committed, launch)),
        }),
        platform: Platform { root_ca_sha256: sha256(&root.certificate).to_vec(), ..Platform::default() },
    }
}

/// What signed the report (reported), what the host can go back to while the guest runs (committed), and what the guest was
/// started on (launch): the weakest of them counts, part by part.
fn lowest(one: SnpTcb, other: SnpTcb) -> SnpTcb {
    SnpTcb {
        boot_loader: one.boot_loader.min(other.boot_loader),
        tee: one.tee.min(other.tee),
        snp: one.snp.min(other.snp),
        microcode: one.microcode.min(other.microcode),
        fmc: one.fmc.min(other.fmc),
    }
}

#[cfg(test)]
mod tests;
