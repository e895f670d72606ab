//! What goes wrong, as clients see it: the one place that maps an error to a status and a message (rest-api.md
//! section 2 and the endpoints' rules).

use std::error::Error;

use carrara_core::error::{
    ManifestReadError, QuoteError, ReadLogError, ReadSecretsError, SetManifestError, Unauthorized,
    public_message,
};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;

use crate::edge::Mishap;
use crate::json::{self, BodyError};
use crate::rest::{Response, Version};

/// Why a request gets no data.
#[derive(Debug)]
pub(crate) enum Failure {
    /// unknown path or method.
    NotAllowed,
    /// v2 has no word for "none yet".
    NoManifest,
    ///
    SetManifest(SetManifestError),
    ///
    Manifest(ManifestReadError),
    ///
    Quote(QuoteError),
    /// before any other answer.
    Unauthorized(Unauthorized),
    ///
    Secrets(ReadSecretsError),
    ///
    Log(ReadLogError),
    /// the whole text.
    Query(String),
    ///
    Body(BodyError),
    /// Longer than this many bytes.
    BodyTooLarge(usize),
    /// The body did not arrive in time.
    BodySlow,
    /// The connection broke, or the framing was wrong.
    BodyBroken,
    /// Too many bytes of bodies in memory.
    BodiesFull,
    /// No answer of a use case at all.
    Mishap(Mishap),
    /// An answer that could not be written as JSON.
    Encoding,
}

/// JSend's two ways of saying no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ///
    Error,
    ///
    Fail,
}

/// A status and an envelope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: Kind,
    message: String,
    /// For the log only.
    pub(crate) cause: Option<String>,
}

/// The envelope of every answer. `data` is always there, an empty message never.
#[derive(Serialize)]
pub(crate) struct Envelope<'a, T> {
    pub(crate) status: &'static str,
    pub(crate) data: T,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) message: &'a str,
}

/// Maps a failure to what a client of this version gets.
pub(crate) fn problem(version: Version, failure: &Failure) -> Problem {
    let internal = StatusCode::INTERNAL_SERVER_ERROR;
    let (fail_in_v2, refused) = match version {
        Version::V1 => (Kind::Error, StatusCode::BAD_REQUEST),
        Version::V2 => (Kind::Fail, internal),
    };
    let (status, kind, message) = match failure {
        Failure::NotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Kind::Error, String::new()),
        Failure::NoManifest => (internal, Kind::Error, "requested value not set".to_owned()),
        Failure::SetManifest(error) => (refused, Kind::Error, public_message(error)),
        Failure::Manifest(error) => (internal, Kind::Error, public_message(error)),
        Failure::Quote(error) => (internal, Kind::Error, public_message(error)),
        Failure::Unauthorized(error) => (StatusCode::UNAUTHORIZED, fail_in_v2, public_message(error)),
        Failure::Secrets(error @ ReadSecretsError::Unauthorized) => {
            (StatusCode::UNAUTHORIZED, fail_in_v2, public_message(error))
        }
        Failure::Secrets(error) => (refused, Kind::Error, public_message(error)),
        Failure::Log(error) => (internal, Kind::Error, public_message(error)),
        Failure::Query(text) => (StatusCode::BAD_REQUEST, fail_in_v2, text.clone()),
        Failure::Body(error) => (StatusCode::BAD_REQUEST, fail_in_v2, error.to_string()),
        Failure::BodyTooLarge(limit) => {
            let message = format!("the request's body is longer than the limit of {limit} bytes");
            (StatusCode::PAYLOAD_TOO_LARGE, Kind::Error, message)
        }
        Failure::BodySlow => {
            (StatusCode::REQUEST_TIMEOUT, Kind::Error, "the request's body did not arrive in time".to_owned())
        }
        Failure::BodyBroken => {
            (StatusCode::BAD_REQUEST, Kind::Error, "the request's body could not be read".to_owned())
        }
        Failure::BodiesFull => {
            (StatusCode::SERVICE_UNAVAILABLE, Kind::Error, Mishap::Overload.message().to_owned())
        }
        Failure::Mishap(Mishap::Panic) => (internal, Kind::Error, Mishap::Panic.message().to_owned()),
        Failure::Mishap(mishap) => {
            (StatusCode::SERVICE_UNAVAILABLE, Kind::Error, mishap.message().to_owned())
        }
        Failure::Encoding => (internal, Kind::Error, Mishap::Panic.message().to_owned()),
    };
    Problem { status, kind, message, cause: cause(failure) }
}

/// What the message keeps from the caller.
fn cause(failure: &Failure) -> Option<String> {
    match failure {
        Failure::SetManifest(error) => error.internal(),
        Failure::Manifest(ManifestReadError::Store(error))
        | Failure::Secrets(ReadSecretsError::Store(error))
        | Failure::Log(ReadLogError::Store(error)) => Some(public_message(error as &dyn Error)),
        Failure::Secrets(ReadSecretsError::Policy(failure)) => Some(failure.internal()),
        Failure::Quote(QuoteError::Issue(error)) => Some(error.to_string()),
        Failure::Encoding => Some("writing the answer as JSON".to_owned()),
        _ => None,
    }
}

impl Problem {
    /// R-11..R-13.
    pub(crate) fn into_response(self) -> Response {
        let (status, content_type) = match self.kind {
            Kind::Error => ("error", "text/plain; charset=utf-8"),
            Kind::Fail => ("fail", "application/json"),
        };
        let envelope = Envelope { status, data: (), message: &self.message };
        let body = json::to_vec(&envelope, self.message.len() + 64).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.kind == Kind::Error {
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
