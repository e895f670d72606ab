//! Our own framing of AMD SEV-SNP evidence: a report and the certificates of the key that signed it.
//!
//! Nobody has fixed one. Ours begins like Open Enclave's (G-30), so that one look tells the TEE: version 1 (u32), type
//! `0x5E5` (u32), length of the rest (u64), all little-endian. Then the report (1,184 bytes, AMD's document 56860), and
//! three certificates, each as its length (u32) and its DER: VCEK or VLEK, then ASK (or ASVK), then ARK. A length of 0 says
//! that the host gave none; the verifier then needs it from elsewhere. Nothing stands behind the third.

use super::{FramingError, VERSION, header, split_header};

/// The type in the header.
pub const SNP: u32 = 0x5E5;

/// Length of a report of all versions so far.
pub const REPORT_BYTES: usize = 1184;

/// AMD's certificates have less than 2 KiB. A bound, so that evidence stays small.
pub const MAX_CERTIFICATE_BYTES: usize = 8 << 10;

/// A report with its certificates. Empty certificates are missing ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpEvidence<'a> {
    /// As the firmware signed it.
    pub report: &'a [u8; REPORT_BYTES],
    /// VCEK or VLEK, DER.
    pub leaf: &'a [u8],
    /// ASK, or ASVK above a VLEK, DER.
    pub intermediate: &'a [u8],
    /// ARK, DER.
    pub root: &'a [u8],
}

impl<'a> SnpEvidence<'a> {
    /// With the header before it.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut rest = self.report.to_vec();
        for certificate in [self.leaf, self.intermediate, self.root] {
            rest.extend_from_slice(&u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_le_bytes());
            rest.extend_from_slice(certificate);
        }
        [header(SNP, rest.len()).as_slice(), &rest].concat()
    }

    /// What is behind the header.
    ///
    /// # Errors
    /// Not this framing, cut off, continued, or a certificate of more than [`MAX_CERTIFICATE_BYTES`].
    pub fn unframe(framed: &'a [u8]) -> Result<Self, FramingError> {
        let (version, kind, rest) = split_header(framed)?;
        if (version, kind) != (VERSION, SNP) {
            return Err(FramingError::Header { version, kind });
        }
        let cut = FramingError::Length { stated: REPORT_BYTES as u64, actual: rest.len() };
        let (report, mut rest) = rest.split_first_chunk().ok_or(cut)?;
        let leaf = certificate(&mut rest)?;
        let intermediate = certificate(&mut rest)?;
        let root = certificate(&mut rest)?;
        if !rest.is_empty() {
            return Err(FramingError::Length { stated: 0, actual: rest.len() });
        }
        Ok(Self { report, leaf, intermediate, root })
    }
}

/// Whether bytes say that they are of this framing.
#[must_use]
pub fn is_snp(framed: &[u8]) -> bool {
    split_header(framed).is_ok_and(|(version, kind, _)| (version, kind) == (VERSION, SNP))
}

fn certificate<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], FramingError> {
    let (length, behind) = rest.split_first_chunk().ok_or(FramingError::Short(rest.len()))?;
    let length = u32::from_le_bytes(*length);
    let wrong = FramingError::Length { stated: u64::from(length), actual: behind.len() };
    let bytes = usize::try_from(length).ok().filter(|length| *length <= MAX_CERTIFICATE_BYTES);
    let (certificate, behind) = bytes.and_then(|length| behind.split_at_checked(length)).ok_or(wrong)?;
    *rest = behind;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: [u8; REPORT_BYTES] = [0xab; REPORT_BYTES];

    fn evidence() -> SnpEvidence<'static> {
        SnpEvidence { report: &REPORT, leaf: b"leaf", intermediate: b"", root: b"root!" }
    }

    // G-30: its form, with a type of our own
    #[test]
    fn evidence_is_header_report_and_three_certificates() {
        let framed = evidence().frame();
        let length = u8::try_from((REPORT_BYTES + 12 + 9) & 0xff).unwrap();
        assert_eq!(framed[..16], [1, 0, 0, 0, 0xe5, 5, 0, 0, length, 4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(framed[16..16 + REPORT_BYTES], REPORT);
        assert_eq!(&framed[16 + REPORT_BYTES..], b"\x04\0\0\0leaf\0\0\0\0\x05\0\0\0root!");
        assert!(is_snp(&framed));
        assert_eq!(SnpEvidence::unframe(&framed), Ok(evidence()));
    }

    #[test]
    fn evidence_that_is_cut_off_anywhere_or_continued_is_refused() {
        let framed = evidence().frame();
        for end in 0..framed.len() {
            let error = match end {
                ..16 => FramingError::Short(end),
                _ => FramingError::Length { stated: framed.len() as u64 - 16, actual: end - 16 },
            };
            assert_eq!(SnpEvidence::unframe(&framed[..end]), Err(error), "{end}");
            // Also with a header that says the truth about the rest.
            let mut honest = framed[..end].to_vec();
            if let Some(length) = honest.get_mut(8..16) {
                length.copy_from_slice(&u64::try_from(end.saturating_sub(16)).unwrap().to_le_bytes());
                assert!(SnpEvidence::unframe(&honest).is_err(), "{end}");
            }
        }
        let longer = SnpEvidence { root: b"root!\0", ..evidence() }.frame();
        let mut continued = longer.clone();
        continued[16 + REPORT_BYTES + 12] = 5;
        assert_eq!(SnpEvidence::unframe(&continued), Err(FramingError::Length { stated: 0, actual: 1 }));
    }

    #[test]
    fn another_type_and_a_huge_certificate_are_refused() {
        let sgx = super::super::frame(&[0; 4000]);
        assert!(!is_snp(&sgx));
        assert_eq!(SnpEvidence::unframe(&sgx), Err(FramingError::Header { version: 1, kind: 2 }));
        let most = vec![0; MAX_CERTIFICATE_BYTES];
        assert!(SnpEvidence::unframe(&SnpEvidence { leaf: &most, ..evidence() }.frame()).is_ok());
        let more = vec![0; MAX_CERTIFICATE_BYTES + 1];
        let framed = SnpEvidence { leaf: &more, ..evidence() }.frame();
        let (stated, actual) = (more.len() as u64, more.len() + 4 + 4 + 5);
        assert_eq!(SnpEvidence::unframe(&framed), Err(FramingError::Length { stated, actual }));
    }
}
