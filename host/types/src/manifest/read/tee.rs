//! The `TDX` and `SNP` objects of packages.

use super::{At, Read, Warnings};
use crate::encoding::decode_hex;
use crate::manifest::{SnpPackage, SnpTcbMinimum, TdxPackage};

pub(super) fn tdx(at: &At<'_>, warnings: &mut Warnings) -> Read<TdxPackage> {
    const FIELDS: &[&str] =
        &["MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3", "MRSEAM", "MRConfigID", "MROwner", "MROwnerConfig"];
    let mut tdx = TdxPackage::default();
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &mut tdx.rtmrs;
    at.fields(FIELDS, &[], warnings, |name, at, _| {
        let field = match name {
            "MRTD" => &mut tdx.mr_td,
            "RTMR0" => &mut *rtmr0,
            "RTMR1" => &mut *rtmr1,
            "RTMR2" => &mut *rtmr2,
            "RTMR3" => &mut *rtmr3,
            "MRSEAM" => &mut tdx.mr_seam,
            "MRConfigID" => &mut tdx.mr_config_id,
            "MROwner" => &mut tdx.mr_owner,
            _ => &mut tdx.mr_owner_config,
        };
        *field = measurement(at)?;
        Ok(())
    })?;
    Ok(tdx)
}

pub(super) fn snp(at: &At<'_>, warnings: &mut Warnings) -> Read<SnpPackage> {
    const FIELDS: &[&str] =
        &["Measurement", "HostData", "IDKeyDigest", "AuthorKeyDigest", "GuestSVN", "VMPL", "TCB"];
    let mut snp = SnpPackage::default();
    at.fields(FIELDS, &[], warnings, |name, at, warnings| {
        match name {
            "Measurement" => snp.measurement = measurement(at)?,
            "HostData" => snp.host_data = measurement(at)?,
            "IDKeyDigest" => snp.id_key_digest = measurement(at)?,
            "AuthorKeyDigest" => snp.author_key_digest = measurement(at)?,
            "GuestSVN" => {
                let range = "an integer from 0 to 4294967295, without fraction or exponent";
                snp.guest_svn = at.optional_integer(range)?;
            }
            "VMPL" => {
                let range = "an integer from 0 to 3";
                snp.vmpl = at.optional_integer(range)?;
                if snp.vmpl.is_some_and(|level| level > 3) {
                    return Err(at.mistake(format!("the VMPL is not {range}")));
                }
            }
            _ => snp.tcb = tcb(at, warnings)?,
        }
        Ok(())
    })?;
    Ok(snp)
}

fn tcb(at: &At<'_>, warnings: &mut Warnings) -> Read<SnpTcbMinimum> {
    let mut tcb = SnpTcbMinimum::default();
    at.fields(&["Bootloader", "TEE", "SNP", "Microcode", "FMC"], &[], warnings, |name, at, _| {
        let field = match name {
            "Bootloader" => &mut tcb.boot_loader,
            "TEE" => &mut tcb.tee,
            "SNP" => &mut tcb.snp,
            "Microcode" => &mut tcb.microcode,
            _ => &mut tcb.fmc,
        };
        *field = at.optional_integer("an integer from 0 to 255, without fraction or exponent")?;
        Ok(())
    })?;
    Ok(tcb)
}

/// Hex of exactly so many bytes; `None` for null and for nothing.
fn measurement<const N: usize>(at: &At<'_>) -> Read<Option<[u8; N]>> {
    let Some(text) = at.optional_text()?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let bytes = decode_hex(text).map_err(|error| at.mistake(error.to_string()))?;
    match <[u8; N]>::try_from(bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(bytes) => {
            let (has, needs) = (2 * bytes.len(), 2 * N);
            Err(at.mistake(format!("expected {needs} hex digits ({N} bytes), found {has}")))
        }
    }
}
