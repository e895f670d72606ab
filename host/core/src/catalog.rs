//! What renderers may know of secrets: names, declarations and which parts are set, never a byte.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use carrara_types::decision::{Part, Scope, SecretInfo};
use carrara_types::manifest::{ParsedManifest, SecretDefinition};

use crate::generate::SecretValue;
use crate::ports::{SecretCatalog, Snapshot, StoreError};
use crate::records;

/// Where the parts of user-defined secrets are looked up.
pub(crate) enum UserDefined {
    /// Nowhere: a dry run pretends that all are set (S-61).
    Dummies,
    /// In an upload, by name; a dry run pretends that all parts of the others are set (S-55, S-61).
    Uploaded(BTreeMap<String, Vec<Part>>),
    /// In the state.
    Stored(Arc<dyn Snapshot>),
}

/// The secrets of a manifest.
pub(crate) struct Catalog<M> {
    manifest: Arc<M>,
    user_defined: UserDefined,
    unreadable: OnceLock<StoreError>,
}

/// The reserved entries with the parts that they have (secrets-and-templates.md section 5).
const RESERVED: [(&str, &[Part]); 4] = [
    ("CoordinatorIntermediate", &[Part::Certificate]),
    ("CoordinatorRoot", &[Part::Certificate]),
    ("MarbleCert", &[Part::Public, Part::Private, Part::Certificate]),
    ("RootCA", &[Part::Certificate]),
];

/// What a dry run shows renderers of a manifest's secrets; for tools that check templates without a coordinator.
#[must_use]
pub fn declared_secrets(manifest: Box<ParsedManifest>) -> Arc<dyn SecretCatalog> {
    Arc::new(Catalog::new(Arc::new(manifest), UserDefined::Dummies))
}

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
            name: name.into(),
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
    pub(crate) fn new(manifest: Arc<M>, user_defined: UserDefined) -> Self {
        Self { manifest, user_defined, unreadable: OnceLock::new() }
    }

    /// The first record that did not open when a renderer asked for it. Renderers see a secret without parts; who
    /// renders must look here before anything else is made of their answer.
    pub(crate) fn unreadable(&self) -> Option<&StoreError> {
        self.unreadable.get()
    }

    fn parts(&self, scope: Scope, name: &str, definition: &SecretDefinition) -> Vec<Part> {
        const ALL: [Part; 3] = [Part::Public, Part::Private, Part::Certificate];
        if !definition.user_defined {
            let parts: &[Part] =
                if definition.kind.is_certificate() { &ALL } else { &[Part::Public, Part::Private] };
            return parts.to_vec();
        }
        match &self.user_defined {
            UserDefined::Dummies => ALL.to_vec(),
            UserDefined::Uploaded(parts) => parts.get(name).cloned().unwrap_or_else(|| ALL.to_vec()),
            UserDefined::Stored(snapshot) => {
                let key = if scope == Scope::Previous {
                    records::previous_secret(name)
                } else {
                    records::secret(name)
                };
                match records::read_secret(snapshot.as_ref(), &key) {
                    Ok(value) => value.as_ref().map(set_parts).unwrap_or_default(),
                    Err(error) => {
                        _ = self.unreadable.set(error);
                        Vec::new()
                    }
                }
            }
        }
    }
}

/// The parts that are set, be they empty or not.
pub(crate) fn set_parts(value: &SecretValue) -> Vec<Part> {
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
        name: name.into(),
        kind: "cert-ecdsa".to_owned(),
        size: 384,
        shared: false,
        user_defined: false,
        valid_for: 0,
        parts: parts.to_vec(),
    }
}
