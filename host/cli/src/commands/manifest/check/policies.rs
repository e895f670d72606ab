//! The manifest's own policies: those whose components are given judge, too, as a coordinator would let them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use carrara_types::decision::{Finding, Proposal, Severity};
use carrara_types::manifest::ParsedManifest;
use carrara_types::manifest::safe::POLICIES;
use carrara_types::policy::{Digest, Mode, PolicyEntry, World};
use carrara_wasm::{PolicyHost, PolicySource, Trial};

use crate::commands::manifest::components;

/// Components by their digests.
pub(super) type Given = BTreeMap<Digest, Vec<u8>>;

/// Reads the files.
pub(super) fn given(files: &[PathBuf]) -> Result<Given> {
    let read = components::read(files).context("reading the components of policies")?;
    Ok(read.into_iter().map(|component| (component.digest, component.bytes)).collect())
}

/// What the manifest's own policies say: whether they fit their worlds and understand their settings, and what its validators find.
/// Its renderers are put beside the built-in ones.
pub(super) fn judge(
    manifest: &ParsedManifest,
    given: &Given,
    proposal: &Proposal,
    policies: &mut PolicyHost,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, entry) in &manifest.policies {
        let own = policies.component(&entry.component.0).map(<[u8]>::to_vec);
        match given.get(&entry.component).cloned().or(own) {
            Some(component) => found.extend(judge_one(name, entry, component, proposal, policies)),
            None => found.push(absent(name, entry)),
        }
    }
    found
}

fn judge_one(
    name: &str,
    entry: &PolicyEntry,
    component: Vec<u8>,
    proposal: &Proposal,
    policies: &mut PolicyHost,
) -> Vec<Finding> {
    let settings = entry.settings.clone();
    let source = PolicySource { settings, ..PolicySource::new(name, entry.world, component) };
    let trial = match Trial::load(source.clone()) {
        Ok(trial) => trial,
        Err(error) => return vec![unfit(name, &anyhow::Error::new(error))],
    };
    let errors = match trial.check_settings(&entry.settings).answer {
        Ok(errors) => errors,
        Err(failure) => return vec![failed(name, &failure.internal())],
    };
    if !errors.is_empty() {
        let wrong = |error: carrara_wasm::SettingsError| {
            let place = format!("line {}, column {}", error.line, error.column);
            let message = format!("settings of policy {name}, {place}: {}", error.message);
            finding(Severity::Error, name, "Settings", message, error.hint)
        };
        return errors.into_iter().map(wrong).collect();
    }
    match (entry.world, entry.mode) {
        (World::ManifestValidation, Mode::Enforce) => {
            match trial.validate(&entry.settings, proposal).answer {
                Ok(found) => found,
                Err(failure) => vec![failed(name, &failure.internal())],
            }
        }
        (World::SecretRendering, _) => match policies.add(source) {
            Ok(()) => Vec::new(),
            Err(error) => vec![unfit(name, &anyhow::Error::new(error))],
        },
        _ => Vec::new(),
    }
}

fn absent(name: &str, entry: &PolicyEntry) -> Finding {
    let message =
        format!("the component of policy {name}, {}, was not given: it did not judge", entry.component);
    let hint = "give its file with --policy; a coordinator that has it takes the manifest".to_owned();
    finding(Severity::Warning, name, "Component", message, Some(hint))
}

fn unfit(name: &str, why: &anyhow::Error) -> Finding {
    finding(Severity::Error, name, "Component", format!("policy {name}: {why:#}"), None)
}

fn failed(name: &str, why: &str) -> Finding {
    finding(Severity::Error, name, "Component", why.to_owned(), None)
}

fn finding(severity: Severity, name: &str, field: &str, message: String, hint: Option<String>) -> Finding {
    let name = name.replace('~', "~0").replace('/', "~1");
    Finding { severity, code: POLICIES.to_owned(), path: format!("/Policies/{name}/{field}"), message, hint }
}
