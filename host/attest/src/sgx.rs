//! What an SGX enclave's report says (Intel SDM volume 3D, REPORT).

use carrara_types::claims::{Identity, SgxIdentity};
use dcap_qvl::quote::EnclaveReport;

use crate::verify::Measured;

/// ATTRIBUTES.DEBUG.
const DEBUG: u8 = 0x02;

pub(crate) fn measured(report: &EnclaveReport) -> Measured {
    let [flags, ..] = report.attributes;
    Measured {
        debug: flags & DEBUG != 0,
        report_data: report.report_data.to_vec(),
        identity: Identity::Sgx(SgxIdentity {
            unique_id: report.mr_enclave,
            signer_id: report.mr_signer,
            product_id: report.isv_prod_id.into(),
            security_version: report.isv_svn.into(),
        }),
    }
}
