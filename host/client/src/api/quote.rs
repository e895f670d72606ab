//! The coordinator's own quote, and its signature over others' quotes.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{base64, bytes, offered};
use crate::answer::{data, take_field};
use crate::error::ClientError;
use crate::transport::Client;

/// The coordinator's certificates and quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// PEM intermediate followed by PEM root.
    pub certificates: String,
    /// `None` in simulation.
    pub quote: Option<Vec<u8>>,
}

/// A quote that the coordinator verified and signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedQuote {
    /// Such as `UpToDate` or `OutOfDate`.
    pub tcb_status: String,
    /// DER ECDSA by the coordinator's root key over SHA-256(base64(quote) followed by the TCB status).
    #[serde(rename = "verificationSignature", deserialize_with = "bytes")]
    pub signature: Vec<u8>,
}

impl Client {
    /// Certificates and quote. With a nonce the quote is fresh and bound to it; version 1 has no nonces, so
    /// there is no fall-back then.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn quote(&self, nonce: Option<&[u8]>) -> Result<Quote, ClientError> {
        const WHAT: &str = "the quote";
        let answer = match nonce.filter(|nonce| !nonce.is_empty()) {
            Some(nonce) => {
                let nonce = BASE64_URL_SAFE.encode(nonce).replace('=', "%3D");
                let path = format!("/api/v2/quote?nonce={nonce}");
                offered(self.send(Method::GET, &path, Vec::new()).await?, "quotes with a nonce")?
            }
            None => self.get(WHAT, "/api/v2/quote", "/quote").await?.0,
        };
        let mut fields: Map<String, Value> = data(&answer, WHAT)?;
        let malformed = |source| ClientError::Malformed { what: WHAT, source };
        let certificates = take_field(&mut fields, "cert").unwrap_or_default();
        let quote = take_field(&mut fields, "quote").unwrap_or_default();
        Ok(Quote {
            certificates: serde_json::from_value(certificates).map_err(malformed)?,
            quote: base64(quote).map_err(malformed)?.filter(|quote| !quote.is_empty()),
        })
    }

    /// Has an SGX quote verified and signed.
    ///
    /// # Errors
    /// [`ClientError::Api`] with 403 unless the manifest switches the feature `SignQuoteEndpoint` on, with 400 for a
    /// quote that does not verify.
    pub async fn sign_quote(&self, quote: &[u8]) -> Result<SignedQuote, ClientError> {
        let body = json!({ "sgxQuote": BASE64_STANDARD.encode(quote) });
        self.post_new("signing quotes", "/api/v2/sign-quote", &body).await
    }
}
