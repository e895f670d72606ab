//! A manifest that was read (M-1..M-21), whatever it says.
//!
//! Nothing here judges whether the manifest makes sense: that is `safe` and the validators.

use std::collections::BTreeMap;

use super::fields::{At, Mistake, Warnings, clipped};
pub use super::position::Position;
use super::position::Source;
use super::{Config, Infrastructure, Marble, Package, Role, SecretDefinition, TlsTag, User};
use super::{json, normal, read};
use crate::decision::Finding;
use crate::policy::PolicyEntry;

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    /// The thing, the place and the remedy in one line, without the stage's prefix.
    pub message: String,
    /// Where, unless the text as a whole is meant.
    pub position: Option<Position>,
}

/// A manifest that was read. Two are equal if they say the same, however they are written.
#[derive(Debug, Clone, Default)]
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
    /// Policies of its own, by name.
    pub policies: BTreeMap<String, PolicyEntry>,
    /// Whether a `Config` section with fields is present, whatever they say (X-35); not part of what is compared.
    pub has_config: bool,
    /// Unknown fields (X-9), as warnings; their paths are pointers into the uploaded text.
    pub warnings: Vec<Finding>,
    source: Source,
}

impl ParsedManifest {
    /// Reads the uploaded bytes. Its time grows linearly with them.
    ///
    /// # Errors
    /// The first thing that M-1..M-21 or X-9 refuse, with its place.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let document = json::parse(bytes).map_err(|error| {
            let position = Position::of(bytes, error.offset);
            let Position { line, column } = position;
            ManifestError {
                message: format!("{} (line {line}, column {column})", error.message),
                position: Some(position),
            }
        })?;
        let mut warnings = Warnings::default();
        let mut manifest = read::manifest(&At::root(document.root()), &mut warnings)
            .map_err(|mistake| refusal(bytes, &mistake))?;
        manifest.warnings = warnings.into_findings();
        manifest.source = Source::new(bytes);
        Ok(manifest)
    }

    /// Whether an update of this form is about packages' versions alone (manifest.md section 5).
    #[must_use]
    pub fn is_package_update(&self) -> bool {
        self.infrastructures.is_empty()
            && self.marbles.is_empty()
            && self.users.is_empty()
            && self.recovery_keys.is_empty()
            && self.roles.is_empty()
            && self.secrets.is_empty()
            && self.tls.is_empty()
    }

    /// The same manifest with canonical field names, no duplicates, defaults left out: what validators read. Bytes are
    /// base64 strings, Files always objects; reading it again gives an equal manifest.
    #[must_use]
    pub fn normalised_json(&self) -> String {
        normal::manifest(self)
    }

    /// Where a pointer (RFC 6901) into the normalised manifest stands in the uploaded text; where it names something
    /// that was left out there, its nearest ancestor. `None` for a manifest that was not parsed.
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Option<Position> {
        self.source.locate(pointer)
    }
}

impl PartialEq for ParsedManifest {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            packages,
            infrastructures,
            marbles,
            users,
            secrets,
            recovery_keys,
            roles,
            tls,
            config,
            policies,
            has_config: _,
            warnings: _,
            source: _,
        } = self;
        *packages == other.packages
            && *infrastructures == other.infrastructures
            && *marbles == other.marbles
            && *users == other.users
            && *secrets == other.secrets
            && *recovery_keys == other.recovery_keys
            && *roles == other.roles
            && *tls == other.tls
            && *config == other.config
            && *policies == other.policies
    }
}

fn refusal(bytes: &[u8], mistake: &Mistake) -> ManifestError {
    let position = Position::of(bytes, mistake.offset);
    let Position { line, column } = position;
    let place = match mistake.pointer.as_str() {
        "" => "the manifest itself".to_owned(),
        pointer => clipped(pointer),
    };
    let message = format!("{} (at {place}, line {line}, column {column})", mistake.message);
    ManifestError { message, position: Some(position) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // manifest.md section 5
    #[test]
    fn each_section_but_packages_and_config_makes_an_update_a_full_one() {
        let is_package = |text: &str| ParsedManifest::parse(text.as_bytes()).unwrap().is_package_update();
        for text in [
            "{}",
            r#"{"Packages":{"p":{}}}"#,
            r#"{"Packages":{"p":{}},"Config":{"UpdateThreshold":1}}"#,
            r#"{"Packages":{"p":{}},"Marbles":{},"Users":null}"#,
        ] {
            assert!(is_package(text), "{text}");
        }
        for section in ["Infrastructures", "Marbles", "Users", "Roles", "Secrets", "TLS"] {
            let text = format!(r#"{{"Packages":{{"p":{{}}}},"{section}":{{"x":null}}}}"#);
            assert!(!is_package(&text), "{section}");
        }
        assert!(!is_package(r#"{"RecoveryKeys":{"x":""}}"#));
    }
}
