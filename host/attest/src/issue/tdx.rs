//! A VM that is an Intel TDX trust domain, by configfs-tsm.
//!
//! TDX derives no sealing keys: what is sealed by a process can be opened by nobody else.

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::REPORT_DATA_BYTES;

use super::configfs::{self, Entries};
use super::{IssueError, Source, check_intel};
use crate::framing;

/// For messages.
pub(super) const NAME: &str = "Intel TDX";
/// The driver's name.
pub(super) const PROVIDER: &str = "tdx_guest";

/// A trust domain.
#[derive(Debug)]
pub(super) struct Tdx<E>(E);

impl<E: Entries> Tdx<E> {
    pub(super) fn new(entries: E) -> Self {
        Self(entries)
    }
}

impl<E: Entries> Source for Tdx<E> {
    fn name(&self) -> &'static str {
        "Intel TDX (configfs-tsm)"
    }

    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        let report = configfs::report(&self.0, report_data)?;
        check_intel(&report.outblob, report_data)?;
        Ok(framing::frame(&report.outblob))
    }

    fn sealing_key(&self, _: KeyPolicy, _: &[u8]) -> Result<SecretBytes, IssueError> {
        Err(IssueError::NoSealingKey(NAME))
    }

    fn has_sealing_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::configfs::tests::Kernel;
    use crate::issue::tests::tdx_quote;

    // G-30
    #[test]
    fn a_quote_of_both_versions_gets_the_header() {
        for version in [4, 5] {
            let kernel = Kernel::new("tdx_guest", move |data| (tdx_quote(version, data), None));
            let framed = Tdx::new(kernel).issue(&[7; 64]).unwrap();
            assert_eq!(framing::unframe(&framed), Ok(&tdx_quote(version, &[7; 64])[..]));
        }
    }

    #[test]
    fn a_quote_over_other_report_data_is_not_given_out() {
        let kernel = Kernel::new("tdx_guest", |_| (tdx_quote(4, &[0; 64]), None));
        let error = Tdx::new(kernel).issue(&[7; 64]).unwrap_err();
        assert!(matches!(error, IssueError::OtherReportData), "{error}");
    }

    #[test]
    fn there_is_no_sealing_key() {
        let tdx = Tdx::new(Kernel::new("tdx_guest", |data| (tdx_quote(4, data), None)));
        assert!(!tdx.has_sealing_key());
        let text = tdx.sealing_key(KeyPolicy::Product, &[]).unwrap_err().to_string();
        assert!(text.contains("Intel TDX"), "{text}");
    }
}
