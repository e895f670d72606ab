//! GET quote (R-36..R-38).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::Serialize;

use super::{Call, Response, Version, query, success};
use crate::json;
use crate::problem::Failure;

#[derive(Serialize)]
struct QuoteV1 {
    #[serde(rename = "Cert")]
    cert: String,
    #[serde(rename = "Quote", serialize_with = "json::base64")]
    quote: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct QuoteV2 {
    cert: String,
    #[serde(serialize_with = "json::base64")]
    quote: Option<Vec<u8>>,
}

pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    // v1 ignores the nonce.
    let nonce = if call.version == Version::V2 { nonce(&call.query)? } else { None };
    let answer = call.api.coordinator.quote(nonce.as_deref()).await.map_err(Failure::Quote)?;
    let (cert, quote) = (answer.certificates, answer.quote);
    match call.version {
        Version::V1 => success(QuoteV1 { cert, quote }),
        Version::V2 => success(QuoteV2 { cert, quote }),
    }
}

/// URL-safe base64 with padding; empty is absent. The first one counts.
fn nonce(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    let Some(nonce) = query::values(text, "nonce").into_iter().next().filter(|nonce| !nonce.is_empty())
    else {
        return Ok(None);
    };
    let bad = |error| Failure::Query(format!("invalid query: bad nonce format: {error}"));
    URL_SAFE.decode(nonce).map(Some).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn a_nonce_is_url_safe_base64_with_padding() {
        assert_eq!(nonce("nonce=-_8%3D").unwrap(), Some(vec![0xfb, 0xff]));
        assert_eq!(nonce("nonce=-_8=").unwrap(), Some(vec![0xfb, 0xff]));
    }

    //
    #[test]
    fn an_empty_nonce_is_none() {
        assert_eq!(nonce("nonce=&x=1").unwrap(), None);
        assert_eq!(nonce("").unwrap(), None);
    }

    //
    #[test]
    fn a_nonce_without_padding_or_of_the_other_alphabet_is_refused() {
        for query in ["nonce=-_8", "nonce=%2B%2F8%3D", "nonce=a"] {
            let Err(Failure::Query(text)) = nonce(query) else { panic!("{query} was accepted") };
            assert!(text.starts_with("invalid query: bad nonce format: "), "{text}");
        }
    }
}
