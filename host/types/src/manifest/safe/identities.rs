//! Identities of packages: one without would match any enclave.
//!
//! Errors where a Marble uses the package; warnings where the package says so itself by Debug (M-35) or where no Marble
//! uses it (M-36, X-8).

use super::Found;
use crate::decision::Severity;
use crate::manifest::{Package, SnpPackage, SnpTcbMinimum, TdxPackage};

/// The hint of a package that has no identity at all.
const KINDS: &str = "give UniqueID, or SignerID, ProductID and SecurityVersion";

pub(super) fn judge(name: &str, package: &Package, used: bool, found: &mut Found) {
    let severity = if used && !package.debug { Severity::Error } else { Severity::Warning };
    if package.has_sgx() || (package.tdx.is_none() && package.snp.is_none()) {
        judge_sgx(name, package, severity, found);
    }
    if let Some(tdx) = &package.tdx {
        judge_tdx(name, tdx, severity, found);
    }
    if let Some(snp) = &package.snp {
        judge_snp(name, snp, severity, found);
    }
}

/// M-33, M-34.
fn judge_sgx(name: &str, package: &Package, severity: Severity, found: &mut Found) {
    let missing = if package.signer_id.is_empty() {
        Some("SignerID")
    } else if package.product_id.is_none() {
        Some("ProductID")
    } else {
        package.security_version.is_none().then_some("SecurityVersion")
    };
    let any =
        !package.signer_id.is_empty() || package.product_id.is_some() || package.security_version.is_some();
    let path = ["Packages", name];
    match missing {
        _ if !package.unique_id.is_empty() && any => {
            let message = format!(
                "manifest specifies both UniqueID *and* SignerID/ProductID/SecurityVersion in package {name}"
            );
            found.add(severity, "M-33", &path, message, "keep either UniqueID or the three others");
        }
        Some(field) if package.unique_id.is_empty() => {
            let message = format!("manifest misses value for {field} in package {name}");
            found.add(severity, "M-34", &path, message, KINDS);
        }
        _ => {}
    }
}

/// MRTD covers the firmware only; what it starts is in the RTMRs, unless a firmware carries it all.
fn judge_tdx(name: &str, tdx: &TdxPackage, severity: Severity, found: &mut Found) {
    let path = ["Packages", name, "TDX"];
    if tdx.mr_td.is_none() {
        let message = format!("manifest misses value for TDX.MRTD in package {name}");
        found.add(
            severity,
            "M-34",
            &path,
            message,
            "give MRTD, and RTMR1 and RTMR2 for what the firmware boots",
        );
    } else if let [_, None, _, _] | [_, _, None, _] = tdx.rtmrs {
        let message = format!("package {name} does not compare both TDX.RTMR1 and TDX.RTMR2");
        let hint = "MRTD covers the firmware alone: give both, unless the whole system is part of it";
        found.add(Severity::Warning, "M-34", &path, message, hint);
    }
}

fn judge_snp(name: &str, snp: &SnpPackage, severity: Severity, found: &mut Found) {
    let path = ["Packages", name, "SNP"];
    if snp.measurement.is_none() {
        let message = format!("manifest misses value for SNP.Measurement in package {name}");
        found.add(severity, "M-34", &path, message, "give Measurement");
    }
    if snp.tcb == SnpTcbMinimum::default() {
        let message = format!("package {name} accepts platforms with any firmware: it has no SNP.TCB");
        let hint =
            "nobody publishes a TCB status for SEV-SNP: give the lowest Bootloader, TEE, SNP and Microcode";
        found.add(Severity::Warning, "M-81", &path, message, hint);
    }
}
