//! Manifests for tests, as JSON values to adapt.

use serde_json::{Value, json};

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
