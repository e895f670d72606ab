//! What a proposed manifest changes, in the words of the manifest and not of its text.
//!
//! Both manifests are brought to their normal form first, so that the case of field names, white space, defaults and the
//! spelling of bytes are no differences. Certificates and public keys are compared and shown by the SHA-256 of their
//! DER. What may harm is marked; whether it is meant, only the reader knows.

mod danger;
pub(crate) mod lines;
mod rights;

use std::collections::BTreeSet;

use carrara_types::manifest::ParsedManifest;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The sections in the order in which they are reported.
const SECTIONS: &[&str] = &[
    "Packages",
    "Infrastructures",
    "Marbles",
    "Users",
    "Roles",
    "Secrets",
    "RecoveryKeys",
    "TLS",
    "Config",
    "Policies",
];
/// The only sections that a package update may have (manifest.md section 5).
const PACKAGE_UPDATE: &[&str] = &["Packages", "Config", "Policies"];

/// How something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Was not there.
    Added,
    /// Is no longer there.
    Removed,
    /// Is another.
    Changed,
    /// Follows from other changes, or happens with every full update.
    Effect,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    /// How.
    pub(crate) kind: Kind,
    /// What: a pointer (RFC 6901) into the manifest in its normal form.
    pub(crate) path: String,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Value>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Value>,
    /// Why it needs a second look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) danger: Option<String>,
}

/// All differences, by section. `proposed` may be a package update: then it is what `current` becomes by it.
pub(crate) fn diff(current: &Value, proposed: &Value) -> Vec<Change> {
    let (old, mut new) = (normal(current), normal(proposed));
    let changes_packages_alone = is_package_update(&new) && !is_package_update(&old);
    if changes_packages_alone {
        new = with_package_update(&old, &new);
    }
    let mut changes = Vec::new();
    let empty = json!({});
    for section in SECTIONS {
        let (old, new) = (old.get(*section).unwrap_or(&empty), new.get(*section).unwrap_or(&empty));
        compare(&mut vec![section], Some(old), Some(new), &mut changes);
    }
    for change in &mut changes {
        change.danger = danger::of(change, &old, &new);
    }
    changes.extend(rights::effects(&old, &new));
    if !changes_packages_alone {
        changes.extend(danger::effects(&old, &new));
    }
    changes
}

/// Whether nobody could update the manifest again after these changes.
pub(crate) fn locks_everybody_out(changes: &[Change]) -> bool {
    changes.iter().any(rights::locks_everybody_out)
}

/// The normal form; what is no manifest is compared as it stands.
fn normal(value: &Value) -> Value {
    let text = value.to_string();
    let Ok(manifest) = ParsedManifest::parse(text.as_bytes()) else { return value.clone() };
    let mut normal: Value =
        serde_json::from_str(&manifest.normalised_json()).unwrap_or_else(|_| value.clone());
    // The normal form only says that there are some.
    let policies =
        value.as_object().and_then(|all| all.iter().find(|(key, _)| key.eq_ignore_ascii_case("policies")));
    if let (Some((_, policies)), Some(all)) = (policies, normal.as_object_mut()) {
        all.insert("Policies".to_owned(), policies.clone());
    }
    let users = normal.get_mut("Users").and_then(Value::as_object_mut);
    for user in users.into_iter().flat_map(Map::values_mut) {
        if let Some(certificate) = user.get_mut("Certificate") {
            fingerprint(certificate);
        }
    }
    let keys = normal.get_mut("RecoveryKeys").and_then(Value::as_object_mut);
    keys.into_iter().flat_map(Map::values_mut).for_each(fingerprint);
    normal
}

/// PEM becomes the hash of its content; anything else stays.
fn fingerprint(value: &mut Value) {
    let block = value.as_str().and_then(|text| pem::parse(text).ok());
    if let Some(block) = block {
        *value = json!(format!("SHA-256 {}", hex::encode(Sha256::digest(block.contents()))));
    }
}

fn is_package_update(manifest: &Value) -> bool {
    let sections = manifest.as_object();
    sections.is_some_and(|sections| sections.keys().all(|key| PACKAGE_UPDATE.contains(&key.as_str())))
}

/// The current manifest with the security versions of a package update (M-103..M-106).
fn with_package_update(current: &Value, update: &Value) -> Value {
    let mut updated = current.clone();
    let packages = update.get("Packages").and_then(Value::as_object);
    for (name, package) in packages.into_iter().flatten() {
        let target = updated.get_mut("Packages").and_then(|all| all.get_mut(name));
        let target = target.and_then(Value::as_object_mut);
        if let (Some(target), Some(version)) = (target, package.get("SecurityVersion")) {
            target.insert("SecurityVersion".to_owned(), version.clone());
        } else if let Some(all) = updated.get_mut("Packages").and_then(Value::as_object_mut) {
            // Will be refused; shown as what it would be.
            all.insert(name.clone(), package.clone());
        }
    }
    updated
}

/// Things of a section that have a name of their own are added and removed as a whole, and so is a package's identity of a
/// kind of virtual machine.
fn is_entry(path: &[&str]) -> bool {
    path.len() == 2 && path.first() != Some(&"Config") || matches!(path, ["Packages", _, "TDX" | "SNP"])
}

/// Lists whose order says nothing.
fn is_set(path: &[&str]) -> bool {
    matches!(
        path,
        ["Users", _, "Roles"]
            | ["Roles", _, "ResourceNames" | "Actions"]
            | ["Packages", _, "AcceptedTCBStatuses" | "AcceptedAdvisories"]
            | ["Marbles", _, "TLS"]
            | ["Config", "FeatureGates"]
    )
}

fn compare<'a>(
    path: &mut Vec<&'a str>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    changes: &mut Vec<Change>,
) {
    if old == new {
        return;
    }
    let fields = |value: Option<&'a Value>| value.and_then(Value::as_object);
    let one_is_missing = old.is_none() || new.is_none();
    let is_object = [old, new].iter().flatten().all(|value| value.is_object());
    let is_empty = |value: Option<&Value>| fields_of(value).is_some_and(Map::is_empty);
    if is_object && !(one_is_missing && (is_entry(path) || is_empty(old) || is_empty(new))) {
        let names = fields(old).into_iter().chain(fields(new)).flat_map(Map::keys);
        for name in names.collect::<BTreeSet<_>>() {
            path.push(name);
            compare(
                path,
                fields(old).and_then(|all| all.get(name)),
                fields(new).and_then(|all| all.get(name)),
                changes,
            );
            path.pop();
        }
        return;
    }
    if is_set(path) {
        compare_sets(path, old, new, changes);
        return;
    }
    let kind = match (old, new) {
        (None, _) => Kind::Added,
        (_, None) => Kind::Removed,
        _ => Kind::Changed,
    };
    changes.push(Change { kind, path: pointer(path), old: old.cloned(), new: new.cloned(), danger: None });
}

fn fields_of(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn compare_sets(path: &[&str], old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (old, new) = (items(old), items(new));
    let path = pointer(path);
    for item in old.iter().filter(|item| !new.contains(item)) {
        let old = Some(item.clone());
        changes.push(Change { kind: Kind::Removed, path: path.clone(), old, new: None, danger: None });
    }
    for item in new.iter().filter(|item| !old.contains(item)) {
        let new = Some(item.clone());
        changes.push(Change { kind: Kind::Added, path: path.clone(), old: None, new, danger: None });
    }
}

fn pointer(path: &[&str]) -> String {
    path.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests;
