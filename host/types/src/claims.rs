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

/// The measured identity of a TDX virtual machine (Intel TDX module specification, TDREPORT and TDINFO).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdxIdentity {
    /// MRTD: the virtual machine's initial contents, which is its firmware.
    pub mr_td: [u8; 48],
    /// RTMR0..RTMR3: what firmware and operating system measured since.
    pub rtmrs: [[u8; 48]; 4],
    /// MRSEAM: the TDX module.
    pub mr_seam: [u8; 48],
    /// MRCONFIGID: chosen by whoever made the virtual machine.
    pub mr_config_id: [u8; 48],
    /// MROWNER: likewise.
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG: likewise.
    pub mr_owner_config: [u8; 48],
    /// TEE_TCB_SVN.
    pub tee_tcb_svn: [u8; 16],
    /// XFAM.
    pub xfam: [u8; 8],
    /// TDATTRIBUTES.
    pub td_attributes: [u8; 8],
}

/// The measured identity of an SEV-SNP guest (AMD SEV-SNP firmware ABI, ATTESTATION_REPORT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnpIdentity {
    /// MEASUREMENT: the guest's initial contents.
    pub measurement: [u8; 48],
    /// HOST_DATA: chosen by whoever started the guest.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST: who signed the guest's identity block; zero = nobody.
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST: who certified that key; zero = nobody.
    pub author_key_digest: [u8; 48],
    /// FAMILY_ID of the identity block.
    pub family_id: [u8; 16],
    /// IMAGE_ID of the identity block.
    pub image_id: [u8; 16],
    /// GUEST_SVN of the identity block.
    pub guest_svn: u32,
    /// POLICY.
    pub policy: u64,
    /// The privilege level that asked for the report; 0 is the highest.
    pub vmpl: u32,
    /// The lowest of REPORTED_TCB, COMMITTED_TCB and LAUNCH_TCB, part by part.
    pub tcb: SnpTcb,
}

/// Security versions of the parts of an SEV-SNP platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnpTcb {
    /// The secure processor's boot loader.
    pub boot_loader: u8,
    /// The secure processor's operating system.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The cores' microcode.
    pub microcode: u8,
    /// The firmware of the memory controller; 0 before Turin, which has none.
    pub fmc: u8,
}

/// What a TEE measured of the code that runs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // One per quote; a box would be in the way of whoever reads it.
pub enum Identity {
    /// An SGX enclave.
    Sgx(SgxIdentity),
    /// A TDX virtual machine.
    Tdx(TdxIdentity),
    /// An SEV-SNP guest.
    Snp(SnpIdentity),
}

impl Identity {
    /// The kind of TEE.
    #[must_use]
    pub fn tee(&self) -> Tee {
        match self {
            Self::Sgx(_) => Tee::Sgx,
            Self::Tdx(_) => Tee::Tdx,
            Self::Snp(_) => Tee::SevSnp,
        }
    }
}

/// What the quote proves of the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// CPUSVN, 16 bytes; empty where there is none (SEV-SNP).
    pub cpu_svn: Vec<u8>,
    /// Security version of the quoting enclave; 0 where there is none (SEV-SNP).
    pub qe_svn: u16,
    /// Security version of the provisioning certification enclave; 0 where there is none (SEV-SNP).
    pub pce_svn: u16,
    /// SHA-256 of the DER of the root of the quote's certificate chain.
    pub root_ca_sha256: Vec<u8>,
    /// Which collateral judged the platform; `None` where there is none (SEV-SNP).
    pub tcb_evaluation: Option<TcbEvaluation>,
}

/// Which evaluation of Intel's judged a platform. Whoever once saw a higher number for the same kind of platform was given
/// collateral that hides newer weaknesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcbEvaluation {
    /// The kind of platform.
    pub fmspc: [u8; 6],
    /// `tcbEvaluationDataNumber`, the lower one of TCB info and QE identity.
    pub number: u32,
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
