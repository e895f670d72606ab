//! An attestation report, field by field (AMD 56860, SEV Secure Nested Paging Firmware ABI, ATTESTATION_REPORT).
//!
//! Reading proves nothing. Versions 2 to 5 have the same fields as far as they are read here.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use carrara_types::claims::SnpTcb;

use super::Generation;
use crate::EvidenceError;
use crate::framing::snp::REPORT_BYTES;

/// How much of it is signed.
const SIGNED_BYTES: usize = 0x2a0;

/// ECDSA on P-384 with SHA-384.
const ALGORITHM: u32 = 1;

/// Little-endian, with zeros up to this length.
const SCALAR_BYTES: usize = 72;

/// A guest's own levels. What the host asks for itself has another number.
const LAST_VMPL: u32 = 3;

/// Which key signed a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SigningKey {
    /// The chip's own.
    Vcek,
    /// One of the cloud provider's fleet.
    Vlek,
}

/// The fields that count.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) guest_svn: u32,
    pub(super) policy: u64,
    pub(super) family_id: [u8; 16],
    pub(super) image_id: [u8; 16],
    pub(super) vmpl: u32,
    pub(super) signing_key: SigningKey,
    pub(super) report_data: [u8; 64],
    pub(super) measurement: [u8; 48],
    pub(super) host_data: [u8; 32],
    pub(super) id_key_digest: [u8; 48],
    pub(super) author_key_digest: [u8; 48],
    pub(super) chip_id: [u8; 64],
    pub(super) reported_tcb: [u8; 8],
    pub(super) committed_tcb: [u8; 8],
    pub(super) launch_tcb: [u8; 8],
    signed: &'a [u8],
    signature: [u8; 96],
}

impl<'a> Report<'a> {
    pub(super) fn parse(bytes: &'a [u8; REPORT_BYTES]) -> Result<Self, EvidenceError> {
        let (signed, mut signature) = bytes.split_at_checked(SIGNED_BYTES).ok_or(SHORT)?;
        let rest = &mut &*signed;
        let version = u32::from_le_bytes(take(rest)?);
        if !(2..=5).contains(&version) {
            return Err(EvidenceError::Malformed("the SEV-SNP report has a version other than 2 to 5"));
        }
        let guest_svn = u32::from_le_bytes(take(rest)?);
        let policy = u64::from_le_bytes(take(rest)?);
        let (family_id, image_id) = (take(rest)?, take(rest)?);
        let vmpl = u32::from_le_bytes(take(rest)?);
        if vmpl > LAST_VMPL {
            return Err(refused("the report was asked for by the host, not by the guest"));
        }
        if u32::from_le_bytes(take(rest)?) != ALGORITHM {
            return Err(EvidenceError::Malformed("the SEV-SNP report is signed by an unknown algorithm"));
        }
        skip::<16>(rest)?; // CURRENT_TCB, PLATFORM_INFO
        let signing_key = signing_key(u32::from_le_bytes(take(rest)?))?;
        skip::<4>(rest)?;
        let (report_data, measurement, host_data) = (take(rest)?, take(rest)?, take(rest)?);
        let (id_key_digest, author_key_digest) = (take(rest)?, take(rest)?);
        skip::<64>(rest)?; // REPORT_ID, REPORT_ID_MA
        let reported_tcb = take(rest)?;
        skip::<24>(rest)?; // CPUID's family, model and stepping since version 3
        let (chip_id, committed_tcb) = (take(rest)?, take(rest)?);
        skip::<8>(rest)?; // Versions of the firmware
        let launch_tcb = take(rest)?;
        Ok(Self {
            guest_svn,
            policy,
            family_id,
            image_id,
            vmpl,
            signing_key,
            report_data,
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            chip_id,
            reported_tcb,
            committed_tcb,
            launch_tcb,
            signed,
            signature: self::signature(&mut signature)?,
        })
    }

    /// Whether the owner of this key (a point of P-384) signed it.
    pub(super) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key)
            .verify(self.signed, &self.signature)
            .is_ok()
    }

    /// DEBUG: the host may look inside.
    pub(super) fn debug(&self) -> bool {
        self.policy & (1 << 19) != 0
    }

    /// MIGRATE_MA: whoever the host appointed may take the guest's memory elsewhere.
    pub(super) fn can_be_migrated(&self) -> bool {
        self.policy & (1 << 18) != 0
    }
}

/// TCB_VERSION, whose form depends on the processor.
pub(super) fn tcb(bytes: [u8; 8], generation: Generation) -> SnpTcb {
    match generation {
        Generation::Milan | Generation::Genoa => {
            let [boot_loader, tee, _, _, _, _, snp, microcode] = bytes;
            SnpTcb { boot_loader, tee, snp, microcode, fmc: 0 }
        }
        Generation::Turin => {
            let [fmc, boot_loader, tee, snp, _, _, _, microcode] = bytes;
            SnpTcb { boot_loader, tee, snp, microcode, fmc }
        }
    }
}

const SHORT: EvidenceError = EvidenceError::Malformed("the SEV-SNP report is cut off");

fn refused(why: &str) -> EvidenceError {
    EvidenceError::Refused(why.to_owned())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EvidenceError> {
    let (field, behind) = rest.split_first_chunk().ok_or(SHORT)?;
    *rest = behind;
    Ok(*field)
}

fn skip<const N: usize>(rest: &mut &[u8]) -> Result<(), EvidenceError> {
    take::<N>(rest).map(drop)
}

/// SIGNING_KEY, bits 2 to 4 of the word.
fn signing_key(word: u32) -> Result<SigningKey, EvidenceError> {
    match (word >> 2) & 7 {
        0 => Ok(SigningKey::Vcek),
        1 => Ok(SigningKey::Vlek),
        7 => Err(refused("the platform does not sign its reports")),
        _ => Err(EvidenceError::Malformed("the SEV-SNP report is signed by an unknown kind of key")),
    }
}

/// R and S become big-endian numbers of 48 bytes; all else must be zero.
fn signature(rest: &mut &[u8]) -> Result<[u8; 96], EvidenceError> {
    let scalars: [[u8; SCALAR_BYTES]; 2] = [take(rest)?, take(rest)?];
    let beyond = scalars.iter().flat_map(|scalar| scalar.iter().skip(48)).chain(rest.iter());
    if beyond.copied().any(|byte| byte != 0) {
        return Err(EvidenceError::Malformed("something stands behind the SEV-SNP report's signature"));
    }
    let mut out = [0; 96];
    let numbers = scalars.iter().flat_map(|scalar| scalar.iter().take(48).rev());
    out.iter_mut().zip(numbers).for_each(|(out, byte)| *out = *byte);
    Ok(out)
}
