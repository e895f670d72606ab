//! The coordinator's secrets as [`crate::rendering`] shows them.

use super::bindings::rendering::carrara::policy::secrets as host;
use crate::rendering::{AccessError, Encoding, Part, Scope, SecretInfo};

/// The secrets of one rendering.
#[derive(Debug)]
pub struct Secrets(());

impl Secrets {
    pub(crate) fn of_this_call() -> Self {
        Self(())
    }

    /// All names of a scope. Costs as much as there are secrets.
    #[must_use]
    pub fn names(&self, scope: Scope) -> Vec<String> {
        host::names(to_host_scope(scope))
    }

    /// One secret.
    ///
    /// # Errors
    /// [`AccessError::NoSuchSecret`].
    pub fn lookup(&self, scope: Scope, name: &str) -> Result<Secret, AccessError> {
        host::lookup(to_host_scope(scope), name).map(Secret).map_err(access_error)
    }
}

/// A secret that a policy may place and not see.
#[derive(Debug)]
pub struct Secret(host::Secret);

impl Secret {
    /// What may be known of it.
    #[must_use]
    pub fn info(&self) -> SecretInfo {
        let info = self.0.info();
        SecretInfo {
            name: info.name,
            kind: info.kind,
            size: info.size,
            shared: info.shared,
            user_defined: info.user_defined,
            valid_for: info.valid_for,
            parts: info.parts.into_iter().map(part).collect(),
        }
    }

    /// A place for a part of it; no byte is looked at.
    ///
    /// # Errors
    /// [`AccessError`] where that is not possible.
    pub fn encode(&self, part: Part, encoding: Encoding) -> Result<Fragment, AccessError> {
        self.0.encode(to_host_part(part), to_host_encoding(encoding)).map(Fragment).map_err(access_error)
    }
}

/// A place for a secret.
#[derive(Debug)]
pub struct Fragment(pub(super) host::Fragment);

fn access_error(error: host::AccessError) -> AccessError {
    match error {
        host::AccessError::NoSuchSecret => AccessError::NoSuchSecret,
        host::AccessError::NoSuchPart => AccessError::NoSuchPart,
        host::AccessError::Empty => AccessError::Empty,
        host::AccessError::WrongKind(why) => AccessError::WrongKind(why),
    }
}

fn to_host_scope(scope: Scope) -> host::Scope {
    match scope {
        Scope::Current => host::Scope::Current,
        Scope::Previous => host::Scope::Previous,
        Scope::Reserved => host::Scope::Reserved,
    }
}

fn to_host_part(part: Part) -> host::Part {
    match part {
        Part::Whole => host::Part::Whole,
        Part::Public => host::Part::Public,
        Part::Private => host::Part::Private,
        Part::Certificate => host::Part::Certificate,
    }
}

fn part(part: host::Part) -> Part {
    match part {
        host::Part::Whole => Part::Whole,
        host::Part::Public => Part::Public,
        host::Part::Private => Part::Private,
        host::Part::Certificate => Part::Certificate,
    }
}

fn to_host_encoding(encoding: Encoding) -> host::Encoding {
    match encoding {
        Encoding::Raw => host::Encoding::Raw,
        Encoding::Hex => host::Encoding::Hex,
        Encoding::Base64 => host::Encoding::Base64,
        Encoding::Pem => host::Encoding::Pem,
        Encoding::Text => host::Encoding::Text,
    }
}
