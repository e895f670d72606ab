//! `manifest get HOST`.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Get;
use crate::args::Globals;
use crate::files;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(globals: &Globals, command: &Get, output: &mut Output) -> Result<()> {
    let session = Session::new(globals, &command.host);
    let attested = session.attest().await?;
    let client = session.attested_client(&attested);
    let answer = client.manifest().await?;
    let manifest = match command.display_update {
        true => consolidate(&answer.manifest, &client.update_log().await?)?,
        false => answer.manifest,
    };
    if command.keep_cert {
        session.cache(&attested.chain)?;
    }

    let text = match command.signature {
        true => [
            br#"{"ManifestSignature": ""#,
            answer.fingerprint.as_bytes(),
            b"\",\n\"Manifest\": ",
            &manifest,
            b"}\n",
        ]
        .concat(),
        false => manifest.clone(),
    };
    match &command.out_file {
        Some(path) => {
            files::write(path, &text)?;
            output.line(&format!("Manifest written to: {}", path.display()))?;
        }
        None => output.bytes(&text)?,
    }
    let parsed: Value =
        serde_json::from_slice(&manifest).context("reading the coordinator's manifest as JSON")?;
    output.result(
        &json!({ "ManifestSignature": answer.fingerprint, "Manifest": parsed, "file": command.out_file }),
    )
}

/// The manifest with the security versions of later package updates, without nulls and empty maps.
pub(super) fn consolidate(manifest: &[u8], log: &[String]) -> Result<Vec<u8>> {
    let mut value: Value =
        serde_json::from_slice(manifest).context("reading the coordinator's manifest as JSON")?;
    for (package, version) in updated_versions(log) {
        let packages = field(&mut value, "Packages").and_then(|packages| packages.get_mut(&package));
        let Some(package) = packages else { continue };
        match field(package, "SecurityVersion") {
            Some(current) => *current = version,
            None => {
                if let Some(package) = package.as_object_mut() {
                    package.insert("SecurityVersion".to_owned(), version);
                }
            }
        }
    }
    prune(&mut value);
    serde_json::to_vec_pretty(&value).context("writing the manifest as JSON")
}

/// Package and version per line of R-60, in order. A whole new manifest brings its own versions.
fn updated_versions(log: &[String]) -> Vec<(String, Value)> {
    let mut versions = Vec::new();
    for line in log {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let update = line.get("update").and_then(Value::as_str).unwrap_or_default();
        if update == "Complete Manifest updated" || update.eq_ignore_ascii_case("initial manifest set") {
            versions.clear();
        }
        if let (Some(package), Some(version)) =
            (line.get("package").and_then(Value::as_str), line.get("new version"))
        {
            versions.push((package.to_owned(), version.clone()));
        }
    }
    versions
}

/// A field of a manifest, whose name is matched whatever its case (M-2).
fn field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let object = value.as_object_mut()?;
    let exact = object.contains_key(name);
    object
        .iter_mut()
        .find(|(key, _)| if exact { *key == name } else { key.eq_ignore_ascii_case(name) })
        .map(|(_, v)| v)
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(prune);
            object.retain(|_, value| {
                !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty())
            });
        }
        Value::Array(array) => array.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consolidated(manifest: &str, log: &[&str]) -> Value {
        let log: Vec<String> = log.iter().map(|line| (*line).to_owned()).collect();
        serde_json::from_slice(&consolidate(manifest.as_bytes(), &log).unwrap()).unwrap()
    }

    // cli.md `manifest get -u`, R-60
    #[test]
    fn the_last_security_version_of_a_package_is_shown() {
        let manifest =
            r#"{"packages":{"a":{"securityVersion":1},"b":{"UniqueID":"x"},"c":{"SecurityVersion":1}}}"#;
        let log = [
            r#"{"time":"t","update":"Initial manifest set"}"#,
            r#"{"time":"t","update":"SecurityVersion increased","user":"u","package":"a","new version":2}"#,
            r#"{"time":"t","update":"SecurityVersion increased","user":"u","package":"a","new version":3}"#,
            r#"{"time":"t","update":"SecurityVersion increased","user":"u","package":"b","new version":4}"#,
            r#"{"time":"t","update":"SecurityVersion increased","user":"u","package":"gone","new version":5}"#,
            "no JSON",
        ];
        let expected = json!({ "packages": {
            "a": { "securityVersion": 3 },
            "b": { "UniqueID": "x", "SecurityVersion": 4 },
            "c": { "SecurityVersion": 1 },
        }});
        assert_eq!(consolidated(manifest, &log), expected);
    }

    #[test]
    fn a_whole_new_manifest_outdates_earlier_package_updates() {
        let log = [
            r#"{"update":"SecurityVersion increased","package":"a","new version":9}"#,
            r#"{"update":"Complete Manifest updated","manifestFingerprint":"x"}"#,
        ];
        let manifest = r#"{"Packages":{"a":{"SecurityVersion":1}}}"#;
        assert_eq!(consolidated(manifest, &log), json!({ "Packages": { "a": { "SecurityVersion": 1 } } }));
    }

    #[test]
    fn nulls_and_empty_maps_are_left_out() {
        let manifest =
            r#"{"Packages":{"a":{"Debug":true,"SignerID":null}},"TLS":{},"Roles":{"r":{"x":{}}},"L":[]}"#;
        assert_eq!(consolidated(manifest, &[]), json!({ "Packages": { "a": { "Debug": true } }, "L": [] }));
    }
}
