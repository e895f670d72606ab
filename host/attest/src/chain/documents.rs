//! TCB info and QE identity (Intel's provisioning certification service, version 4).

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Dated, Level, Settings};
use crate::collateral::Tee;

/// A day on which every level was judged.
const TCB_DATE: &str = "2024-03-13T00:00:00Z";

pub(super) fn tcb_info(settings: &Settings) -> String {
    let tdx = settings.tee == Tee::Tdx;
    let levels: Vec<Value> = settings.levels.iter().map(|level| tcb_level(level, tdx)).collect();
    let (from, until) = settings.dates(Dated::TcbInfo);
    let mut info = json!({
        "id": if tdx { "TDX" } else { "SGX" },
        "version": 3,
        "issueDate": shown(from),
        "nextUpdate": shown(until),
        "fmspc": hex::encode_upper(settings.tcb_fmspc.unwrap_or(settings.fmspc)),
        "pceId": hex::encode_upper(settings.tcb_pce_id),
        "tcbType": 0,
        "tcbEvaluationDataNumber": settings.evaluation,
        "tcbLevels": levels,
    });
    if tdx {
        let module = json!({
            "mrsigner": "00".repeat(48), "attributes": "00".repeat(8), "attributesMask": "FF".repeat(8),
        });
        let level = |svn: u8, status: &str| json!({ "tcb": { "isvsvn": svn }, "tcbDate": TCB_DATE, "tcbStatus": status });
        let mut identity = module.clone();
        merge(
            &mut identity,
            json!({ "id": "TDX_04", "tcbLevels": [level(4, "UpToDate"), level(2, "OutOfDate")] }),
        );
        merge(&mut info, json!({ "tdxModule": module, "tdxModuleIdentities": [identity] }));
    }
    info.to_string()
}

fn tcb_level(level: &Level, tdx: bool) -> Value {
    let components = vec![json!({ "svn": level.svn }); 16];
    let mut tcb = json!({ "sgxtcbcomponents": components, "pcesvn": level.pce_svn });
    if tdx {
        merge(&mut tcb, json!({ "tdxtcbcomponents": components }));
    }
    json!({ "tcb": tcb, "tcbDate": TCB_DATE, "tcbStatus": level.status, "advisoryIDs": level.advisories })
}

pub(super) fn qe_identity(settings: &Settings) -> String {
    let tdx = settings.tee == Tee::Tdx;
    let (from, until) = settings.dates(Dated::QeIdentity);
    let level = |svn: u16, status: &str| json!({ "tcb": { "isvsvn": svn }, "tcbDate": TCB_DATE, "tcbStatus": status });
    json!({
        "id": if tdx { "TD_QE" } else { "QE" },
        "version": 2,
        "issueDate": shown(from),
        "nextUpdate": shown(until),
        "tcbEvaluationDataNumber": settings.evaluation,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11".to_owned() + &"00".repeat(15),
        "attributesMask": "FB".to_owned() + &"FF".repeat(7) + &"00".repeat(8),
        "mrsigner": "51".repeat(32),
        "isvprodid": if tdx { 2 } else { 1 },
        "tcbLevels": [level(8, "UpToDate"), level(6, "OutOfDate")],
    })
    .to_string()
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

fn shown(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(&Rfc3339).unwrap()
}
