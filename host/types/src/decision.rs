//! The questions that policies are asked and the answers that they give: the Rust side of `wit/`.
//!
//! On the trusted side (feature `host`) questions and answers have a JSON form for tools and records: names as in `wit/`,
//! digests and bytes in lower-case hex. What is left out has its default, what is unknown is an error.

use std::fmt;
use std::sync::Arc;

/// The value of a [`Fact`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
    /// True or false.
    Truth(bool),
    /// Bytes; lower-case hex in JSON.
    Bytes(#[cfg_attr(feature = "host", serde(with = "hex"))] Vec<u8>),
    /// Several texts.
    Texts(Vec<String>),
}

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", deny_unknown_fields)
)]
pub struct Fact {
    /// Its name; a policy ignores names that it does not know.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// What every question carries. The policy entry's settings are added where the policy is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct Context {
    /// Unix seconds.
    pub now: u64,
    /// The revision of the state that the question is asked about.
    pub revision: u64,
    /// Further data.
    pub facts: Vec<Fact>,
}

/// A role that a principal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct HeldRole {
    /// The role's name.
    pub name: String,
    /// `Packages`, `Secrets` or `Manifest`.
    pub resource_type: String,
    /// What it is about.
    pub resource_names: Vec<String>,
    /// What it allows.
    pub actions: Vec<String>,
}

/// An authenticated user of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct Principal {
    /// The user's name in the manifest.
    pub name: String,
    /// SHA-256 of the client certificate's DER.
    #[cfg_attr(feature = "host", serde(with = "hex"))]
    pub certificate_sha256: [u8; 32],
    /// The roles that the manifest gives the user, in the manifest's order.
    pub roles: Vec<HeldRole>,
}

/// Why something is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct Denial {
    /// Stable and short.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What it is about.
    pub resources: Vec<String>,
}

/// A policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny(Denial),
}

/// Whether a finding refuses a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Severity {
    /// Refuses.
    Error,
    /// Is reported.
    Warning,
}

/// One thing that a validator (or the host's own list) found in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", deny_unknown_fields)
)]
pub struct Finding {
    /// Whether it refuses the manifest.
    pub severity: Severity,
    /// The rule, such as `M-32`.
    pub code: String,
    /// RFC 6901 pointer into the normalised manifest.
    pub path: String,
    /// For an error exactly the specification's text.
    pub message: String,
    /// What to do.
    #[cfg_attr(feature = "host", serde(default))]
    pub hint: Option<String>,
}

/// Whether one of the findings is an error.
#[must_use]
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What kind of change a manifest proposes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Change {
    /// The first manifest.
    #[default]
    Initial,
    /// A new manifest in recovery.
    Reset,
    /// Security versions only.
    PackageUpdate,
    /// A whole new manifest.
    FullUpdate,
}

impl Change {
    /// The name that validators see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Reset => "reset",
            Self::PackageUpdate => "package-update",
            Self::FullUpdate => "full-update",
        }
    }
}

/// What a validator judges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct Proposal {
    /// Time, revision, facts.
    pub context: Context,
    /// What kind of change it is.
    pub change: Change,
    /// Normalised JSON.
    pub manifest: String,
    /// SHA-256 of the uploaded bytes.
    #[cfg_attr(feature = "host", serde(with = "hex"))]
    pub manifest_sha256: [u8; 32],
    /// The manifest in force, normalised.
    pub current: Option<String>,
    /// Security versions in force, after package updates: name and version.
    #[cfg_attr(feature = "host", serde(with = "versions"))]
    pub current_versions: Vec<(String, u64)>,
    /// Who proposes it, where somebody had to authenticate.
    pub proposer: Option<Principal>,
}

/// What an authorizer decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct AuthorizationRequest {
    /// Time, revision, facts.
    pub context: Context,
    /// Who asks.
    pub principal: Principal,
    /// Such as `ReadSecret`.
    pub action: String,
    /// Such as `Secrets`.
    pub resource_type: String,
    /// All names of one call, sorted, without duplicates.
    pub resource_names: Vec<String>,
}

/// Verified claims as an admission policy sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct EvidenceFacts {
    /// [`crate::claims::Tee::name`].
    pub tee: String,
    /// Debug mode.
    pub debug: bool,
    /// M-81's name.
    pub tcb_status: String,
    /// Advisory ids.
    pub advisories: Vec<String>,
    /// The measured identity.
    pub identity: Vec<Fact>,
}

/// What an admitter decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case", default, deny_unknown_fields)
)]
pub struct AdmissionRequest {
    /// Time, revision, facts.
    pub context: Context,
    /// The Marble's type.
    pub marble_type: String,
    /// The package that its evidence matched.
    pub package_name: String,
    /// Canonical UUID.
    pub uuid: String,
    /// None in simulation, and only then.
    pub evidence: Option<EvidenceFacts>,
    /// DNS names of the CSR.
    pub dns_names: Vec<String>,
    /// IP addresses of the CSR.
    pub ip_addresses: Vec<String>,
    /// Before this one; none where not counted.
    pub activations: Option<u64>,
    /// The manifest's limit.
    pub max_activations: Option<u64>,
}

/// Where a rendered template goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A file: `raw` is allowed, `string` is not.
    File,
    /// An environment variable: `string` is allowed, `raw` is not.
    Env,
}

/// A template to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// File path or variable name.
    pub name: String,
    /// Where it goes.
    pub target: Target,
    /// The decoded data; need not be UTF-8.
    pub text: Vec<u8>,
}

/// Which secrets a name is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `.Secrets`.
    Current,
    /// `.Previous.Secrets`.
    Previous,
    /// `.MarbleRun`.
    Reserved,
}

/// A part of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The bare secret: for keys and plain secrets their bytes, for certificates the certificate.
    Whole,
    /// The public key.
    Public,
    /// The private key.
    Private,
    /// The certificate.
    Certificate,
}

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// The bytes.
    Raw,
    /// Lower-case hex.
    Hex,
    /// Standard, padded.
    Base64,
    /// PEM, 64 columns, trailing newline.
    Pem,
    /// The bytes of a plain secret, for environment variables (template function `string`).
    Text,
}

/// What may be known of a secret without looking at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name; shared, since each place that a template writes it to has it.
    pub name: Arc<str>,
    /// `symmetric-key`, `cert-rsa`, `cert-ecdsa`, `cert-ed25519` or `plain`; reserved entries are `cert-ecdsa`.
    pub kind: String,
    /// As declared, in bits.
    pub size: u32,
    /// Whether all Marbles get the same.
    pub shared: bool,
    /// Whether users upload it.
    pub user_defined: bool,
    /// As declared, in days.
    pub valid_for: u32,
    /// The parts that are set; never [`Part::Whole`].
    pub parts: Vec<Part>,
}

/// Where a secret goes in a rendered template. The host splices the bytes in after the guest has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretReference {
    /// Which secrets.
    pub scope: Scope,
    /// Its name.
    pub name: Arc<str>,
    /// Which part.
    pub part: Part,
    /// How it is written.
    pub encoding: Encoding,
}

/// A piece of a rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes of the template.
    Text(Vec<u8>),
    /// A secret.
    Secret(SecretReference),
}

/// Why a template does not render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// Index of the template.
    pub template: u32,
    /// From 1; 0 where unknown.
    pub line: u32,
    /// From 0, as Go's templates report it.
    pub column: u32,
    /// The renderer's whole text, such as `template: data:1:3: executing ...`.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Security versions as `wit/` writes them.
#[cfg(feature = "host")]
mod versions {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct PackageVersion {
        name: String,
        security_version: u64,
    }

    pub(super) fn serialize<S: Serializer>(
        versions: &[(String, u64)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let record = |(name, version): &(String, u64)| PackageVersion {
            name: name.clone(),
            security_version: *version,
        };
        versions.iter().map(record).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, u64)>, D::Error> {
        let records = Vec::<PackageVersion>::deserialize(deserializer)?;
        Ok(records.into_iter().map(|record| (record.name, record.security_version)).collect())
    }
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_names_of_the_interface_in_json() {
        let text = r#"{"principal":{"name":"frank","certificate-sha256":"%","roles":[{"name":"r",
            "resource-type":"Secrets","resource-names":["a"],"actions":["ReadSecret"]}]},"action":"ReadSecret",
            "context":{"facts":[{"name":"n","value":{"number":5}},{"name":"b","value":{"bytes":"00ff"}}]}}"#
            .replace('%', &"07".repeat(32));
        let request: AuthorizationRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(request.principal.certificate_sha256, [7; 32]);
        assert_eq!(request.principal.roles[0].resource_type, "Secrets");
        assert_eq!(request.context.facts[0].value, Value::Number(5));
        assert_eq!(request.context.facts[1].value, Value::Bytes(vec![0, 255]));
        assert_eq!(request.resource_type, "", "what is left out is empty");
        let again = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<AuthorizationRequest>(&again).unwrap(), request);
        let error = serde_json::from_str::<AuthorizationRequest>(r#"{"verb":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("verb"), "{error}");
    }

    #[test]
    fn answers_and_changes_have_the_names_of_the_interface_in_json() {
        assert_eq!(serde_json::to_string(&Decision::Allow).unwrap(), r#""allow""#);
        let denial: Decision = serde_json::from_str(r#"{"deny":{"code":"c","message":"m"}}"#).unwrap();
        let expected = Denial { code: "c".to_owned(), message: "m".to_owned(), ..Denial::default() };
        assert_eq!(denial, Decision::Deny(expected));
        for change in [Change::Initial, Change::Reset, Change::PackageUpdate, Change::FullUpdate] {
            assert_eq!(serde_json::to_value(change).unwrap(), change.name());
        }
        let proposal: Proposal =
            serde_json::from_str(r#"{"current-versions":[{"name":"p","security-version":3}]}"#).unwrap();
        assert_eq!(proposal.current_versions, [("p".to_owned(), 3)]);
        assert_eq!(serde_json::to_value(&proposal).unwrap()["current-versions"][0]["security-version"], 3);
    }
}
