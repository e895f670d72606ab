//! For a policy's own tests, which run natively: requests, what was logged, secrets that are none.
//!
//! A policy is a function of its request; a test makes a request, calls the function and looks at the answer.
//!
//! ```
//! use carrara_policy::authorization::{Decision, Request, allow, deny};
//! use carrara_policy::testing::logged;
//!
//! fn authorize(request: &Request) -> Decision {
//!     carrara_policy::log::info(format!("it is {}", request.context.now));
//!     if request.principal.holds("admin") { allow() } else { deny("no-admin", "only administrators") }
//! }
//!
//! let request = Request::new("frank", "ReadSecret", "Secrets", ["a"]).at(5);
//! let (decision, lines) = logged(|| authorize(&request));
//! assert_eq!(decision, deny("no-admin", "only administrators"));
//! assert_eq!(lines, ["INFO: it is 5"]);
//! assert_eq!(authorize(&request.with_role("admin", "Secrets", ["a"], ["ReadSecret"])), allow());
//! ```

#[cfg(not(target_arch = "wasm32"))]
mod lines;
#[cfg(not(target_arch = "wasm32"))]
mod rendering;

#[cfg(not(target_arch = "wasm32"))]
pub use lines::logged;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use lines::note;
#[cfg(not(target_arch = "wasm32"))]
pub use rendering::{plain_secret, shown};

use crate::rendering::{Target, Template};
use crate::validation::{PackageVersion, Proposal};
use crate::words::{Context, Fact, Principal, Role, Value};
use crate::{admission, authorization};

impl Context {
    /// Sets the time, in Unix seconds.
    #[must_use]
    pub fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    /// Sets the JSON text of the settings.
    #[must_use]
    pub fn with_settings(mut self, json: impl Into<String>) -> Self {
        self.settings = json.into();
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.facts.push(Fact { name: name.into(), value: value.into() });
        self
    }

    /// Without settings, as the coordinator says it.
    pub(crate) fn absent() -> Self {
        Self { settings: "null".to_owned(), ..Self::default() }
    }
}

/// The context's builders on what carries one.
macro_rules! context_builders {
    ($($type:ty),+) => { $(
        impl $type {
            /// Sets the time, in Unix seconds.
            #[must_use]
            pub fn at(mut self, now: u64) -> Self {
                self.context = self.context.at(now);
                self
            }

            /// Sets the JSON text of the settings.
            #[must_use]
            pub fn with_settings(mut self, json: impl Into<String>) -> Self {
                self.context = self.context.with_settings(json);
                self
            }

            /// Adds a fact.
            #[must_use]
            pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                self.context = self.context.with_fact(name, value);
                self
            }
        }
    )+ };
}

context_builders!(authorization::Request, admission::Request, Proposal, Template);

impl authorization::Request {
    /// A request of a user who holds no role.
    pub fn new<T: Into<String>>(
        user: impl Into<String>,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_names: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            context: Context::absent(),
            principal: Principal { name: user.into(), certificate_sha256: vec![0; 32], roles: Vec::new() },
            action: action.into(),
            resource_type: resource_type.into(),
            resource_names: texts(resource_names),
        }
    }

    /// Gives the user a role.
    #[must_use]
    pub fn with_role<N: Into<String>, A: Into<String>>(
        mut self,
        name: impl Into<String>,
        resource_type: impl Into<String>,
        resource_names: impl IntoIterator<Item = N>,
        actions: impl IntoIterator<Item = A>,
    ) -> Self {
        self.principal.roles.push(Role {
            name: name.into(),
            resource_type: resource_type.into(),
            resource_names: texts(resource_names),
            actions: texts(actions),
        });
        self
    }
}

impl admission::Request {
    /// A Marble without evidence, as in simulation.
    pub fn new(marble_type: impl Into<String>) -> Self {
        Self { context: Context::absent(), marble_type: marble_type.into(), ..Self::default() }
    }

    /// Adds evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: admission::Evidence) -> Self {
        self.evidence = Some(evidence);
        self
    }
}

impl Proposal {
    /// A first manifest.
    pub fn of(manifest: impl Into<String>) -> Self {
        Self {
            context: Context::absent(),
            change: "initial".to_owned(),
            manifest: manifest.into(),
            manifest_sha256: vec![0; 32],
            ..Self::default()
        }
    }

    /// Makes it a full update of a manifest.
    #[must_use]
    pub fn updating(mut self, current: impl Into<String>) -> Self {
        self.change = "full-update".to_owned();
        self.current = Some(current.into());
        self
    }

    /// Adds a security version in force.
    #[must_use]
    pub fn with_version(mut self, package: impl Into<String>, security_version: u64) -> Self {
        self.current_versions.push(PackageVersion { name: package.into(), security_version });
        self
    }
}

impl Template {
    /// A template of a file.
    pub fn file(path: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        let (name, text) = (path.into(), text.into());
        Self { context: Context::absent(), name, target: Target::File, text }
    }

    /// A template of an environment variable.
    pub fn env(variable: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { target: Target::Env, ..Self::file(variable, text) }
    }
}

fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}
