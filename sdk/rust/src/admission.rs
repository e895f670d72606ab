//! World `marble-admission`: may this Marble be activated? Asked when its evidence has been verified and matched.
//!
//! ```
//! use carrara_policy::admission::{Decision, Request, allow, deny};
//! use carrara_policy::settings;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "PascalCase", deny_unknown_fields)]
//! struct Settings {
//!     /// How often a Marble of one type may be started.
//!     at_most: u64,
//! }
//!
//! /// No enclave in debug mode, and not too many of them.
//! fn admit(request: &Request) -> Result<Decision, settings::SettingsError> {
//!     let settings: Settings = request.context.settings()?;
//!     if request.evidence.as_ref().is_some_and(|evidence| evidence.debug) {
//!         return Ok(deny("debug", "an enclave in debug mode shows its memory to its host"));
//!     }
//!     if request.activations.is_some_and(|before| before >= settings.at_most) {
//!         return Ok(deny("too-many", format!("{} runs {} times already", request.marble_type, settings.at_most)));
//!     }
//!     Ok(allow())
//! }
//!
//! carrara_policy::admitter!(admit, settings::check::<Settings>);
//!
//! let request = Request::new("frontend").with_settings(r#"{"AtMost":1}"#);
//! assert_eq!(admit(&request), Ok(allow()));
//! let second = Request { activations: Some(1), ..request };
//! assert_eq!(admit(&second), Ok(deny("too-many", "frontend runs 1 times already")));
//! ```

pub use crate::decision::{Decision, allow, deny};
use crate::words::{Context, Fact, Value};

/// Verified claims about the Marble's enclave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `sgx`, `tdx` or `sev-snp`.
    pub tee: String,
    /// Debug mode.
    pub debug: bool,
    /// Such as `UpToDate` or `SWHardeningNeeded`.
    pub tcb_status: String,
    /// Advisory ids.
    pub advisories: Vec<String>,
    /// What was measured. sgx: `unique-id`, `signer-id`, `product-id`, `security-version`; tdx: `mrtd`, `rtmr0`..`rtmr3`.
    pub identity: Vec<Fact>,
}

impl Evidence {
    /// One measured value; `None` where this kind of enclave has none of that name.
    #[must_use]
    pub fn measured(&self, name: &str) -> Option<&Value> {
        self.identity.iter().find(|fact| fact.name == name).map(|fact| &fact.value)
    }
}

/// A Marble that wants to be activated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Time, revision, settings, facts.
    pub context: Context,
    /// The Marble's type in the manifest.
    pub marble_type: String,
    /// The package that its evidence matched.
    pub package_name: String,
    /// Canonical text of its UUID.
    pub uuid: String,
    /// None in simulation, and only then.
    pub evidence: Option<Evidence>,
    /// DNS names that it wants certified.
    pub dns_names: Vec<String>,
    /// IP addresses that it wants certified.
    pub ip_addresses: Vec<String>,
    /// Activations of this type before this one; none where they are not counted.
    pub activations: Option<u64>,
    /// The manifest's limit.
    pub max_activations: Option<u64>,
}
