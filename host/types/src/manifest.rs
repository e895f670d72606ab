//! The manifest: who may run, what they get, who may change it.
//!
//! Three types, one after the other (architecture, "Acceptable and safe"): [`ParsedManifest`] was read by the rules
//! M-1..M-21; [`SafeManifest`] passed the host's own list; [`AcceptedManifest`] was accepted by the validators too and
//! is the only one that use cases take.

mod fields;
pub mod file;
pub mod findings;
pub mod json;
pub mod names;
mod normal;
pub mod parsed;
mod policies;
mod position;
mod read;
pub mod safe;
pub mod secret;
pub mod tee;
mod text;

use std::collections::BTreeMap;

pub use file::{File, FileEncoding};
pub use findings::{merge, order_findings};
pub use parsed::{ManifestError, ParsedManifest, Position};
pub use safe::{AcceptedManifest, Known, Refusal, SafeManifest, host_findings};
pub use secret::{CertificateTemplate, SecretDefinition, SecretKind};
pub use tee::{Difference, SnpPackage, SnpTcbMinimum, TdxPackage};

/// Allowed enclaves (manifest.md 2.1), each by what its kind of TEE measures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Must equal the evidence's debug flag (M-84).
    pub debug: bool,
    /// MRENCLAVE, hex; empty = not compared (M-85).
    pub unique_id: String,
    /// MRSIGNER, hex; empty = not compared (M-85).
    pub signer_id: String,
    /// ISVPRODID; 0 is a set value.
    pub product_id: Option<u64>,
    /// Lowest ISVSVN; 0 is a set value.
    pub security_version: Option<u64>,
    /// M-81.
    pub accepted_tcb_statuses: Vec<String>,
    /// M-82.
    pub accepted_advisories: Vec<String>,
    /// The identity as a TDX virtual machine. Boxed: rare, and large.
    pub tdx: Option<Box<TdxPackage>>,
    /// The identity as an SEV-SNP guest. Boxed likewise.
    pub snp: Option<Box<SnpPackage>>,
}

impl Package {
    /// Whether anything is said of it as an SGX enclave.
    #[must_use]
    pub fn has_sgx(&self) -> bool {
        !self.unique_id.is_empty()
            || !self.signer_id.is_empty()
            || self.product_id.is_some()
            || self.security_version.is_some()
    }
}

/// Allowed platforms (manifest.md 2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Infrastructure {
    /// CPUSVN.
    pub cpu_svn: Vec<u8>,
    /// Quoting enclave.
    pub qe_svn: Option<u16>,
    /// Provisioning certification enclave.
    pub pce_svn: Option<u16>,
    /// SHA-256 of the root's DER (deviations, X-4).
    pub root_ca: Vec<u8>,
}

/// A service (manifest.md 2.3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marble {
    /// Which package it runs.
    pub package: String,
    /// 0 = no limit.
    pub max_activations: u64,
    /// What it is given.
    pub parameters: Parameters,
    /// TLS tags.
    pub tls: Vec<String>,
    /// Leaves the marble type out of key derivation (S-22).
    pub disable_secret_binding: bool,
}

/// What a Marble is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// By path.
    pub files: BTreeMap<String, File>,
    /// By name.
    pub env: BTreeMap<String, File>,
    /// Never templated; element 0 is argv[0].
    pub argv: Vec<String>,
}

/// A user (manifest.md 2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// PEM.
    pub certificate: String,
    /// Role names.
    pub roles: Vec<String>,
}

/// A role (manifest.md 2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// `Packages`, `Secrets` or `Manifest`, case-sensitive.
    pub resource_type: String,
    /// What it is about.
    pub resource_names: Vec<String>,
    /// Compared ignoring case.
    pub actions: Vec<String>,
}

/// Transparent TLS (manifest.md 2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsTag {
    /// Connections made.
    pub outgoing: Vec<TlsEntry>,
    /// Connections accepted.
    pub incoming: Vec<TlsEntry>,
}

/// One connection of a [`TlsTag`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsEntry {
    /// A string, such as `8080`.
    pub port: String,
    /// Host.
    pub addr: String,
    /// A secret's name.
    pub cert: String,
    /// Only together with `cert`.
    pub disable_client_auth: bool,
}

/// Coordinator options (manifest.md 2.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Read by [`crate::seal_mode::SealMode::parse`]; `""` = ProductKey.
    pub seal_mode: String,
    /// Optional endpoints.
    pub feature_gates: Vec<String>,
    /// 0 = all users holding UpdateManifest.
    pub update_threshold: u64,
    /// 0 = all recovery keys.
    pub recovery_threshold: u64,
    /// Acts on a full update only.
    pub rotate_root_secret: bool,
}
