//! What evidence proves once it has been verified. Nothing here verifies: `carrara-attest` does.

/// The kind of a trusted execution environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tee {
    /// Intel SGX.
    Sgx,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
}

impl Tee {
    /// The name that policies see: `sgx`, `tdx` or `sev-snp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
            Self::SevSnp => "sev-snp",
        }
    }
}

/// The measured identity of an SGX enclave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SgxIdentity {
    /// MRENCLAVE.
    pub unique_id: [u8; 32],
    /// MRSIGNER.
    pub signer_id: [u8; 32],
    /// ISVPRODID; the report's 16-byte field read as LE u64 of its first 8 bytes (M-86).
    pub product_id: u64,
    /// ISVSVN.
    pub security_version: u64,
}

/// What a TEE measured of the code that runs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An SGX enclave.
    Sgx(SgxIdentity),
}

/// What the quote proves of the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// CPUSVN, 16 bytes.
    pub cpu_svn: Vec<u8>,
    /// Security version of the quoting enclave.
    pub qe_svn: u16,
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// SHA-256 of the DER of the root of the quote's certificate chain.
    pub root_ca_sha256: Vec<u8>,
}

/// Claims of verified evidence. Only a verifier makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The kind of TEE; matched before anything else.
    pub tee: Tee,
    /// Whether the TEE runs in debug mode.
    pub debug: bool,
    /// One of M-81's names, such as `UpToDate`.
    pub tcb_status: String,
    /// Advisory ids; `None` where they could not be read (M-82).
    pub advisories: Option<Vec<String>>,
    /// 64 bytes; the first 32 bind the quote to a certificate (M-83).
    pub report_data: Vec<u8>,
    /// What was measured.
    pub identity: Identity,
    /// The platform below.
    pub platform: Platform,
}
