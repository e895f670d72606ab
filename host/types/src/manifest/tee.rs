//! What a package may say of TEEs other than SGX: `TDX` and `SNP` objects beside or instead of the SGX fields.
//!
//! The TEE's kind is matched first, so each object stands for itself. A field that is not set is not compared, but for
//! those which say otherwise; which ones must be set is the host's list's.

/// A TDX virtual machine (`TDX`). Measurements are 48 bytes, hex in the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TdxPackage {
    /// MRTD: the firmware.
    pub mr_td: Option<[u8; 48]>,
    /// RTMR0..RTMR3: with usual firmware its configuration, the boot loader and kernel, command line and initrd, and
    /// what the operating system adds.
    pub rtmrs: [Option<[u8; 48]>; 4],
    /// MRSEAM: the TDX module; the TCB status judges it, too.
    pub mr_seam: Option<[u8; 48]>,
    /// MRCONFIGID.
    pub mr_config_id: Option<[u8; 48]>,
    /// MROWNER.
    pub mr_owner: Option<[u8; 48]>,
    /// MROWNERCONFIG.
    pub mr_owner_config: Option<[u8; 48]>,
}

/// An SEV-SNP guest (`SNP`). Values are hex in the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnpPackage {
    /// MEASUREMENT.
    pub measurement: Option<[u8; 48]>,
    /// HOST_DATA.
    pub host_data: Option<[u8; 32]>,
    /// ID_KEY_DIGEST.
    pub id_key_digest: Option<[u8; 48]>,
    /// AUTHOR_KEY_DIGEST.
    pub author_key_digest: Option<[u8; 48]>,
    /// Lowest GUEST_SVN; 0 is a set value.
    pub guest_svn: Option<u32>,
    /// The lowest privilege that may have asked for the report (0..3, 0 is the highest). Not set means 0: less privileged
    /// software of the same guest would have the same measurement.
    pub vmpl: Option<u8>,
    /// Platforms below it are `OutOfDate`.
    pub tcb: SnpTcbMinimum,
}

/// The lowest security versions of an SEV-SNP platform that count as `UpToDate`; not set = not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnpTcbMinimum {
    /// `Bootloader`
    pub boot_loader: Option<u8>,
    /// `TEE`
    pub tee: Option<u8>,
    /// `SNP`
    pub snp: Option<u8>,
    /// `Microcode`
    pub microcode: Option<u8>,
    /// `FMC`
    pub fmc: Option<u8>,
}
