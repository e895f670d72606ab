//! Secrets for native tests: what is known of them, and fragments that say what they stand for.

use super::{AccessError, Encoding, Part, Scope, SecretInfo};

/// The secrets of one rendering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    known: Vec<(Scope, SecretInfo)>,
}

impl Secrets {
    /// Current secrets. In native tests only.
    #[must_use]
    pub fn of(known: impl IntoIterator<Item = SecretInfo>) -> Self {
        Self { known: known.into_iter().map(|info| (Scope::Current, info)).collect() }
    }

    /// Adds a secret of another scope. In native tests only.
    #[must_use]
    pub fn with(mut self, scope: Scope, info: SecretInfo) -> Self {
        self.known.push((scope, info));
        self
    }

    /// All names of a scope. Costs as much as there are secrets.
    #[must_use]
    pub fn names(&self, scope: Scope) -> Vec<String> {
        self.known.iter().filter(|(found, _)| *found == scope).map(|(_, info)| info.name.clone()).collect()
    }

    /// One secret.
    ///
    /// # Errors
    /// [`AccessError::NoSuchSecret`].
    pub fn lookup(&self, scope: Scope, name: &str) -> Result<Secret, AccessError> {
        let found = self.known.iter().find(|(found, info)| *found == scope && info.name == name);
        found.map(|(_, info)| Secret { info: info.clone() }).ok_or(AccessError::NoSuchSecret)
    }
}

/// A secret that a policy may place and not see.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    info: SecretInfo,
}

impl Secret {
    /// What may be known of it.
    #[must_use]
    pub fn info(&self) -> SecretInfo {
        self.info.clone()
    }

    /// A place for a part of it. In native tests every part that is set (for plain secrets and keys also the whole) can
    /// be written in every encoding; the coordinator is stricter.
    ///
    /// # Errors
    /// [`AccessError`] where that is not possible.
    pub fn encode(&self, part: Part, encoding: Encoding) -> Result<Fragment, AccessError> {
        if part != Part::Whole && !self.info.parts.contains(&part) {
            return Err(AccessError::NoSuchPart);
        }
        Ok(Fragment { shown: format!("<secret:{}:{}:{}>", self.info.name, part.name(), encoding.name()) })
    }
}

/// A place for a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Fragment {
    pub(crate) shown: String,
}
