//! What goes wrong, as clients see it: the one place that maps an error to a status and a message (rest-api.md
//! section 2 and the endpoints' rules).

use std::collections::BTreeMap;
use std::error::Error;

use carrara_core::error::{
    BackupError, CounterError, FeatureError, LogHeadError, ManifestReadError, PendingUpdateError, QuoteError,
    ReadAuditError, ReadDecisionsError, ReadLogError, ReadSecretsError, RecoverError, RecoveryPublicKeyError,
    SetManifestError, SignQuoteError, Unauthorized, UpdateManifestError, UploadPolicyError,
    WriteSecretsError, public_message,
};
use carrara_core::ports::{FailureKind, PolicyFailure};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;

use crate::edge::Mishap;
use crate::json::{self, body::BodyError};
use crate::limits::RETRY_AFTER_SECONDS;
use crate::metrics::Refused;
use crate::rest::{Response, Version};

///
const RECOVER_V1_IS_GONE: &str = "Recovering the Coordinator using the /recover API endpoint has been disabled. Use the \
                                  /api/v2/recover endpoint instead.";

/// Why a request gets no data.
#[derive(Debug)]
pub(crate) enum Failure {
    /// unknown path or method.
    NotAllowed,
    /// v2 has no word for "none yet".
    NoManifest,
    /// M-74: before any other answer.
    Feature(FeatureError),
    /// before any other answer but [`Failure::Feature`].
    Unauthorized(Unauthorized),
    ///
    SetManifest(SetManifestError),
    ///
    Manifest(ManifestReadError),
    ///
    Quote(QuoteError),
    ///
    Secrets(ReadSecretsError),
    ///
    WriteSecrets(WriteSecretsError),
    ///
    Log(ReadLogError),
    ///
    Update(UpdateManifestError),
    /// reading the pending update.
    NoUpdate(PendingUpdateError),
    /// R-59, R-60a.
    Pending(PendingUpdateError),
    /// rest-api.md, sign-quote.
    SignQuote(SignQuoteError),
    /// rest-api.md, sign-quote: its body.
    SignQuoteBody(BodyError),
    /// rest-api.md, monotonic-counter.
    Counter(CounterError),
    /// The update log's signed head.
    LogHead(LogHeadError),
    /// The audit trail.
    Audit(ReadAuditError),
    /// A sealed copy of the state.
    Backup(BackupError),
    /// Enough are being made.
    BackupsFull,
    /// A policy's component.
    UploadPolicy(UploadPolicyError),
    /// No component has this digest.
    NoComponent,
    /// What policies decided.
    Decisions(ReadDecisionsError),
    /// A manifest of more than this many bytes.
    ManifestTooLarge(usize),
    /// R-40..R-44.
    Recover(RecoverError),
    /// the header.
    RecoverySignature,
    ///
    RecoveryPublicKey(RecoveryPublicKeyError),
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
    /// Too many bytes of long answers in memory.
    AnswersFull,
    /// No answer of a use case at all.
    Mishap(Mishap),
    /// An answer that could not be written as JSON.
    Encoding,
}

impl Failure {
    /// Whether the body itself is what failed: nothing more of it is worth reading.
    pub(crate) fn is_of_the_body(&self) -> bool {
        matches!(self, Self::BodyTooLarge(_) | Self::BodySlow | Self::BodyBroken | Self::BodiesFull)
    }

    /// The limit that refused the request; for the metrics.
    pub(crate) fn refused(&self) -> Option<Refused> {
        match self {
            Self::BodiesFull => Some(Refused::Bodies),
            Self::AnswersFull => Some(Refused::Answers),
            Self::Mishap(mishap) => Refused::of(*mishap),
            _ => None,
        }
    }
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
    pub(crate) status: StatusCode,
    kind: Kind,
    message: String,
    /// What JSend says of single fields: which one, and why.
    data: Option<BTreeMap<&'static str, String>>,
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
    let (status, kind) = classify(version, failure);
    Problem { status, kind, message: message(version, failure), data: data(failure), cause: cause(failure) }
}

/// The policy that did not decide, where that is why.
fn undecided(failure: &Failure) -> Option<&PolicyFailure> {
    match failure {
        Failure::SetManifest(error)
        | Failure::WriteSecrets(WriteSecretsError::DryRun(error))
        | Failure::Update(UpdateManifestError::Apply(error))
        | Failure::Pending(PendingUpdateError::Apply(error)) => match error {
            SetManifestError::Policy(failure) | SetManifestError::DryRunPolicy { failure, .. } => {
                Some(failure)
            }
            _ => None,
        },
        Failure::Secrets(ReadSecretsError::Policy(failure))
        | Failure::WriteSecrets(WriteSecretsError::Policy(failure))
        | Failure::Update(UpdateManifestError::Policy(failure))
        | Failure::Pending(PendingUpdateError::Policy(failure))
        | Failure::Audit(ReadAuditError::Policy(failure))
        | Failure::UploadPolicy(UploadPolicyError::Policy(failure))
        | Failure::Decisions(ReadDecisionsError::Policy(failure))
        | Failure::Backup(BackupError::Policy(failure)) => Some(failure),
        _ => None,
    }
}

fn classify(version: Version, failure: &Failure) -> (StatusCode, Kind) {
    let internal = (StatusCode::INTERNAL_SERVER_ERROR, Kind::Error);
    let busy = (StatusCode::SERVICE_UNAVAILABLE, Kind::Error);
    // Its component is being compiled: the same request is answered a little later.
    if undecided(failure).is_some_and(|policy| policy.kind == FailureKind::NotReady) {
        return busy;
    }
    // What the two versions say of a use case that refuses, and of a request that is not understood.
    let (fail, refused) = match version {
        Version::V1 => (Kind::Error, (StatusCode::BAD_REQUEST, Kind::Error)),
        Version::V2 => (Kind::Fail, internal),
    };
    let unauthorized = (StatusCode::UNAUTHORIZED, fail);
    let bad_request = (StatusCode::BAD_REQUEST, fail);
    match failure {
        Failure::NotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Kind::Error),
        Failure::NoManifest | Failure::Manifest(_) | Failure::Quote(_) | Failure::Log(_) => internal,
        Failure::Feature(FeatureError::Off(_)) => (StatusCode::FORBIDDEN, Kind::Error),
        Failure::Feature(FeatureError::Store(_)) => internal,
        Failure::Unauthorized(_)
        | Failure::SetManifest(SetManifestError::Unauthorized)
        | Failure::Secrets(ReadSecretsError::Unauthorized)
        | Failure::WriteSecrets(WriteSecretsError::Unauthorized)
        | Failure::Update(UpdateManifestError::Unauthorized)
        | Failure::Pending(PendingUpdateError::Unauthorized)
        | Failure::Counter(CounterError::Unauthorized(_))
        | Failure::Audit(ReadAuditError::Unauthorized)
        | Failure::UploadPolicy(UploadPolicyError::Unauthorized)
        | Failure::Decisions(ReadDecisionsError::Unauthorized)
        | Failure::Backup(BackupError::Unauthorized) => unauthorized,
        Failure::WriteSecrets(WriteSecretsError::Busy)
        | Failure::Update(UpdateManifestError::Busy)
        | Failure::Pending(PendingUpdateError::Busy)
        | Failure::Counter(CounterError::Busy)
        | Failure::UploadPolicy(UploadPolicyError::Busy | UploadPolicyError::Full)
        | Failure::LogHead(LogHeadError::WrongState) => busy,
        Failure::Update(UpdateManifestError::Lockout(_))
        | Failure::Pending(PendingUpdateError::Lockout(_)) => (StatusCode::UNPROCESSABLE_ENTITY, fail),
        Failure::Update(UpdateManifestError::OtherBase(_))
        | Failure::Pending(PendingUpdateError::OtherBase(_)) => (StatusCode::CONFLICT, fail),
        Failure::SetManifest(_) | Failure::Secrets(_) | Failure::WriteSecrets(_) | Failure::Update(_) => {
            refused
        }
        Failure::NoUpdate(_) | Failure::Pending(PendingUpdateError::NotFound) => {
            (StatusCode::NOT_FOUND, Kind::Error)
        }
        Failure::Pending(_) => internal,
        Failure::SignQuote(SignQuoteError::Verification(_)) | Failure::SignQuoteBody(_) => bad_request,
        Failure::SignQuote(SignQuoteError::Sign(_)) => internal,
        Failure::Counter(CounterError::Invalid(_)) => bad_request,
        Failure::Counter(CounterError::TooMany(_)) => (StatusCode::INSUFFICIENT_STORAGE, fail),
        Failure::Counter(CounterError::Store(_)) => internal,
        Failure::LogHead(LogHeadError::TooFar { .. }) => bad_request,
        Failure::LogHead(LogHeadError::Sign(_) | LogHeadError::Store(_)) => internal,
        Failure::Audit(ReadAuditError::Denied(_) | ReadAuditError::Policy(_)) => {
            (StatusCode::FORBIDDEN, fail)
        }
        Failure::Audit(ReadAuditError::Store(_)) => internal,
        Failure::Backup(BackupError::Denied(_) | BackupError::Policy(_)) => (StatusCode::FORBIDDEN, fail),
        Failure::Backup(BackupError::NotKept) => (StatusCode::CONFLICT, fail),
        Failure::Backup(BackupError::Store(_)) => internal,
        Failure::BackupsFull => busy,
        Failure::UploadPolicy(UploadPolicyError::Refused(_)) => bad_request,
        Failure::UploadPolicy(UploadPolicyError::TooLarge { .. }) | Failure::ManifestTooLarge(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, Kind::Error)
        }
        Failure::UploadPolicy(UploadPolicyError::Denied(_) | UploadPolicyError::Policy(_))
        | Failure::Decisions(ReadDecisionsError::Denied(_) | ReadDecisionsError::Policy(_)) => {
            (StatusCode::FORBIDDEN, fail)
        }
        Failure::UploadPolicy(UploadPolicyError::Ended | UploadPolicyError::Store(_))
        | Failure::Decisions(ReadDecisionsError::Store(_)) => internal,
        Failure::NoComponent => (StatusCode::NOT_FOUND, Kind::Error),
        Failure::Recover(RecoverError::Unsigned) => (StatusCode::GONE, Kind::Error),
        Failure::Recover(RecoverError::SignatureMissing) => bad_request,
        Failure::Recover(RecoverError::Decrypt(_)) if version == Version::V2 => bad_request,
        Failure::Recover(_) | Failure::RecoveryPublicKey(_) => internal,
        Failure::Query(_) | Failure::Body(_) | Failure::RecoverySignature => bad_request,
        Failure::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Kind::Error),
        Failure::BodySlow => (StatusCode::REQUEST_TIMEOUT, Kind::Error),
        Failure::BodyBroken => (StatusCode::BAD_REQUEST, Kind::Error),
        Failure::Mishap(Mishap::Panic) | Failure::Encoding => internal,
        Failure::BodiesFull | Failure::AnswersFull | Failure::Mishap(Mishap::Timeout | Mishap::Overload) => {
            busy
        }
    }
}

fn message(version: Version, failure: &Failure) -> String {
    match failure {
        Failure::NotAllowed => String::new(),
        Failure::NoManifest => "requested value not set".to_owned(),
        Failure::Feature(error) => public_message(error),
        Failure::Unauthorized(error) => public_message(error),
        Failure::SetManifest(error) => public_message(error),
        Failure::Manifest(error) => public_message(error),
        Failure::Quote(error) => public_message(error),
        Failure::Secrets(error) => public_message(error),
        Failure::WriteSecrets(error) => public_message(error),
        Failure::Log(error) => public_message(error),
        Failure::Update(UpdateManifestError::Parse(error)) if version == Version::V1 => {
            format!("unmarshaling update manifest: {}", public_message(error))
        }
        Failure::Update(error) => public_message(error),
        Failure::NoUpdate(_) => public_message(&PendingUpdateError::NotFound),
        Failure::Pending(error) => public_message(error),
        // The reason is in the data.
        Failure::SignQuote(error) => error.to_string(),
        Failure::SignQuoteBody(error) | Failure::Body(error) => error.to_string(),
        Failure::Counter(error) => public_message(error),
        Failure::LogHead(LogHeadError::Sign(_)) => Mishap::Panic.message().to_owned(),
        Failure::LogHead(error) => public_message(error),
        Failure::Audit(error) => public_message(error),
        Failure::Backup(error) => public_message(error),
        Failure::BackupsFull => "another backup is being made; try again when it is done".to_owned(),
        Failure::UploadPolicy(error) => public_message(error),
        Failure::Decisions(error) => public_message(error),
        Failure::NoComponent => "the coordinator has no component of this digest".to_owned(),
        Failure::ManifestTooLarge(limit) => format!("the manifest is longer than the limit of {limit} bytes"),
        Failure::Recover(RecoverError::Unsigned) => RECOVER_V1_IS_GONE.to_owned(),
        Failure::Recover(error) => public_message(error),
        Failure::RecoverySignature => {
            "the header Recovery-Signature must be standard base64 with padding".to_owned()
        }
        Failure::RecoveryPublicKey(error) => public_message(error),
        Failure::Query(text) => text.clone(),
        Failure::BodyTooLarge(limit) => {
            format!("the request's body is longer than the limit of {limit} bytes")
        }
        Failure::BodySlow => "the request's body did not arrive in time".to_owned(),
        Failure::BodyBroken => "the request's body could not be read".to_owned(),
        Failure::BodiesFull | Failure::AnswersFull => Mishap::Overload.message().to_owned(),
        Failure::Mishap(mishap) => mishap.message().to_owned(),
        Failure::Encoding => Mishap::Panic.message().to_owned(),
    }
}

/// rest-api.md, sign-quote.
fn data(failure: &Failure) -> Option<BTreeMap<&'static str, String>> {
    let reason = match failure {
        Failure::SignQuote(error @ SignQuoteError::Verification(_)) => public_message(error),
        Failure::SignQuoteBody(_) => "failed to parse JSON data".to_owned(),
        _ => return None,
    };
    Some(BTreeMap::from([("sgxQuote", reason)]))
}

/// What the message keeps from the caller.
fn cause(failure: &Failure) -> Option<String> {
    match failure {
        Failure::SetManifest(error) => error.internal(),
        Failure::WriteSecrets(error) => error.internal(),
        Failure::Update(error) => error.internal(),
        Failure::NoUpdate(error) | Failure::Pending(error) => error.internal(),
        Failure::Recover(error) => error.internal(),
        Failure::UploadPolicy(error) => error.internal(),
        Failure::Feature(FeatureError::Store(error))
        | Failure::Manifest(ManifestReadError::Store(error))
        | Failure::Secrets(ReadSecretsError::Store(error))
        | Failure::Log(ReadLogError::Store(error))
        | Failure::Counter(CounterError::Store(error))
        | Failure::LogHead(LogHeadError::Store(error))
        | Failure::Audit(ReadAuditError::Store(error))
        | Failure::Decisions(ReadDecisionsError::Store(error))
        | Failure::Backup(BackupError::Store(error)) => Some(public_message(error as &dyn Error)),
        Failure::Secrets(ReadSecretsError::Policy(failure))
        | Failure::Audit(ReadAuditError::Policy(failure))
        | Failure::Decisions(ReadDecisionsError::Policy(failure))
        | Failure::Backup(BackupError::Policy(failure)) => Some(failure.internal()),
        Failure::Quote(QuoteError::Issue(error)) => Some(error.to_string()),
        Failure::SignQuote(error @ SignQuoteError::Sign(_)) => Some(public_message(error)),
        Failure::LogHead(error @ LogHeadError::Sign(_)) => Some(public_message(error)),
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
        let envelope = Envelope { status, data: &self.data, message: &self.message };
        let body = json::to_vec(&envelope, self.message.len() + 64).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if self.kind == Kind::Error {
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
