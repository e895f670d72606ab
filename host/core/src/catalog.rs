//! What renderers may know of secrets: names, declarations and which parts are set, never a byte.

use std::sync::Arc;

use carrara_types::decision::{Part, Scope, SecretInfo};
use carrara_types::manifest::{ParsedManifest, SecretDefinition};

use crate::generate::SecretValue;
use crate::ports::{SecretCatalog, Snapshot};
use crate::records;

/// Where the parts of user-defined secrets are looked up.
pub(crate) enum UserDefined {
    /// Nowhere: a dry run pretends that all are set (S-61).
    Dummies,
    /// In the state.
    Stored(Arc<dyn Snapshot>),
}

/// The secrets of a manifest.
pub(crate) struct Catalog<M> {
    pub(crate) manifest: Arc<M>,
    pub(crate) user_defined: UserDefined,
}

/// The reserved entries with the parts that they have (secrets-and-templates.md section 5).
const RESERVED: [(&str, &[Part]); 4] = [
    ("CoordinatorIntermediate", &[Part::Certificate]),
    ("CoordinatorRoot", &[Part::Certificate]),
    ("MarbleCert", &[Part::Public, Part::Private, Part::Certificate]),
    ("RootCA", &[Part::Certificate]),
];

impl<M> SecretCatalog for Catalog<M>
where
    M: std::ops::Deref<Target = ParsedManifest> + Send + Sync,
{
    fn names(&self, scope: Scope) -> Vec<String> {
        match scope {
            Scope::Reserved => RESERVED.iter().map(|(name, _)| (*name).to_owned()).collect(),
            Scope::Current | Scope::Previous => self.manifest.secrets.keys().cloned().collect(),
        }
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        if scope == Scope::Reserved {
            return RESERVED
                .iter()
                .find(|(reserved, _)| *reserved == name)
                .map(|(_, parts)| reserved_info(name, parts));
        }
        let definition = self.manifest.secrets.get(name)?;
        Some(SecretInfo {
            name: name.to_owned(),
            kind: definition.kind.name().to_owned(),
            size: u32::try_from(definition.size).unwrap_or(u32::MAX),
            shared: definition.shared,
            user_defined: definition.user_defined,
            valid_for: u32::try_from(definition.valid_for).unwrap_or(u32::MAX),
            parts: self.parts(scope, name, definition),
        })
    }
}

impl<M> Catalog<M> {
    fn parts(&self, scope: Scope, name: &str, definition: &SecretDefinition) -> Vec<Part> {
        const ALL: [Part; 3] = [Part::Public, Part::Private, Part::Certificate];
        if !definition.user_defined {
            let parts: &[Part] =
                if definition.kind.is_certificate() { &ALL } else { &[Part::Public, Part::Private] };
            return parts.to_vec();
        }
        match &self.user_defined {
            UserDefined::Dummies => ALL.to_vec(),
            UserDefined::Stored(snapshot) => {
                // A record that does not open is a secret without parts: the template fails and the state is untouched.
                let key = if scope == Scope::Previous {
                    records::previous_secret(name)
                } else {
                    records::secret(name)
                };
                records::read_secret(snapshot.as_ref(), &key)
                    .ok()
                    .flatten()
                    .map(|v| set_parts(&v))
                    .unwrap_or_default()
            }
        }
    }
}

fn set_parts(value: &SecretValue) -> Vec<Part> {
    [
        (Part::Public, value.public.is_some()),
        (Part::Private, value.private.is_some()),
        (Part::Certificate, value.certificate.is_some()),
    ]
    .into_iter()
    .filter_map(|(part, set)| set.then_some(part))
    .collect()
}

fn reserved_info(name: &str, parts: &[Part]) -> SecretInfo {
    SecretInfo {
        name: name.to_owned(),
        kind: "cert-ecdsa".to_owned(),
        size: 384,
        shared: false,
        user_defined: false,
        valid_for: 0,
        parts: parts.to_vec(),
    }
}
