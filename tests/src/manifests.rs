//! Manifests for tests, as JSON values to adapt.

use serde_json::{Value, json};

use crate::users::User;

/// The smallest valid manifest: one debug package, one Marble type `svc` without parameters.
#[must_use]
pub fn minimal() -> Value {
    json!({
        "Packages": { "pkg": { "Debug": true } },
        "Marbles": { "svc": { "Package": "pkg", "Parameters": {} } },
    })
}

/// [`minimal`] with a reader: a user, a role that reads `names`, and the secrets given.
#[must_use]
pub fn with_reader(user: &str, certificate: &str, names: &[&str], secrets: Value) -> Value {
    let mut manifest = minimal();
    manifest["Secrets"] = secrets;
    manifest["Users"] = json!({ user: { "Certificate": certificate, "Roles": ["reader"] } });
    manifest["Roles"] = json!({ "reader": {
        "ResourceType": "Secrets", "ResourceNames": names, "Actions": ["ReadSecret"],
    }});
    manifest
}

/// A package as in production: its identity by signer, product and version.
#[must_use]
pub fn signed_package(version: u64) -> Value {
    json!({ "SignerID": "ab".repeat(32), "ProductID": 1, "SecurityVersion": version })
}

/// [`minimal`] with users of whom the first so many may update the manifest; with a threshold of 0 all of them must.
#[must_use]
pub fn with_updaters(users: &[(&str, &User)], updaters: usize, threshold: u64) -> Value {
    let mut manifest = minimal();
    manifest["Packages"]["signed"] = signed_package(2);
    manifest["Roles"] = json!({ "updater": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] } });
    manifest["Users"] = json!({});
    for (index, (name, user)) in users.iter().enumerate() {
        let roles = if index < updaters { json!(["updater"]) } else { json!([]) };
        manifest["Users"][name] = json!({ "Certificate": user.certificate, "Roles": roles });
    }
    manifest["Config"] = json!({ "UpdateThreshold": threshold });
    manifest
}

/// Gives a user of the manifest one more role.
///
/// # Panics
/// If there is no such user.
pub fn grant(manifest: &mut Value, user: &str, role: &str, kind: &str, names: &[&str], actions: &[&str]) {
    manifest["Roles"][role] = json!({ "ResourceType": kind, "ResourceNames": names, "Actions": actions });
    let roles = manifest["Users"][user]["Roles"].as_array_mut().expect("there is such a user");
    roles.push(json!(role));
}
