//! GET openapi.json: the description of both versions of the API, as it is in the source. No envelope.

use bytes::Bytes;

use super::{Call, Response, json_response};
use crate::problem::Failure;

const DOCUMENT: &str = include_str!("../../openapi.json");

pub(super) async fn get(_call: &mut Call) -> Result<Response, Failure> {
    Ok(json_response(Bytes::from_static(DOCUMENT.as_bytes())))
}

#[cfg(test)]
pub(super) mod tests;
