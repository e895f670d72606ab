//! Roles (M-60..M-64). That no role reads a private secret or writes a generated one is checked by the host.

use carrara_types::decision::Finding;
use carrara_types::manifest::{ParsedManifest, Role};

use super::{error, pointer};

/// M-60, ignoring case.
const PACKAGE_ACTIONS: &[&str] = &["UpdateSecurityVersion"];

/// M-61, ignoring case.
const SECRET_ACTIONS: &[&str] = &["ReadSecret", "WriteSecret"];

/// M-62, ignoring case; all but the first are this coordinator's own.
const MANIFEST_ACTIONS: &[&str] = &["UpdateManifest", "ReadAudit", "ReadDecisions", "Backup"];

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    for (name, role) in &manifest.roles {
        match role.resource_type.as_str() {
            "Packages" => {
                resources("M-60", name, role, |resource| manifest.packages.contains_key(resource), found);
                actions("M-60", name, role, PACKAGE_ACTIONS, found);
            }
            "Secrets" => {
                actions("M-61", name, role, SECRET_ACTIONS, found);
                resources("M-61", name, role, |resource| manifest.secrets.contains_key(resource), found);
            }
            "Manifest" => {
                no_resources(name, role, found);
                actions("M-62", name, role, MANIFEST_ACTIONS, found);
            }
            other => unknown_type(name, other, found),
        }
    }
}

fn resources(code: &str, name: &str, role: &Role, defined: impl Fn(&str) -> bool, found: &mut Vec<Finding>) {
    for (index, resource) in role.resource_names.iter().enumerate() {
        if !defined(resource) {
            let resource_type = &role.resource_type;
            let message = format!(
                "role {name}: resource {resource} of type {resource_type} is not defined in manifest"
            );
            let path = pointer(&["Roles", name, "ResourceNames", &index.to_string()]);
            let hint = format!("define it under {resource_type}, or remove it from the role");
            found.push(error(code, path, message, &hint));
        }
    }
}

fn actions(code: &str, name: &str, role: &Role, known: &[&str], found: &mut Vec<Finding>) {
    for (index, action) in role.actions.iter().enumerate() {
        if !known.iter().any(|known| known.eq_ignore_ascii_case(action)) {
            let message = format!("unknown action: {action} for type {} in role: {name}", role.resource_type);
            let path = pointer(&["Roles", name, "Actions", &index.to_string()]);
            found.push(error(code, path, message, &format!("known actions: {}", known.join(", "))));
        }
    }
}

fn no_resources(name: &str, role: &Role, found: &mut Vec<Finding>) {
    if !role.resource_names.is_empty() {
        let message = format!("role {name}: resource names are not allowed for type Manifest");
        let hint = "leave ResourceNames out: there is one manifest";
        found.push(error("M-62", pointer(&["Roles", name, "ResourceNames"]), message, hint));
    }
}

fn unknown_type(name: &str, resource_type: &str, found: &mut Vec<Finding>) {
    let message = format!("unrecognized resource type: {resource_type} for role: {name}");
    // An empty one is left out of normalised JSON: there is only the role to point at.
    let path = match resource_type {
        "" => pointer(&["Roles", name]),
        _ => pointer(&["Roles", name, "ResourceType"]),
    };
    let hint = "known types: Packages, Secrets, Manifest";
    found.push(error("M-63", path, message, hint));
}
