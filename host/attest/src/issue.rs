//! The TEE that this process runs in: it issues quotes, and derives sealing keys where it has any.
//!
//! Which one is decided by what is there ([`Platform::detect`]), never by what a quote says. All calls wait for the kernel or
//! the host's quoting service: callers keep them off async workers. Every quote is looked at before it is given out: it must
//! be over the report data that was asked for.

mod certificates;
mod configfs;
#[cfg(any(test, feature = "testing"))]
mod generated;
mod gramine;
mod key;
mod occlum;
mod snp;
mod tdx;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::{DeviceError, REPORT_DATA_BYTES};

use crate::OpenError;

/// Where the interfaces of TEEs are, and what the system calls itself. Tests choose other places.
#[derive(Debug, Clone)]
pub struct Places {
    /// `uname -s`; Occlum's is `Occlum`.
    pub system: String,
    /// Occlum's device.
    pub sgx: PathBuf,
    /// Gramine's pseudo files.
    pub attestation: PathBuf,
    /// Linux's configfs-tsm, for TDX and SEV-SNP.
    pub reports: PathBuf,
    /// Devices that show that a VM is a TEE whose quotes cannot be had, with the TEE's name.
    pub guests: [(PathBuf, &'static str); 2],
}

impl Default for Places {
    fn default() -> Self {
        Self {
            system: rustix::system::uname().sysname().to_string_lossy().into_owned(),
            sgx: PathBuf::from(occlum_dcap::SGX_DEVICE),
            attestation: PathBuf::from("/dev/attestation"),
            reports: PathBuf::from("/sys/kernel/config/tsm/report"),
            guests: [
                (PathBuf::from("/dev/tdx_guest"), tdx::NAME),
                (PathBuf::from(occlum_dcap::SEV_GUEST_DEVICE), snp::NAME),
            ],
        }
    }
}

/// Why a TEE gave no quote or key.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A file of the interface.
    #[error("{doing} {}", .path.display())]
    File {
        /// Reading, writing, making.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Nothing, or more than there can be.
    #[error("{} has {bytes} bytes, not {expected}", .path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// How many.
        bytes: usize,
        /// In words.
        expected: &'static str,
    },
    /// Somebody else asked through the same entry meanwhile.
    #[error("another process interfered with the request for a report; try again")]
    Interference,
    /// The quote is over something else.
    #[error("the TEE gave a quote over other report data than it was asked for")]
    OtherReportData,
    /// The TEE has no sealing keys.
    #[error("{0} has no sealing key")]
    NoSealingKey(&'static str),
    /// The sealing key needs other words than these.
    #[error("the key file does not say for which versions of CPU and enclave its sealing key was derived")]
    Binding,
    /// HKDF does not fail for these lengths.
    #[error("deriving the sealing key")]
    Derivation,
}

impl IssueError {
    /// With its causes, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}

/// What a TEE does. One implementation per file.
trait Source: Send + Sync + fmt::Debug {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Evidence over the report data, framed.
    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError>;

    /// What a key of now is bound to besides its policy.
    fn key_binding(&self) -> Result<Vec<u8>, IssueError> {
        Ok(Vec::new())
    }

    /// 32 bytes, bound to the policy's identity and to `binding`.
    fn sealing_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, IssueError>;

    /// Whether there are sealing keys at all.
    fn has_sealing_key(&self) -> bool {
        true
    }
}

/// The TEE that this process runs in.
#[derive(Debug)]
pub struct Platform(Box<dyn Source>);

impl Platform {
    /// Looks for a TEE: Occlum, Gramine, then TDX and SEV-SNP.
    ///
    /// # Errors
    /// There is none, or one without quotes; the text names the remedy.
    pub fn detect(places: &Places) -> Result<Self, OpenError> {
        Self::detect_with(places, configfs::Folder::new(&places.reports))
    }

    /// The same with another configfs-tsm: in a folder that is none, the kernel fills no entries.
    fn detect_with(places: &Places, folder: impl configfs::Entries + 'static) -> Result<Self, OpenError> {
        if places.system == occlum::SYSTEM {
            return Ok(Self(Box::new(occlum::Occlum::open(&places.sgx)?)));
        }
        if let Some(gramine) = gramine::Gramine::find(&places.attestation)? {
            return Ok(Self(Box::new(gramine)));
        }
        if let Some(provider) = configfs::provider(&folder)? {
            return match provider.as_str() {
                tdx::PROVIDER => Ok(Self(Box::new(tdx::Tdx::new(folder)))),
                snp::PROVIDER => Ok(Self(Box::new(snp::Snp::new(folder, snp::Device)))),
                _ => Err(OpenError::Provider(provider)),
            };
        }
        match places.guests.iter().find(|(path, _)| path.exists()) {
            Some((_, name)) => Err(OpenError::NoReports(name)),
            None => Err(OpenError::NoTee),
        }
    }

    /// For the log: which TEE, and by which interface.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// A quote over the report data: in Open Enclave's framing (G-30), or in [`crate::framing::snp`]'s.
    ///
    /// # Errors
    /// The TEE gives none.
    pub fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        self.0.issue(report_data)
    }

    /// Whether sealed data can be opened by another process.
    #[must_use]
    pub fn has_sealing_key(&self) -> bool {
        self.0.has_sealing_key()
    }

    /// What the sealing key of now is bound to besides its policy; not secret, kept beside what the key seals. Empty where
    /// the policy says all.
    ///
    /// # Errors
    /// The TEE does not say.
    pub fn key_binding(&self) -> Result<Vec<u8>, IssueError> {
        self.0.key_binding()
    }

    /// 32 bytes that only this code, or code of its signer, on this machine can get (L-35).
    ///
    /// # Errors
    /// The TEE gives none, or none for this binding: its versions are lower.
    pub fn sealing_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, IssueError> {
        self.0.sealing_key(policy, binding)
    }
}

/// Whether a quote of Intel's is over the report data, which stands last in its report.
fn check_intel(quote: &[u8], report_data: &[u8; REPORT_DATA_BYTES]) -> Result<(), IssueError> {
    /// Intel SGX ECDSA QuoteLibReference, A.4; TDX DCAP Quoting Library API, A.3: header of 48 bytes, and its version.
    const OFFSETS: [(u8, usize); 3] = [(3, 48 + 320), (4, 48 + 520), (5, 48 + 6 + 520)];
    let version = quote.first_chunk().map(|version| u16::from_le_bytes(*version));
    let offset = OFFSETS.into_iter().find(|(known, _)| version == Some(u16::from(*known)));
    let found = offset.and_then(|(_, offset)| quote.get(offset..offset + REPORT_DATA_BYTES));
    if found == Some(report_data) { Ok(()) } else { Err(IssueError::OtherReportData) }
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, IssueError> {
    let failed = |source| IssueError::File { doing: "reading", path: path.to_owned(), source };
    let bytes = read_at_most(path, limit).map_err(failed)?;
    if bytes.len() > limit {
        let path = path.to_owned();
        return Err(IssueError::Length { path, bytes: bytes.len(), expected: "so many" });
    }
    Ok(bytes)
}

/// One byte more than `limit` where there is more.
fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes to a file that is there, in one piece: the kernel takes each write as a whole.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests;
