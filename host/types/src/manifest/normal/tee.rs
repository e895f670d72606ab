//! Writes the `TDX` and `SNP` objects of packages: measurements in lower-case hex.

use super::writer::Writer;
use crate::manifest::{SnpPackage, SnpTcbMinimum, TdxPackage};

pub(super) fn tdx(w: &mut Writer, tdx: &TdxPackage) {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &tdx.rtmrs;
    w.object(|w| {
        measurement(w, "MRTD", tdx.mr_td.as_ref());
        measurement(w, "RTMR0", rtmr0.as_ref());
        measurement(w, "RTMR1", rtmr1.as_ref());
        measurement(w, "RTMR2", rtmr2.as_ref());
        measurement(w, "RTMR3", rtmr3.as_ref());
        measurement(w, "MRSEAM", tdx.mr_seam.as_ref());
        measurement(w, "MRConfigID", tdx.mr_config_id.as_ref());
        measurement(w, "MROwner", tdx.mr_owner.as_ref());
        measurement(w, "MROwnerConfig", tdx.mr_owner_config.as_ref());
    });
}

pub(super) fn snp(w: &mut Writer, snp: &SnpPackage) {
    w.object(|w| {
        measurement(w, "Measurement", snp.measurement.as_ref());
        measurement(w, "HostData", snp.host_data.as_ref());
        measurement(w, "IDKeyDigest", snp.id_key_digest.as_ref());
        measurement(w, "AuthorKeyDigest", snp.author_key_digest.as_ref());
        w.optional("GuestSVN", snp.guest_svn);
        w.optional("VMPL", snp.vmpl);
        if snp.tcb != SnpTcbMinimum::default() {
            w.field("TCB", |w| tcb(w, &snp.tcb));
        }
    });
}

fn tcb(w: &mut Writer, tcb: &SnpTcbMinimum) {
    w.object(|w| {
        w.optional("Bootloader", tcb.boot_loader);
        w.optional("TEE", tcb.tee);
        w.optional("SNP", tcb.snp);
        w.optional("Microcode", tcb.microcode);
        w.optional("FMC", tcb.fmc);
    });
}

fn measurement<const N: usize>(w: &mut Writer, name: &str, value: Option<&[u8; N]>) {
    if let Some(bytes) = value {
        w.text(name, &hex::encode(bytes));
    }
}
