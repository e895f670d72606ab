//! What a TDX virtual machine's report says (Intel TDX module ABI, TDREPORT).

use carrara_types::claims::{Identity, TdxIdentity};
use dcap_qvl::quote::TDReport10;

use crate::verify::Measured;

pub(crate) fn measured(report: &TDReport10) -> Measured {
    // TUD, "TD under debug": whichever of its bits is set, somebody may look inside.
    let [under_debug, ..] = report.td_attributes;
    Measured {
        debug: under_debug != 0,
        report_data: report.report_data.to_vec(),
        identity: Identity::Tdx(TdxIdentity {
            mr_td: report.mr_td,
            rtmrs: [report.rt_mr0, report.rt_mr1, report.rt_mr2, report.rt_mr3],
            mr_seam: report.mr_seam,
            mr_config_id: report.mr_config_id,
            mr_owner: report.mr_owner,
            mr_owner_config: report.mr_owner_config,
            tee_tcb_svn: report.tee_tcb_svn,
            xfam: report.xfam,
            td_attributes: report.td_attributes,
        }),
    }
}
