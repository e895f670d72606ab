//! Sample requests for each world, and more that are made from them with a seed: what properties, figures and comparisons
//! ask where an author's own cases are few.

mod generate;

use std::path::Path;

use carrara_wasm::World;
use serde_json::{Value, json};

pub use generate::{Random, generated};
pub(crate) use generate::{places, read};

use crate::cases::CaseTable;
use crate::question::Question;

/// A request to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// For people.
    pub name: String,
    /// The JSON text of the settings that it is asked with.
    pub settings: String,
    /// The request.
    pub question: Question,
}

/// 2026-01-15, a Thursday, at noon.
pub(crate) const NOON: u64 = 1_768_478_400;

/// Ordinary requests of a world, with no settings.
#[must_use]
pub fn samples(world: World) -> Vec<Sample> {
    let requests = match world {
        World::RoleAuthorization => authorizations(),
        World::MarbleAdmission => admissions(),
        World::ManifestValidation => validations(),
        World::SecretRendering => renderings(),
    };
    let sample = |(name, request): (&str, Value)| {
        // All of them are well-formed: a test reads them.
        let question = Question::read(world, request, Path::new(".")).ok()?;
        Some(Sample { name: name.to_owned(), settings: "null".to_owned(), question })
    };
    requests.into_iter().filter_map(sample).collect()
}

/// The requests of a table, with their settings.
#[must_use]
pub fn of_cases(table: &CaseTable) -> Vec<Sample> {
    let sample = |case: &crate::cases::Case| {
        let question = case.question.clone()?;
        Some(Sample { name: case.name.clone(), settings: case.settings.clone(), question })
    };
    table.cases.iter().filter_map(sample).collect()
}

fn context() -> Value {
    json!({ "now": NOON, "revision": 7, "facts": [
        { "name": "secret-last-set:token", "value": { "number": NOON - 86_400 } },
    ] })
}

fn authorizations() -> Vec<(&'static str, Value)> {
    let reader = json!({ "name": "reader", "resource-type": "Secrets", "resource-names": ["key", "token"],
        "actions": ["ReadSecret"] });
    let writer = json!({ "name": "writer", "resource-type": "Secrets", "resource-names": ["token"],
        "actions": ["ReadSecret", "WriteSecret"] });
    let release = json!({ "name": "release", "resource-type": "Packages", "resource-names": ["web"],
        "actions": ["UpdateSecurityVersion"] });
    let owner = json!({ "name": "owner", "resource-type": "Manifest", "actions":
        ["UpdateManifest", "ReadAudit", "ReadDecisions", "Backup"] });
    let asked = |user: &str, roles: &[&Value], action: &str, kind: &str, names: &[&str]| {
        json!({
            "principal": { "name": user, "certificate-sha256": "07".repeat(32), "roles": roles },
            "action": action, "resource-type": kind, "resource-names": names, "context": context(),
        })
    };
    vec![
        ("a reader reads a secret", asked("alice", &[&reader], "ReadSecret", "Secrets", &["key"])),
        (
            "a reader reads two secrets",
            asked("alice", &[&reader], "ReadSecret", "Secrets", &["key", "token"]),
        ),
        ("a reader reads another secret", asked("alice", &[&reader], "ReadSecret", "Secrets", &["other"])),
        ("a reader writes a secret", asked("alice", &[&reader], "WriteSecret", "Secrets", &["token"])),
        ("a writer writes a secret", asked("bob", &[&writer], "WriteSecret", "Secrets", &["token"])),
        (
            "a user of two roles",
            asked("carol", &[&reader, &writer], "ReadSecret", "Secrets", &["key", "token"]),
        ),
        (
            "an update of a package",
            asked("carol", &[&release], "UpdateSecurityVersion", "Packages", &["web"]),
        ),
        ("an update of the manifest", asked("dave", &[&owner], "UpdateManifest", "Manifest", &[])),
        ("reading the audit log", asked("dave", &[&owner, &reader], "ReadAudit", "Manifest", &[])),
        ("a user without roles", asked("mallory", &[], "UpdateManifest", "Manifest", &[])),
    ]
}

fn admissions() -> Vec<(&'static str, Value)> {
    let sgx = |debug: bool, status: &str, advisories: &[&str]| {
        json!({ "tee": "sgx", "debug": debug, "tcb-status": status, "advisories": advisories, "identity": [
            { "name": "unique-id", "value": { "bytes": "11".repeat(32) } },
            { "name": "signer-id", "value": { "bytes": "22".repeat(32) } },
            { "name": "product-id", "value": { "number": 1 } },
            { "name": "security-version", "value": { "number": 3 } },
        ] })
    };
    let asked = |evidence: Value, names: &[&str], activations: Option<u64>, most: Option<u64>| {
        json!({
            "marble-type": "frontend", "package-name": "web", "uuid": "d6d5d8e6-0f2c-4d8f-9a43-0a8d1c0e7b11",
            "evidence": evidence, "dns-names": names, "ip-addresses": ["10.0.0.7", "::1"],
            "activations": activations, "max-activations": most, "context": context(),
        })
    };
    let tdx = json!({ "tee": "tdx", "tcb-status": "UpToDate", "identity": [
        { "name": "mrtd", "value": { "bytes": "33".repeat(48) } } ] });
    vec![
        (
            "production",
            asked(sgx(false, "UpToDate", &[]), &["frontend.example.org", "localhost"], None, None),
        ),
        ("debug mode", asked(sgx(true, "UpToDate", &[]), &["localhost"], None, None)),
        (
            "an old platform",
            asked(sgx(false, "OutOfDate", &["INTEL-SA-00001", "INTEL-SA-00002"]), &[], None, None),
        ),
        (
            "hardening needed",
            asked(sgx(false, "SWHardeningNeeded", &["INTEL-SA-00334"]), &[], Some(0), Some(2)),
        ),
        ("the last activation", asked(sgx(false, "UpToDate", &[]), &["a.example.org"], Some(1), Some(2))),
        ("a virtual machine", asked(tdx, &["vm.example.org"], None, None)),
        ("simulation", asked(Value::Null, &["localhost"], None, None)),
    ]
}

fn validations() -> Vec<(&'static str, Value)> {
    let package =
        |version: u64| json!({ "SignerID": "44".repeat(32), "ProductID": 1, "SecurityVersion": version });
    let manifest = |packages: Value| {
        json!({
            "Packages": packages,
            "Marbles": { "frontend": { "Package": "web", "MaxActivations": 3, "Parameters": {
                "Argv": ["serve"], "Env": { "TOKEN": "{{ hex .Secrets.token }}" } } } },
            "Secrets": { "token": { "Type": "symmetric-key", "Size": 128, "Shared": true },
                "upload": { "Type": "plain", "UserDefined": true } },
            "Users": { "alice": { "Certificate": "-", "Roles": ["reader"] } },
            "Roles": { "reader": { "ResourceType": "Secrets", "ResourceNames": ["token"], "Actions": ["ReadSecret"] } },
        })
    };
    let plain = manifest(json!({ "web": package(2) }));
    let proposer = json!({ "name": "dave", "roles": [{ "name": "owner", "resource-type": "Manifest",
        "actions": ["UpdateManifest"] }] });
    let versions =
        json!([{ "name": "web", "security-version": 2 }, { "name": "worker", "security-version": 5 }]);
    let update = |manifest: Value| {
        json!({ "manifest": manifest, "current": plain, "current-versions": versions, "proposer": proposer,
            "change": "full-update", "context": context() })
    };
    vec![
        ("a first manifest", json!({ "manifest": plain, "context": context() })),
        (
            "a debug package",
            json!({ "manifest": manifest(json!({ "web": { "Debug": true } })), "context": context() }),
        ),
        ("two packages", json!({ "manifest": manifest(json!({ "web": package(2), "worker": package(5) })) })),
        ("an update that raises a version", update(manifest(json!({ "web": package(3) })))),
        ("an update that lowers a version", update(manifest(json!({ "web": package(1) })))),
        ("an update that changes nothing", update(plain.clone())),
        ("a new manifest in recovery", json!({ "manifest": plain, "change": "reset", "context": context() })),
    ]
}

fn renderings() -> Vec<(&'static str, Value)> {
    let secrets = json!([
        { "name": "token", "kind": "symmetric-key", "size": 128, "shared": true },
        { "name": "upload", "kind": "plain", "user-defined": true },
        { "name": "server", "kind": "cert-ecdsa", "size": 256, "valid-for": 30 },
        { "name": "token", "kind": "symmetric-key", "size": 128, "scope": "previous" },
        { "name": "MarbleCert", "kind": "cert-ecdsa", "scope": "reserved" },
    ]);
    let asked =
        |templates: Value| json!({ "templates": templates, "secrets": secrets, "context": context() });
    vec![
        (
            "plain texts",
            asked(json!([{ "name": "/etc/app", "text": "mode=production\n" },
            { "name": "APP_MODE", "target": "env", "text": "production" }])),
        ),
        ("an empty text", asked(json!([{ "name": "/etc/empty", "text": "" }]))),
        ("braces", asked(json!([{ "name": "/etc/app", "text": "{{ hex .Secrets.token }}\n" }]))),
        ("dollar and braces", asked(json!([{ "name": "/etc/app", "text": "key=${token}\n" }]))),
        ("something that is not closed", asked(json!([{ "name": "/etc/app", "text": "{{ hex .Secrets" }]))),
        (
            "a secret that is not there",
            asked(json!([{ "name": "/etc/app", "text": "{{ .Secrets.nope }} ${nope}" }])),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_samples_are_requests_of_their_world_with_names_of_their_own() {
        for (world, expected) in [
            (World::RoleAuthorization, authorizations().len()),
            (World::MarbleAdmission, admissions().len()),
            (World::ManifestValidation, validations().len()),
            (World::SecretRendering, renderings().len()),
        ] {
            let samples = samples(world);
            assert_eq!(samples.len(), expected, "{world}");
            let names: std::collections::BTreeSet<_> = samples.iter().map(|sample| &sample.name).collect();
            assert_eq!(names.len(), expected);
            assert!(samples.iter().all(|sample| sample.question.world() == world));
        }
    }
}
