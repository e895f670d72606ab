//! A client of the coordinator's REST API that decides by evidence whom it trusts.
//!
//! [`Client`] asks over one TLS connection per request. Whom it accepts is its [`Trust`]: one root certificate
//! (obtained by [`attest`](mod@attest) or saved before), or anybody. It speaks version 2 of the API and falls back to
//! version 1 only where the server says 405 (C-10).
//!
//! Knows no files, no time and no terminal. Limits and time-outs are in [`Limits`]. Quotes are verified by `carrara-attest`
//! ([`QuoteVerifier`]), with collateral of a [`collateral::Source`].

mod address;
mod answer;
mod api;
pub mod attest;
mod chain;
pub mod checkpoint;
mod error;
mod identity;
mod observer;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod recovery;
mod secret;
pub mod sigstruct;
#[cfg(test)]
mod test_server;
mod transport;
mod trust;
mod upload;

pub use address::Address;
pub use api::{
    AuditEntry, AuditPage, DecisionPage, DecisionQuery, LogHead, Manifest, ManifestSet, PendingUpdate,
    PolicyComponent, PushedPolicy, Quote, RecoveryStep, SignedQuote, Status, UpdateGuards, UpdateProgress,
    Warning,
};
pub use attest::{AttestationError, AttestationPolicy, Attested, PolicyFileError, QuoteVerifier, attest};
/// Where collateral comes from, and files of it.
pub use carrara_attest::collateral;
/// What a bundle has for SEV-SNP.
pub use carrara_attest::snp;
/// Whose collateral a quote needs.
pub use carrara_attest::{quote::QuoteKind, verify::Verifier};
pub use chain::{Chain, ChainError};
pub use error::{ApiError, ClientError};
pub use identity::{ClientIdentity, IdentityError};
pub use observer::Observer;
pub use recovery::{PLAIN_SECRET_LENGTHS, RecoveryKey, RecoveryKeyError, encrypt_recovery_secret};
pub use secret::Secret;
pub use transport::{Client, Limits};
pub use trust::Trust;
pub use upload::{SecretUploads, UploadError};
