//! GET status.

use serde::Serialize;

use super::{Call, Response, Version, success};
use crate::problem::Failure;

#[derive(Serialize)]
struct StatusV1 {
    #[serde(rename = "StatusCode")]
    code: u8,
    #[serde(rename = "StatusMessage")]
    message: &'static str,
}

#[derive(Serialize)]
struct StatusV2 {
    code: u8,
    message: &'static str,
}

pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    let status = call.api.coordinator.status();
    let (code, message) = (status.code, status.message);
    match call.version {
        Version::V1 => success(StatusV1 { code, message }),
        Version::V2 => success(StatusV2 { code, message }),
    }
}
