//! Where evidence comes from. [`carrara_attest::issue::Places`] asks the TEE that is there.

use std::error::Error;

/// Bytes that a quote binds: SHA-256 of the Marble's TLS certificate (G-32).
pub type ReportData = [u8; 32];

/// Obtains a quote of the TEE that this process runs in.
pub trait QuoteIssuer: Send + Sync {
    /// A quote, framed as G-30 or as SEV-SNP's, whose report data begins with `report_data`; the other bytes are zero.
    ///
    /// # Errors
    /// There is no TEE or it gives no quote. The Marble then goes on with an empty quote, which only a coordinator
    /// in simulation accepts (G-33).
    fn issue(&self, report_data: &ReportData) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;
}

/// A plain Linux process: there is no TEE to ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTee;

impl QuoteIssuer for NoTee {
    fn issue(&self, _report_data: &ReportData) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Err("this process does not run in a TEE".into())
    }
}
