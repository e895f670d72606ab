//! What can go wrong with a request.

use std::time::Duration;

use crate::trust::TrustError;

/// The coordinator answered with an error (C-11).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {status}: {}", code.as_u16(), if message.is_empty() { "the coordinator gave no reason" } else { message })]
pub struct ApiError {
    /// HTTP status.
    pub code: http::StatusCode,
    /// `error` or `fail`.
    pub status: String,
    /// The coordinator's text; may be empty.
    pub message: String,
    /// Further data of a `fail`, as JSON.
    pub data: Option<String>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client's own TLS settings.
    #[error("setting up TLS")]
    Configuration(#[source] rustls::Error),
    /// Nobody listens, or not in time.
    #[error("connecting to the coordinator at {address}; check the address and that the coordinator runs")]
    Connect {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server is not the one that is trusted, or speaks no TLS.
    #[error(
        "establishing TLS with the coordinator at {address}; check that this is its client port, not the Marbles'"
    )]
    Tls {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server is not the one that is trusted.
    #[error("the server at {address} is not the trusted coordinator")]
    Untrusted {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: TrustError,
    },
    /// The connection broke.
    #[error("exchanging HTTP with the coordinator at {address}")]
    Http {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// No answer in time.
    #[error("the coordinator at {address} did not answer within {} s; see its log", .limit.as_secs())]
    Late {
        /// HOST:PORT.
        address: String,
        /// For how long we waited.
        limit: Duration,
    },
    /// More than [`crate::Limits::answer_bytes`].
    #[error("the coordinator's answer is larger than {limit} bytes; is this a coordinator?")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// What came could not be kept.
    #[error("keeping what the coordinator sends; check that there is room")]
    Keep(#[source] std::io::Error),
    /// A request that cannot be written.
    #[error("forming the request")]
    Request(#[source] http::Error),
    /// 401.
    #[error(
        "the coordinator does not accept this user: {0}; give the certificate and key of a user of the manifest"
    )]
    Unauthorized(String),
    /// Another error of the coordinator.
    #[error("the coordinator refused")]
    Api(#[source] ApiError),
    /// 405 for both versions of the API.
    #[error("the server does not offer {0}; is this a coordinator's client port?")]
    NotOffered(&'static str),
    /// Something that is no answer of a coordinator.
    #[error("the answer to {what} is not what a coordinator sends; is this a coordinator's client port?")]
    Malformed {
        /// What was asked for.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest's bytes do not have the fingerprint that came with them.
    #[error(
        "the coordinator's manifest does not match its fingerprint {fingerprint}; do not trust this coordinator"
    )]
    Fingerprint {
        /// As answered.
        fingerprint: String,
    },
    /// A component's bytes are not those of its digest.
    #[error(
        "the coordinator has a component of the digest {found} where {expected} was asked for or sent; do not trust this \
         coordinator"
    )]
    Digest {
        /// What was asked for or sent.
        expected: String,
        /// What came, or what the coordinator says that came.
        found: String,
    },
    /// No manifest is set.
    #[error(
        "no manifest is in force: the coordinator waits for its first one, or it is in recovery and waits for the recovery \
         secrets; its status says which"
    )]
    NoManifest,
    /// No update waits for acknowledgements.
    #[error("no update waits for acknowledgements")]
    NoUpdate,
}
