//! The judges: reader, host list, built-in validators and renderers.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use carrara_types::decision::{Change, Context as Question, Finding, Proposal, Severity};
use carrara_types::manifest::{Known, ParsedManifest, host_findings, merge};
use carrara_wasm::{PolicyHost, World};
use sha2::{Digest, Sha256};

use super::findings::{Found, Report};
use super::policies::{self as own, Given};
use super::source::Source;
use crate::files;

/// Judges a file, as an update of another where one is given.
///
/// # Errors
/// A file that cannot be read, or policies that cannot decide. What is wrong with the manifest is in the report.
pub(super) fn judge(file: &Path, update_of: Option<&Path>, given: &Given) -> Result<Report> {
    let name = file.display().to_string();
    let source = match Source::read(&files::read(file)?) {
        Ok(source) => source,
        Err(found) => return Ok(Report { file: name, findings: vec![*found] }),
    };
    let current = update_of.map(read_current).transpose()?;
    let mut policies = PolicyHost::builtin().context("starting the built-in policies")?;
    let manifest = &source.manifest;

    let mut findings = manifest.warnings.clone();
    let proposal = proposal(&source, current.as_ref());
    let undecided = |reason: String| anyhow!("the built-in policies could not judge this manifest: {reason}");
    findings.extend(policies.validate_here(&proposal).map_err(|failure| undecided(failure.internal()))?);
    if proposal.change == Change::PackageUpdate {
        findings.extend(current.iter().flat_map(|current| package_update(manifest, current)));
    } else {
        let infos = policies.policies();
        findings.extend(own::judge(manifest, given, &proposal, &mut policies));
        let renderers = infos.into_iter().filter(|info| info.world == World::SecretRendering);
        let renderers: Vec<String> = renderers.map(|info| info.name).collect();
        findings
            .extend(host_findings(manifest, &Known { renderers: Some(&renderers), coordinator_names: &[] }));
        let faults = policies.check_templates_here(manifest);
        let faults = faults.map_err(|failure| undecided(failure.internal()))?;
        findings.extend(faults.into_iter().map(|fault| Finding {
            severity: Severity::Error,
            code: "M-80".to_owned(),
            path: fault.path,
            message: fault.message,
            hint: fault.hint,
        }));
        findings.extend(null_bytes(manifest));
    }
    let findings = merge(findings).into_iter().map(|finding| Found::at(&source, finding)).collect();
    Ok(Report { file: name, findings })
}

fn read_current(path: &Path) -> Result<ParsedManifest> {
    let read = Source::read(&files::read(path)?);
    read.map(|source| source.manifest)
        .map_err(|found| anyhow!("{}: line {}: {}", path.display(), found.line, found.message))
        .context("reading the manifest that is in force")
}

/// What validators are asked. The time is none that they could depend on.
fn proposal(source: &Source, current: Option<&ParsedManifest>) -> Proposal {
    let change = match current {
        None => Change::Initial,
        Some(_) if source.manifest.is_package_update() => Change::PackageUpdate,
        Some(_) => Change::FullUpdate,
    };
    let versions = current.into_iter().flat_map(|current| &current.packages);
    Proposal {
        context: Question::default(),
        change,
        manifest: source.manifest.normalised_json(),
        manifest_sha256: Sha256::digest(&source.bytes).into(),
        current: current.map(ParsedManifest::normalised_json),
        current_versions: versions
            .filter_map(|(name, package)| package.security_version.map(|version| (name.clone(), version)))
            .collect(),
        proposer: None,
    }
}

/// M-101..M-105, and X-35.
fn package_update(update: &ParsedManifest, current: &ParsedManifest) -> Vec<Finding> {
    let error = |code: &str, path: String, message: &str, hint: Option<&str>| Finding {
        severity: Severity::Error,
        code: code.to_owned(),
        path,
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
    };
    let mut found = Vec::new();
    if update.packages.is_empty() {
        found.push(error("M-101", String::new(), "no packages defined", None));
    }
    if !update.policies.is_empty() || update.config != carrara_types::manifest::Config::default() {
        let text = "Packages with Config or Policies and nothing else is no update";
        found.push(error("X-35", String::new(), text, Some("send the full manifest")));
    }
    for (name, package) in &update.packages {
        let path = format!("/Packages/{}", name.replace('~', "~0").replace('/', "~1"));
        let Some(before) = current.packages.get(name) else {
            let hint = "a package update changes packages that the manifest has; send the full manifest";
            found.push(error("M-100", path, "the manifest in force has no such package", Some(hint)));
            continue;
        };
        if package.debug
            || !package.unique_id.is_empty()
            || !package.signer_id.is_empty()
            || package.product_id.is_some()
        {
            let hint = "give SecurityVersion alone, or send the full manifest";
            found.push(error(
                "M-102",
                path.clone(),
                "update manifest contains unupdatable values",
                Some(hint),
            ));
        }
        match (package.security_version, before.security_version) {
            (None, _) => {
                let text = "update manifest does not specify a SecurityVersion to update";
                found.push(error("M-103", path, text, None));
            }
            (Some(new), Some(old)) if new < old => {
                let text = "update manifest tries to downgrade SecurityVersion of the original manifest";
                let hint = format!("give at least {old}");
                found.push(error("M-104", path + "/SecurityVersion", text, Some(&hint)));
            }
            _ => {}
        }
    }
    found
}

/// S-62: no environment variable can hold one.
fn null_bytes(manifest: &ParsedManifest) -> Vec<Finding> {
    let variables = manifest.marbles.iter().flat_map(|(marble, definition)| {
        definition.parameters.env.iter().map(move |(name, file)| (marble, name, file))
    });
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    variables
        .filter(|(_, _, file)| file.data.contains(&0))
        .map(|(marble, name, _)| Finding {
            severity: Severity::Error,
            code: "M-80".to_owned(),
            path: format!("/Marbles/{}/Parameters/Env/{}/Data", escape(marble), escape(name)),
            message: "content contains null bytes".to_owned(),
            hint: Some("use a file, or encode the value".to_owned()),
        })
        .collect()
}
