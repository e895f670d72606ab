//! Users, roles and recovery keys: who is who, and which secrets users can never reach.

use std::collections::{HashMap, HashSet};

use super::Found;
use crate::decision::Severity;
use crate::manifest::names::certificate_der;
use crate::manifest::{ParsedManifest, Role};

/// Users, and likewise roles. The built-in authorizer's fuel is enough for as many.
pub(super) const MAX_USERS: usize = 10_000;

/// The names of all users who may update the manifest, as JSON. A line of the update log has 64 KiB; the rest of it is short.
pub(super) const MAX_UPDATERS_BYTES: usize = 60 << 10;

/// As many as Shamir's shares can be, and every one costs work and a part of the clear recovery data.
#[cfg(feature = "host")]
pub(super) const MAX_RECOVERY_KEYS: usize = 255;

/// Characters of a long name that a message shows.
const SHOWN_CHARS: usize = 40;

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Found) {
    // First: so many errors in their entries would take its place.
    judge_numbers(manifest, found);
    // By the certificate's bytes, so that a change of white space does not make a second user of the same key (M-52).
    let mut holders: HashMap<Vec<u8>, &str> = HashMap::with_capacity(manifest.users.len());
    for (name, user) in &manifest.users {
        judge_certificate(name, &user.certificate, &mut holders, found);
        for (index, role) in user.roles.iter().enumerate() {
            if !manifest.roles.contains_key(role) {
                let message =
                    format!("manifest specifies role {role} for user {name}, but role does not exist");
                found.error("M-51", &["Users", name, "Roles", &index.to_string()], message);
            }
        }
    }
    for (name, role) in &manifest.roles {
        judge_role(name, role, manifest, found);
    }
    judge_recovery_keys(manifest, found);
    judge_updaters(manifest, found);
}

/// Each is looked at in every decision about a user.
fn judge_numbers(manifest: &ParsedManifest, found: &mut Found) {
    for (section, count) in [("Users", manifest.users.len()), ("Roles", manifest.roles.len())] {
        if count > MAX_USERS {
            let message = format!("too many entries in {section}: {count}, and at most {MAX_USERS}");
            found.error("X-17", &[section], message);
        }
    }
}

/// One line of the update log names all who have not acknowledged an update yet. If they did not fit, no update of this
/// manifest could begin, and nobody could change that any more.
fn judge_updaters(manifest: &ParsedManifest, found: &mut Found) {
    let updates = |role: &Role| {
        role.resource_type == "Manifest"
            && role.actions.iter().any(|action| action.eq_ignore_ascii_case("UpdateManifest"))
    };
    let updating: HashSet<&str> =
        manifest.roles.iter().filter(|(_, role)| updates(role)).map(|(name, _)| name.as_str()).collect();
    let mut names: Vec<&str> = manifest
        .users
        .iter()
        .filter(|(_, user)| user.roles.iter().any(|role| updating.contains(role.as_str())))
        .map(|(name, _)| name.as_str())
        .collect();
    let bytes: usize = names.iter().map(|name| quoted_length(name)).sum();
    if bytes > MAX_UPDATERS_BYTES {
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let longest: Vec<String> = names.iter().take(3).map(|name| shortened(name)).collect();
        let message = format!(
            "the names of the {} users who may update the manifest take {bytes} bytes of the update log, more than the \
             limit of {MAX_UPDATERS_BYTES}; the longest: {}",
            names.len(),
            longest.join(", ")
        );
        let hint = "give fewer users a role with the action UpdateManifest, or shorter names";
        found.add(Severity::Error, "R-60", &["Users"], message, hint);
    }
}

/// What a name takes as JSON, with the comma after it.
fn quoted_length(name: &str) -> usize {
    let escaped = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    };
    name.chars().map(escaped).sum::<usize>() + 3
}

fn shortened(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN_CHARS).collect();
    if shown.len() < name.len() {
        shown.push_str("...");
    }
    shown
}

/// M-50, M-52, M-53.
fn judge_certificate<'m>(
    name: &'m str,
    certificate: &str,
    holders: &mut HashMap<Vec<u8>, &'m str>,
    found: &mut Found,
) {
    let path = ["Users", name, "Certificate"];
    if certificate.is_empty() {
        return found.error(
            "M-50",
            &path,
            format!("manifest does not contain a certificate for user {name}"),
        );
    }
    let der = certificate_der(certificate);
    let valid = der.as_deref().is_some_and(is_certificate);
    if !valid {
        let message = format!("received invalid certificate for user {name}");
        found.add(Severity::Error, "M-53", &path, message, "give an X.509 certificate as PEM");
    }
    match holders.entry(der.unwrap_or_else(|| certificate.as_bytes().to_vec())) {
        std::collections::hash_map::Entry::Occupied(first) => {
            let first = first.get();
            let message = format!("manifest contains the same certificate for users {first} and {name}");
            found.error("M-52", &path, message);
        }
        std::collections::hash_map::Entry::Vacant(holder) => {
            holder.insert(name);
        }
    }
}

#[cfg(feature = "host")]
fn is_certificate(der: &[u8]) -> bool {
    crate::manifest::names::is_certificate(der)
}

/// A guest leaves the certificate's contents to the host.
#[cfg(not(feature = "host"))]
fn is_certificate(_der: &[u8]) -> bool {
    true
}

/// The part of M-61 that no validator may waive: a private secret has no one value that could be read, and a
/// generated one must stay what the coordinator made.
fn judge_role(name: &str, role: &Role, manifest: &ParsedManifest, found: &mut Found) {
    if role.resource_type != "Secrets" {
        return;
    }
    let allows = |wanted: &str| role.actions.iter().any(|action| action.eq_ignore_ascii_case(wanted));
    let (reads, writes) = (allows("ReadSecret"), allows("WriteSecret"));
    for (index, resource) in role.resource_names.iter().enumerate() {
        let Some(secret) = manifest.secrets.get(resource).filter(|secret| !secret.user_defined) else {
            continue;
        };
        let index = index.to_string();
        let path = ["Roles", name, "ResourceNames", &index];
        if writes {
            let message = format!(
                "manifest specifies write permission for role {name} and secret {resource}, but secret is not user-defined"
            );
            found.error("M-61", &path, message);
        }
        if reads && !secret.shared {
            let message = format!(
                "manifest specifies read permission for role {name} and per-marble-unique secret {resource}"
            );
            found.error("M-61", &path, message);
        }
    }
}

/// M-79. Of too many none is looked at.
#[cfg(feature = "host")]
fn judge_recovery_keys(manifest: &ParsedManifest, found: &mut Found) {
    let count = manifest.recovery_keys.len();
    if count > MAX_RECOVERY_KEYS {
        let message = format!("{count} recovery keys are too many: at most {MAX_RECOVERY_KEYS} are allowed");
        return found.error("X-17", &["RecoveryKeys"], message);
    }
    for (name, pem) in &manifest.recovery_keys {
        if let Err(error) = crate::manifest::names::recovery_key_spki(pem) {
            let hint =
                format!("recovery key {name}: give an RSA public key as PEM with the label PUBLIC KEY");
            found.add(Severity::Error, "M-79", &["RecoveryKeys", name], error.to_string(), &hint);
        }
    }
}

/// A guest leaves recovery keys to the host.
#[cfg(not(feature = "host"))]
fn judge_recovery_keys(_manifest: &ParsedManifest, _found: &mut Found) {}
