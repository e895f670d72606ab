//! World `role-authorization`: may this user do this? Asked on each request that needs a user.
//!
//! ```
//! use carrara_policy::authorization::{Decision, Request, allow, deny};
//!
//! /// Nobody reads a secret whose name begins with `root-`, whatever the roles say.
//! fn authorize(request: &Request) -> Decision {
//!     let hidden = request.resource_names.iter().filter(|name| name.starts_with("root-"));
//!     let hidden: Vec<_> = hidden.cloned().collect();
//!     if request.action != "ReadSecret" || hidden.is_empty() {
//!         return allow();
//!     }
//!     deny("root-secret", "root secrets are read by no user").hint("ask for a secret of your own").about(hidden)
//! }
//!
//! carrara_policy::authorizer!(authorize);
//!
//! // Natively, in the policy's tests:
//! let request = Request::new("frank", "ReadSecret", "Secrets", ["root-key", "token"]);
//! assert_eq!(authorize(&request).denial().unwrap().resources, ["root-key"]);
//! ```

pub use crate::decision::{Decision, allow, deny};
use crate::words::{Context, Principal};

/// What a user wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Time, revision, settings, facts.
    pub context: Context,
    /// Who.
    pub principal: Principal,
    /// Such as `ReadSecret`, `WriteSecret`, `UpdateSecurityVersion`, `UpdateManifest`.
    pub action: String,
    /// `Packages`, `Secrets` or `Manifest`.
    pub resource_type: String,
    /// All names of one call, sorted, without duplicates.
    pub resource_names: Vec<String>,
}
