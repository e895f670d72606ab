//! A manifest that was read (M-1..M-21), whatever it says.

use std::collections::BTreeMap;

use super::{Config, Infrastructure, Marble, Package, Role, SecretDefinition, TlsTag, User};
use crate::decision::Finding;

/// A place in the uploaded text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    /// The thing, the place and the remedy in one line, without the stage's prefix.
    pub message: String,
    /// Where, unless the text as a whole is meant.
    pub position: Option<Position>,
}

/// A manifest that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParsedManifest {
    /// Allowed enclaves.
    pub packages: BTreeMap<String, Package>,
    /// Allowed platforms.
    pub infrastructures: BTreeMap<String, Infrastructure>,
    /// Services.
    pub marbles: BTreeMap<String, Marble>,
    /// Users.
    pub users: BTreeMap<String, User>,
    /// Secrets.
    pub secrets: BTreeMap<String, SecretDefinition>,
    /// RSA public keys, PEM.
    pub recovery_keys: BTreeMap<String, String>,
    /// Roles.
    pub roles: BTreeMap<String, Role>,
    /// Transparent TLS.
    pub tls: BTreeMap<String, TlsTag>,
    /// Options.
    pub config: Config,
    /// Whether a non-empty `Policies` section is present.
    pub has_policies: bool,
    /// Unknown fields, as warnings.
    pub warnings: Vec<Finding>,
}

impl ParsedManifest {
    /// Reads the uploaded bytes.
    ///
    /// # Errors
    /// The first thing that M-1..M-21 or X-9 refuse, with its place.
    pub fn parse(_bytes: &[u8]) -> Result<Self, ManifestError> {
        Err(ManifestError { message: "unexpected end of JSON input".to_owned(), position: None })
    }

    /// The same manifest with canonical field names, no duplicates, defaults left out: what validators read.
    #[must_use]
    pub fn normalised_json(&self) -> String {
        String::new()
    }

    /// Where a pointer (RFC 6901) into the normalised manifest stands in the uploaded text.
    #[must_use]
    pub fn locate(&self, _pointer: &str) -> Option<Position> {
        None
    }
}
