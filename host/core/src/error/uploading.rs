//! Why a policy's component was not taken.

use super::{BUSY, UNAUTHORIZED, not_stored};
use crate::ports::{ComponentRefused, PolicyFailure, StoreError};

/// Uploading a policy's component.
#[derive(Debug, thiserror::Error)]
pub enum UploadPolicyError {
    /// 401: not the owner before a manifest is set, no user afterwards.
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// 403; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits: 403.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// 413.
    #[error("the component has {bytes} bytes, and a policy may have at most {most}")]
    TooLarge {
        /// What was sent.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// 400: names the interface, versions and the missing item.
    #[error("this is no policy that can be used: {0}")]
    Refused(ComponentRefused),
    /// Reading it ended unexpectedly: 500.
    #[error("the component could not be read; see the coordinator's log")]
    Ended,
    /// The state could not be read or written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the component", .0))]
    Store(StoreError),
    /// Eight conflicts in a row: 503.
    #[error("{BUSY}")]
    Busy,
    /// Too many upload what needs no permission: 503.
    #[error(
        "too many policies are being uploaded without a user's permission; try again, or with a user's certificate"
    )]
    Full,
}

impl UploadPolicyError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Policy(failure) => Some(failure.internal()),
            _ => None,
        }
    }
}
