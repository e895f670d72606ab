//! A VM that is an AMD SEV-SNP guest: reports by configfs-tsm, sealing keys by /dev/sev-guest.
//!
//! Both sealing keys are bound to the guest's policy, ids and launch measurement: SEV-SNP has no identity of a signer that a
//! host could not choose itself. So after an update of the image a state starts in recovery, whatever the seal mode.

use std::fmt;

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::{
    DerivedKeyRequest, DeviceError, GUEST_KEY_BYTES, GuestFields, REPORT_DATA_BYTES, SevGuest,
};
use zeroize::Zeroizing;

use super::certificates::Certificates;
use super::configfs::{self, Entries};
use super::{IssueError, Source, key};
use crate::framing::snp::SnpEvidence;

/// For messages.
pub(super) const NAME: &str = "AMD SEV-SNP";
/// The driver's name.
pub(super) const PROVIDER: &str = "sev_guest";

/// Where a report's report data is (AMD 56860, ATTESTATION_REPORT).
const REPORT_DATA: std::ops::Range<usize> = 0x50..0x90;

/// What the guest's device does.
pub(super) trait Guest: Send + Sync + fmt::Debug {
    fn derived_key(
        &self,
        request: &DerivedKeyRequest,
    ) -> Result<Zeroizing<[u8; GUEST_KEY_BYTES]>, DeviceError>;
}

/// /dev/sev-guest, opened when it is needed.
#[derive(Debug)]
pub(super) struct Device;

impl Guest for Device {
    fn derived_key(
        &self,
        request: &DerivedKeyRequest,
    ) -> Result<Zeroizing<[u8; GUEST_KEY_BYTES]>, DeviceError> {
        SevGuest::open()?.derived_key(request)
    }
}

/// A guest.
#[derive(Debug)]
pub(super) struct Snp<E, G> {
    entries: E,
    guest: G,
}

impl<E: Entries, G: Guest> Snp<E, G> {
    pub(super) fn new(entries: E, guest: G) -> Self {
        Self { entries, guest }
    }
}

impl<E: Entries, G: Guest> Source for Snp<E, G> {
    fn name(&self) -> &'static str {
        "AMD SEV-SNP (configfs-tsm)"
    }

    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        let report = configfs::report(&self.entries, report_data)?;
        let length = IssueError::Length {
            path: self.entries.root().join("outblob"),
            bytes: report.outblob.len(),
            expected: "the 1184 of a report",
        };
        let signed: &[u8; crate::framing::snp::REPORT_BYTES] =
            report.outblob.as_slice().try_into().map_err(|_| length)?;
        if signed.get(REPORT_DATA) != Some(report_data) {
            return Err(IssueError::OtherReportData);
        }
        let Certificates { leaf, intermediate, root } = Certificates::of_table(&report.auxblob);
        let evidence = SnpEvidence { report: signed, leaf: &leaf, intermediate: &intermediate, root: &root };
        Ok(evidence.frame())
    }

    fn sealing_key(&self, policy: KeyPolicy, _: &[u8]) -> Result<SecretBytes, IssueError> {
        let vmpl = configfs::privilege_floor(&self.entries)?.unwrap_or(0);
        let request = DerivedKeyRequest { fields: GuestFields::IDENTITY, vmpl };
        key::derive("sev-snp", policy, self.guest.derived_key(&request)?.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::certificates::tests::table;
    use crate::issue::configfs::tests::Kernel;

    #[derive(Debug)]
    struct Fake;

    impl Guest for Fake {
        fn derived_key(
            &self,
            request: &DerivedKeyRequest,
        ) -> Result<Zeroizing<[u8; GUEST_KEY_BYTES]>, DeviceError> {
            // Policy, image id, family id and measurement.
            assert_eq!(request.bytes()[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0]);
            let level = request.bytes()[16];
            Ok(Zeroizing::new([level; GUEST_KEY_BYTES]))
        }
    }

    fn report(data: &[u8; 64]) -> Vec<u8> {
        let mut report = vec![0xee; 1184];
        report[REPORT_DATA].copy_from_slice(data);
        report
    }

    fn snp(
        answer: impl Fn(&[u8; 64]) -> (Vec<u8>, Option<Vec<u8>>) + Send + Sync + 'static,
    ) -> Snp<Kernel, Fake> {
        Snp::new(Kernel::new("sev_guest", answer), Fake)
    }

    #[test]
    fn a_report_comes_with_the_certificates_of_the_host_s_table() {
        let framed =
            snp(|data| (report(data), Some(table(&[("VCEK", b"vcek"), ("ASK", b"ask"), ("ARK", b"ark")]))))
                .issue(&[7; 64])
                .unwrap();
        let evidence = SnpEvidence::unframe(&framed).unwrap();
        assert_eq!(evidence.report[..], report(&[7; 64]));
        assert_eq!(
            (evidence.leaf, evidence.intermediate, evidence.root),
            (&b"vcek"[..], &b"ask"[..], &b"ark"[..])
        );
    }

    #[test]
    fn a_host_without_certificates_gives_a_report_alone() {
        for aux in [None, Some(Vec::new()), Some(vec![0; 24])] {
            let framed = snp(move |data| (report(data), aux.clone())).issue(&[7; 64]).unwrap();
            let evidence = SnpEvidence::unframe(&framed).unwrap();
            assert!(evidence.leaf.is_empty() && evidence.intermediate.is_empty() && evidence.root.is_empty());
        }
    }

    #[test]
    fn a_report_of_another_length_or_over_other_data_is_not_given_out() {
        let error = snp(|data| (report(data)[1..].to_vec(), None)).issue(&[7; 64]).unwrap_err();
        assert!(matches!(error, IssueError::Length { bytes: 1183, .. }), "{error}");
        let error = snp(|_| (report(&[0; 64]), None)).issue(&[7; 64]).unwrap_err();
        assert!(matches!(error, IssueError::OtherReportData), "{error}");
    }

    // L-35
    #[test]
    fn the_sealing_keys_are_the_guest_s_at_its_privilege_level() {
        let key = |floor: Option<u32>, policy| {
            let snp = Snp::new(Kernel::new("sev_guest", |data| (report(data), None)).with_floor(floor), Fake);
            snp.sealing_key(policy, &[]).unwrap().expose().to_vec()
        };
        let (product, unique) = (KeyPolicy::Product, KeyPolicy::Unique);
        assert_eq!(key(None, product), key::derive("sev-snp", product, &[0; 32]).unwrap().expose());
        assert_eq!(key(Some(2), product), key::derive("sev-snp", product, &[2; 32]).unwrap().expose());
        assert_ne!(key(None, product), key(None, unique));
    }
}
