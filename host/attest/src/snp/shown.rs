//! What a bundle has for SEV-SNP, and what evidence lacks, for who has to keep the bundle.
//!
//! Nobody publishes a bundle for these platforms, so an operator puts the parts together; a part that cannot be used shall
//! be seen before evidence is refused for it.

use carrara_types::claims::SnpTcb;
use x509_parser::certificate::X509Certificate;

use super::certificates::{
    certified_tcb, check_list, check_revocation, check_time, chip, is_vlek, read, read_list, refused,
};
use super::report::{Report, SigningKey};
use super::{Generation, INTERMEDIATE, LEAF, ROOT, SnpCollateral, SnpRoot, SnpVerifier};
use crate::EvidenceError;
use crate::framing::snp::SnpEvidence;

/// What a part of a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnpPartKind {
    /// The certificate of a chip's key.
    Vcek,
    /// The certificate of a provider's key.
    Vlek,
    /// The certificate of the key above one of those.
    Authority,
    /// A root's certificate, which is needed nowhere.
    Root,
    /// A revocation list.
    RevocationList,
    /// Something that stands among the certificates and is none.
    Unreadable,
}

/// One part of a bundle, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnpPart {
    /// What it is.
    pub kind: SnpPartKind,
    /// Whose root it leads to, if it leads to one.
    pub generation: Option<Generation>,
    /// Whose key it certifies, of a VCEK.
    pub chip_id: Option<Vec<u8>>,
    /// What a VCEK or VLEK was derived for.
    pub tcb: Option<SnpTcb>,
    /// From when it is valid, in Unix seconds.
    pub from: Option<i64>,
    /// The last moment at which it is.
    pub until: Option<i64>,
    /// How many certificates a list revokes.
    pub revoked: Option<usize>,
    /// Why evidence that needs it is refused.
    pub problem: Option<String>,
}

/// What evidence does not bring along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnpLacks {
    /// The certificate of the key that signed the report.
    pub leaf: bool,
    /// Whether that key is a provider's (VLEK) and no chip's (VCEK).
    pub vlek: bool,
    /// The certificate above it; of VCEKs, those of all known generations are parts of this program.
    pub intermediate: bool,
    /// The chip.
    pub chip_id: [u8; 64],
    /// `TCB_VERSION`, by which the key was derived, as it stands in the report.
    pub reported_tcb: [u8; 8],
}

impl SnpLacks {
    /// What framed evidence lacks. Nothing of it is verified.
    ///
    /// # Errors
    /// It is no evidence of SEV-SNP.
    pub fn of(evidence: &[u8]) -> Result<Self, EvidenceError> {
        let evidence = SnpEvidence::unframe(evidence)?;
        let report = Report::parse(evidence.report)?;
        Ok(Self {
            leaf: evidence.leaf.is_empty(),
            vlek: report.signing_key == SigningKey::Vlek,
            intermediate: evidence.intermediate.is_empty(),
            chip_id: report.chip_id,
            reported_tcb: report.reported_tcb,
        })
    }
}

impl SnpPart {
    const fn new(kind: SnpPartKind) -> Self {
        Self {
            kind,
            generation: None,
            chip_id: None,
            tcb: None,
            from: None,
            until: None,
            revoked: None,
            problem: None,
        }
    }
}

impl SnpVerifier {
    /// What is in a bundle, in its order, certificates first, and what is wrong with it at `now` (Unix seconds).
    #[must_use]
    pub fn look(&self, collateral: &SnpCollateral, now: i64) -> Vec<SnpPart> {
        let certificates =
            collateral.certificates.iter().map(|der| self.look_at_certificate(der, collateral, now));
        let lists = collateral.revocation_lists.iter().map(|der| self.look_at_list(der, now));
        certificates.chain(lists).collect()
    }

    fn look_at_certificate(&self, der: &[u8], collateral: &SnpCollateral, now: i64) -> SnpPart {
        let certificate = match read(der, "key") {
            Ok(certificate) => certificate,
            Err(error) => {
                return SnpPart { problem: Some(error.to_string()), ..SnpPart::new(SnpPartKind::Unreadable) };
            }
        };
        let kind = kind(&certificate);
        let root = match kind {
            SnpPartKind::Vcek | SnpPartKind::Vlek => self.check_leaf(&certificate, collateral, now),
            _ => self.check_authority(&certificate, collateral, now),
        };
        let validity = certificate.validity();
        let tcb = |root: &&SnpRoot| certified_tcb(&certificate, root.generation).ok();
        SnpPart {
            generation: root.as_ref().ok().map(|root| root.generation),
            chip_id: chip(&certificate).map(<[u8]>::to_vec),
            tcb: root.as_ref().ok().and_then(tcb),
            from: Some(validity.not_before.timestamp()),
            until: Some(validity.not_after.timestamp()),
            problem: root.err().map(|error| error.to_string()),
            ..SnpPart::new(kind)
        }
    }

    fn look_at_list(&self, der: &[u8], now: i64) -> SnpPart {
        let part = SnpPart::new(SnpPartKind::RevocationList);
        let list = match read_list(der) {
            Ok(list) => list,
            Err(error) => return SnpPart { problem: Some(error.to_string()), ..part },
        };
        // A list of somebody else is for nothing, and passed over where evidence is judged.
        let mut checked = Err(refused("it is not of one of AMD's roots"));
        for root in &self.roots {
            let Ok(ark) = read(&root.certificate, ROOT) else { continue };
            if ark.subject().as_raw() == list.issuer().as_raw() {
                checked = check_list(&list, &ark, now).map(|()| root.generation);
            }
        }
        SnpPart {
            generation: checked.as_ref().ok().copied(),
            from: Some(list.last_update().timestamp()),
            until: list.next_update().map(|until| until.timestamp()),
            revoked: Some(list.iter_revoked_certificates().count()),
            problem: checked.err().map(|error| error.to_string()),
            ..part
        }
    }

    /// The root of a VCEK or VLEK that can be used at `now`.
    fn check_leaf(
        &self,
        leaf: &X509Certificate<'_>,
        collateral: &SnpCollateral,
        now: i64,
    ) -> Result<&SnpRoot, EvidenceError> {
        let missing = || refused(format!("no certificate of the {INTERMEDIATE} above it is known"));
        let intermediate = read(self.issuer(leaf, collateral).ok_or_else(missing)?, INTERMEDIATE)?;
        let root = self.check_authority(&intermediate, collateral, now)?;
        check_time(leaf, now, LEAF)?;
        certified_tcb(leaf, root.generation)?;
        Ok(root)
    }

    /// The root of an ASK or ASVK that can be used at `now`.
    fn check_authority(
        &self,
        authority: &X509Certificate<'_>,
        collateral: &SnpCollateral,
        now: i64,
    ) -> Result<&SnpRoot, EvidenceError> {
        let root = self.root_above(authority)?;
        let ark = read(&root.certificate, ROOT)?;
        check_time(authority, now, INTERMEDIATE)?;
        for list in &collateral.revocation_lists {
            check_revocation(list, &ark, authority, now)?;
        }
        Ok(root)
    }
}

fn kind(certificate: &X509Certificate<'_>) -> SnpPartKind {
    if certificate.subject().as_raw() == certificate.issuer().as_raw() {
        SnpPartKind::Root
    } else if certificate.is_ca() {
        SnpPartKind::Authority
    } else if is_vlek(certificate) {
        SnpPartKind::Vlek
    } else {
        SnpPartKind::Vcek
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::snp::{SnpChain, SnpDated, SnpLink, SnpSettings, TCB};

    const NOW: i64 = 1_750_000_000;

    /// ASK, VCEK, list.
    fn parts(settings: &SnpSettings) -> Vec<SnpPart> {
        let chain = SnpChain::new(settings);
        SnpVerifier::with_root(chain.root()).look(&whole(&chain), NOW)
    }

    fn whole(chain: &SnpChain) -> SnpCollateral {
        SnpCollateral {
            certificates: chain.certificates().to_vec(),
            revocation_lists: vec![chain.revocation_list()],
        }
    }

    fn problems(settings: &SnpSettings) -> Vec<String> {
        parts(settings).into_iter().map(|part| part.problem.unwrap_or_default()).collect()
    }

    #[test]
    fn a_good_bundle_is_shown_part_by_part() {
        let [boot_loader, tee, snp, microcode, _] = TCB;
        let parts = parts(&SnpSettings::default());
        let kinds: Vec<_> = parts.iter().map(|part| part.kind).collect();
        assert_eq!(kinds, [SnpPartKind::Authority, SnpPartKind::Vcek, SnpPartKind::RevocationList]);
        assert!(
            parts.iter().all(|part| part.problem.is_none() && part.generation == Some(Generation::Milan)),
            "{parts:?}"
        );
        let [_, vcek, list] = &parts[..] else { panic!("three") };
        assert_eq!(vcek.chip_id.as_deref(), Some(&[0xc1; 64][..]));
        assert_eq!(vcek.tcb, Some(SnpTcb { boot_loader, tee, snp, microcode, fmc: 0 }));
        assert!(vcek.from < Some(NOW) && vcek.until > Some(NOW));
        assert_eq!(list.revoked, Some(1));
        let vlek = SnpSettings { vlek: true, ..SnpSettings::default() };
        assert_eq!(self::parts(&vlek)[1].kind, SnpPartKind::Vlek);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_the_reason_and_what_stands_on_it_too() {
        let good = SnpSettings::default;
        let forged = |link| problems(&SnpSettings { forged: Some(link), ..good() });
        let expired = |of| problems(&SnpSettings { expired: Some(of), ..good() });
        let ask = forged(SnpLink::Ask);
        assert!(ask[0].contains("not certified by AMD") && ask[1] == ask[0] && ask[2].is_empty(), "{ask:?}");
        let leaf = forged(SnpLink::Leaf);
        assert!(leaf[0].is_empty() && leaf[1].contains("ASK or ASVK above it"), "{leaf:?}");
        let list = forged(SnpLink::RevocationList);
        assert!(list.iter().all(|problem| problem.contains("not signed by AMD")), "{list:?}");
        let leaf = expired(SnpDated::Leaf);
        assert!(leaf[0].is_empty() && leaf[1].contains("not valid any more"), "{leaf:?}");
        let list = expired(SnpDated::RevocationList);
        assert!(list[2].contains("not valid now"), "{list:?}");
        let revoked = problems(&SnpSettings { revoked: true, ..good() });
        assert!(revoked[0].contains("revoked") && revoked[2].is_empty(), "{revoked:?}");
    }

    #[test]
    fn strangers_parts_and_other_bytes_are_shown_as_such() {
        let chain = SnpChain::new(&SnpSettings::default());
        let amds = SnpVerifier::default().look(&whole(&chain), NOW);
        assert!(amds.iter().all(|part| part.problem.is_some() && part.generation.is_none()), "{amds:?}");
        let bytes =
            SnpCollateral { certificates: vec![b"x".to_vec()], revocation_lists: vec![b"x".to_vec()] };
        let unread = SnpVerifier::default().look(&bytes, NOW);
        assert_eq!(unread[0].kind, SnpPartKind::Unreadable);
        assert!(unread.iter().all(|part| part.problem.as_ref().unwrap().contains("cannot be read")));
    }

    #[test]
    fn a_real_chips_certificate_is_known_by_the_program_alone() {
        let vcek = include_bytes!("../../tests/fixtures/amd/vcek_milan.der").to_vec();
        let collateral = SnpCollateral { certificates: vec![vcek], revocation_lists: Vec::new() };
        let parts = SnpVerifier::default().look(&collateral, 1_704_067_200);
        assert_eq!((parts[0].kind, parts[0].generation), (SnpPartKind::Vcek, Some(Generation::Milan)));
        assert_eq!(parts[0].problem, None);
    }

    #[test]
    fn evidence_says_what_it_lacks() {
        let chain = SnpChain::new(&SnpSettings::default());
        let lacks = SnpLacks::of(&chain.evidence(&[0; 64])).unwrap();
        assert_eq!((lacks.leaf, lacks.vlek, lacks.intermediate), (false, false, false));
        let report = chain.report(|_| ());
        let bare = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
        let lacks = SnpLacks::of(&bare).unwrap();
        assert_eq!((lacks.leaf, lacks.intermediate, lacks.chip_id), (true, true, [0xc1; 64]));
        let short = EvidenceError::Framing(crate::framing::FramingError::Short(11));
        assert_eq!(SnpLacks::of(b"no evidence").unwrap_err(), short);
    }
}
