//! Components of policies that are sent along with a manifest: `--policy FILE`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use carrara_client::ClientError;
use carrara_types::policy::Digest;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::files;

/// A coordinator's word for a manifest whose components it does not have.
const MISSING: &str = "missing components of policies";

/// A component with its file.
pub(super) struct Component {
    pub(super) file: PathBuf,
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

/// Reads the files.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Component>> {
    let component = |file: &PathBuf| {
        let bytes = std::mem::take(&mut *files::read(file)?);
        let digest = Digest(Sha256::digest(&bytes).into());
        Ok(Component { file: file.clone(), digest, bytes })
    };
    files.iter().map(component).collect()
}

/// The components to send with a manifest: each must be one that it names. One that was built again has another digest, and the
/// coordinator would miss the one that the manifest names.
pub(super) fn sent_along(manifest: &[u8], files: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let components = read(files)?;
    let named = named(manifest);
    for Component { file, digest, .. } in &components {
        if !named.contains(&digest.to_string()) {
            bail!("{}", unnamed(file, digest, &named));
        }
    }
    Ok(components.into_iter().map(|component| component.bytes).collect())
}

fn unnamed(file: &Path, digest: &Digest, named: &[String]) -> String {
    let names = match named {
        [] => "it names none".to_owned(),
        named => format!("it names {}", named.join(", ")),
    };
    format!(
        "{} is the component {digest}, which the manifest does not name ({names}); write this digest into its section Policies",
        file.display()
    )
}

/// The components that a manifest names, as it writes them.
fn named(manifest: &[u8]) -> Vec<String> {
    policies(manifest).into_iter().map(|(_, component)| component).collect()
}

/// The policies of a manifest with their components, as it writes them. What is wrong with it is the coordinator's to say.
fn policies(manifest: &[u8]) -> Vec<(String, String)> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let entries = manifest.get("Policies").and_then(Value::as_object);
    let component =
        |(name, entry): (&String, &Value)| Some((name.clone(), entry.get("Component")?.as_str()?.to_owned()));
    entries.into_iter().flatten().filter_map(component).collect()
}

/// A policy of a manifest and, where one was given, the file that it is made of.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Verified {
    pub(super) name: String,
    pub(super) component: String,
    pub(super) file: Option<PathBuf>,
}

/// Which files the policies of a manifest are made of; each file must be one of them.
pub(super) fn verify(manifest: &[u8], files: &[PathBuf]) -> Result<Vec<Verified>> {
    let (given, policies) = (read(files)?, policies(manifest));
    for Component { file, digest, .. } in &given {
        let digest = digest.to_string();
        if !policies.iter().any(|(_, component)| *component == digest) {
            let named: Vec<String> =
                policies.iter().map(|(name, component)| format!("{name} {component}")).collect();
            let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
            bail!(
                "{} is the component {digest}, which the coordinator's manifest does not name; it names {named}",
                file.display()
            );
        }
    }
    let verified = |(name, component): (String, String)| {
        let file = given.iter().find(|given| given.digest.to_string() == component);
        Verified { name, component, file: file.map(|given| given.file.clone()) }
    };
    Ok(policies.into_iter().map(verified).collect())
}

/// What helps where the coordinator does not have all components that the manifest names.
pub(super) fn remedy(error: &ClientError) -> Option<&'static str> {
    let ClientError::Api(refusal) = error else { return None };
    refusal.message.contains(MISSING).then_some(
        "send them along with --policy FILE, or before with `carrara policy push FILE... HOST`; of one that another coordinator has, \
         `carrara policy pull DIGEST HOST -o FILE` makes the file",
    )
}

#[cfg(test)]
mod tests {
    use carrara_client::ApiError;

    use super::*;

    const OF_ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_a_manifest_names_is_sent_along_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.wasm");
        std::fs::write(&file, b"abc").unwrap();
        let manifest = |digest: &str| {
            serde_json::json!({ "Policies": { "a": { "Component": digest }, "b": {}, "c": 1 } }).to_string()
        };
        let named = manifest(OF_ABC);
        assert_eq!(sent_along(named.as_bytes(), std::slice::from_ref(&file)).unwrap(), [b"abc"]);
        assert!(sent_along(named.as_bytes(), &[]).unwrap().is_empty());
        let other = OF_ABC.replace("ba78", "0000");
        let error =
            sent_along(manifest(&other).as_bytes(), std::slice::from_ref(&file)).unwrap_err().to_string();
        assert!(error.contains("p.wasm") && error.contains(OF_ABC) && error.contains(&other), "{error}");
        for text in ["{}", "no JSON", r#"{"Policies":[]}"#] {
            let error = sent_along(text.as_bytes(), std::slice::from_ref(&file)).unwrap_err().to_string();
            assert!(error.contains("it names none"), "{error}");
        }
        assert!(sent_along(named.as_bytes(), &[folder.path().join("missing")]).is_err());
    }

    #[test]
    fn files_are_verified_against_what_a_manifest_names_and_the_others_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.wasm");
        std::fs::write(&file, b"abc").unwrap();
        let other = OF_ABC.replace("ba78", "0000");
        let manifest = |first: &str| {
            let policies = serde_json::json!({ "a": { "Component": first }, "b": { "Component": other } });
            serde_json::json!({ "Policies": policies }).to_string()
        };
        let found = verify(manifest(OF_ABC).as_bytes(), std::slice::from_ref(&file)).unwrap();
        let files: Vec<_> =
            found.iter().map(|policy| (policy.name.as_str(), policy.file.is_some())).collect();
        assert_eq!(files, [("a", true), ("b", false)]);
        assert_eq!((&found[0].component, &found[1].component), (&OF_ABC.to_owned(), &other));
        for (text, named) in
            [(manifest(&other), format!("a {other}, b {other}")), ("{}".to_owned(), "none".to_owned())]
        {
            let error = verify(text.as_bytes(), std::slice::from_ref(&file)).unwrap_err().to_string();
            assert!(error.contains("p.wasm") && error.contains(OF_ABC) && error.contains(&named), "{error}");
        }
        assert!(verify(b"{}", &[]).unwrap().is_empty());
    }

    #[test]
    fn missing_components_have_a_remedy_and_other_refusals_none() {
        let refused = |message: String| {
            let (code, status) = (400.try_into().unwrap(), "fail".to_owned());
            ClientError::Api(ApiError { code, status, message, data: None })
        };
        let missing = refused(format!("checking manifest: {MISSING}: {OF_ABC}"));
        assert!(remedy(&missing).is_some_and(|text| text.contains("carrara policy push")));
        assert!(remedy(&refused("checking manifest: other".to_owned())).is_none());
        assert!(remedy(&ClientError::NoManifest).is_none());
    }
}
