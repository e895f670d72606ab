//! What a package may say of TEEs other than SGX: `TDX` and `SNP` objects beside or instead of the SGX fields.
//!
//! The TEE's kind is matched first, so each object stands for itself. A field that is not set is not compared, but for
//! those which say otherwise; which ones must be set is the host's list's. Compared here, since clients have such objects in
//! their attestation policies, too.

use crate::claims::{SnpIdentity, SnpTcb, TdxIdentity};

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

/// A field that is not what a package wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, such as `TDX.MRTD`.
    pub field: &'static str,
    /// What was measured.
    pub found: String,
    /// What is wanted, such as `at least 3`.
    pub wanted: String,
}

impl TdxPackage {
    /// The first field that differs.
    #[must_use]
    pub fn difference(&self, identity: &TdxIdentity) -> Option<Difference> {
        let [rtmr0, rtmr1, rtmr2, rtmr3] = &self.rtmrs;
        let [has0, has1, has2, has3] = &identity.rtmrs;
        let fields = [
            ("TDX.MRTD", &self.mr_td, &identity.mr_td),
            ("TDX.RTMR0", rtmr0, has0),
            ("TDX.RTMR1", rtmr1, has1),
            ("TDX.RTMR2", rtmr2, has2),
            ("TDX.RTMR3", rtmr3, has3),
            ("TDX.MRSEAM", &self.mr_seam, &identity.mr_seam),
            ("TDX.MRConfigID", &self.mr_config_id, &identity.mr_config_id),
            ("TDX.MROwner", &self.mr_owner, &identity.mr_owner),
            ("TDX.MROwnerConfig", &self.mr_owner_config, &identity.mr_owner_config),
        ];
        fields.into_iter().find_map(|(field, wanted, found)| bytes(field, wanted.as_ref(), found))
    }
}

impl SnpPackage {
    /// The first field that differs. Versions of the platform are [`SnpTcbMinimum::is_met_by`].
    #[must_use]
    pub fn difference(&self, identity: &SnpIdentity) -> Option<Difference> {
        let measured = bytes("SNP.Measurement", self.measurement.as_ref(), &identity.measurement)
            .or_else(|| bytes("SNP.HostData", self.host_data.as_ref(), &identity.host_data))
            .or_else(|| bytes("SNP.IDKeyDigest", self.id_key_digest.as_ref(), &identity.id_key_digest))
            .or_else(|| {
                bytes("SNP.AuthorKeyDigest", self.author_key_digest.as_ref(), &identity.author_key_digest)
            });
        let (least, most) = (self.guest_svn.unwrap_or_default(), self.vmpl.unwrap_or_default());
        let number = |field, found: u32, wanted| Difference { field, found: found.to_string(), wanted };
        measured
            .or_else(|| {
                let older = identity.guest_svn < least;
                older.then(|| number("SNP.GuestSVN", identity.guest_svn, format!("at least {least}")))
            })
            // A less privileged level of the same guest has the same measurement.
            .or_else(|| {
                let below = identity.vmpl > u32::from(most);
                below.then(|| number("SNP.VMPL", identity.vmpl, format!("at most {most}")))
            })
    }
}

impl SnpTcbMinimum {
    /// Whether no part of a platform is older.
    #[must_use]
    pub fn is_met_by(&self, has: &SnpTcb) -> bool {
        let parts = [
            (self.boot_loader, has.boot_loader),
            (self.tee, has.tee),
            (self.snp, has.snp),
            (self.microcode, has.microcode),
            (self.fmc, has.fmc),
        ];
        parts.into_iter().all(|(least, has)| least.is_none_or(|least| has >= least))
    }
}

/// What is not set is not compared.
fn bytes(
    field: &'static str,
    wanted: Option<&impl AsRef<[u8]>>,
    found: &impl AsRef<[u8]>,
) -> Option<Difference> {
    let (wanted, found) = (wanted?.as_ref(), found.as_ref());
    (wanted != found).then(|| Difference { field, found: hex::encode(found), wanted: hex::encode(wanted) })
}
