//! POST sign-quote (rest-api.md): a quote's TCB status, signed by the root key.

use carrara_core::outcome::Feature;
use serde::Serialize;

use super::findings::Base64;
use super::{Call, Response, success};
use crate::json::body::Fields;
use crate::limits::QUOTE_JSON_BYTES;
use crate::problem::Failure;

#[derive(Serialize)]
struct Signed {
    #[serde(rename = "tcbStatus")]
    tcb_status: String,
    #[serde(rename = "verificationSignature")]
    signature: Base64,
}

pub(super) async fn sign(call: &mut Call) -> Result<Response, Failure> {
    call.api.coordinator.require_feature(Feature::SignQuoteEndpoint).map_err(Failure::Feature)?;
    let body = call.body(QUOTE_JSON_BYTES).await?;
    let quote = Fields::read(&body).and_then(|fields| fields.bytes("sgxQuote"));
    let quote = quote.map_err(Failure::SignQuoteBody)?.unwrap_or_default();
    let signed = call.api.coordinator.sign_quote(&quote).await.map_err(Failure::SignQuote)?;
    success(Signed { tcb_status: signed.tcb_status, signature: Base64::of(&signed.signature) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_specified_names() {
        let signed = Signed { tcb_status: "OutOfDate".to_owned(), signature: Base64::of(&[1]) };
        let expected = b"{\"tcbStatus\":\"OutOfDate\",\"verificationSignature\":\"AQ==\"}\n";
        assert_eq!(crate::json::to_vec(&signed, 0).unwrap(), expected);
    }
}
