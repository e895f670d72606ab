//! POST monotonic-counter (rest-api.md): for Marbles, by the certificate of their activation.

use carrara_core::outcome::Feature;
use serde::Serialize;

use super::{Call, Response, success};
use crate::json::body::{BodyError, Fields};
use crate::limits::SMALL_JSON_BYTES;
use crate::problem::Failure;

/// The value before.
#[derive(Serialize)]
struct Counter {
    value: u64,
}

pub(super) async fn advance(call: &mut Call) -> Result<Response, Failure> {
    call.api.coordinator.require_feature(Feature::MonotonicCounter).map_err(Failure::Feature)?;
    call.api.coordinator.authenticate_marble(call.peer.der()).map_err(Failure::Counter)?;
    let body = call.body(SMALL_JSON_BYTES).await?;
    let (name, value) = wanted(&body).map_err(Failure::Body)?;
    let before = call.api.coordinator.advance_counter(call.peer.der(), &name, value).await;
    success(Counter { value: before.map_err(Failure::Counter)? })
}

/// What is missing is Go's zero value.
fn wanted(body: &[u8]) -> Result<(String, u64), BodyError> {
    let fields = Fields::read(body)?;
    Ok((fields.text("name")?.unwrap_or_default(), fields.number("value")?.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // rest-api.md, monotonic-counter; R-24
    #[test]
    fn a_counter_has_a_name_and_an_unsigned_value() {
        let body = br#"{"VALUE":18446744073709551615,"Name":"n","more":[]}"#;
        assert_eq!(wanted(body), Ok(("n".to_owned(), u64::MAX)));
        assert_eq!(wanted(b"{}"), Ok((String::new(), 0)));
        assert_eq!(wanted(b""), Err(BodyError::Empty));
        for body in [r#"{"value":-1}"#, r#"{"value":1.5}"#, r#"{"value":"1"}"#, r#"{"name":1}"#, "[]"] {
            assert!(wanted(body.as_bytes()).is_err(), "{body}");
        }
    }
}
