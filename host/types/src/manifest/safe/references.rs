//! References: packages, TLS tags and renderers of Marbles, secrets of TLS tags.

use std::collections::BTreeSet;

use super::{Found, Known, identities};
use crate::decision::Severity;
use crate::manifest::{Marble, ParsedManifest};
use crate::policy::World;

pub(super) fn judge(manifest: &ParsedManifest, known: &Known<'_>, found: &mut Found) {
    let renderers = known.renderers.map(|built_in| renderers(manifest, built_in));
    for (name, marble) in &manifest.marbles {
        if !manifest.packages.contains_key(&marble.package) {
            let message = format!("manifest does not contain marble package {}", marble.package);
            found.error("M-32", &["Marbles", name, "Package"], message);
        }
        for (index, tag) in marble.tls.iter().enumerate() {
            if !manifest.tls.contains_key(tag) {
                let message = format!("manifest misses TLS entry for {tag}");
                found.error("M-37", &["Marbles", name, "TLS", &index.to_string()], message);
            }
        }
        if let Some(renderers) = &renderers {
            judge_renderers(name, marble, renderers, found);
        }
    }
    let used: BTreeSet<&str> = manifest.marbles.values().map(|marble| marble.package.as_str()).collect();
    for (name, package) in &manifest.packages {
        identities::judge(name, package, used.contains(name.as_str()), found);
    }
    for (name, tag) in &manifest.tls {
        for (index, entry) in tag.incoming.iter().enumerate() {
            if !entry.cert.is_empty() && !manifest.secrets.contains_key(&entry.cert) {
                let message = format!("TLS.Incoming.{name} references undefined secret {}", entry.cert);
                found.error("M-41", &["TLS", name, "Incoming", &index.to_string(), "Cert"], message);
            }
        }
    }
}

fn judge_renderers(name: &str, marble: &Marble, renderers: &[&str], found: &mut Found) {
    let parameters = &marble.parameters;
    let files = parameters.files.iter().map(|(key, file)| ("Files", "file", key, file));
    let env = parameters.env.iter().map(|(key, file)| ("Env", "env variable", key, file));
    for (section, kind, key, file) in files.chain(env) {
        if let Some(renderer) = file.renderer.as_ref().filter(|name| !renderers.contains(&name.as_str())) {
            let message = format!("in Marble {name}: {kind} {key}: unknown renderer {renderer}");
            let hint = format!("known renderers: {}", renderers.join(", "));
            let path = ["Marbles", name, "Parameters", section, key, "Renderer"];
            found.add(Severity::Error, "renderer", &path, message, &hint);
        }
    }
}

/// The renderers that the manifest's Files and Envs may choose: the built-in ones that no entry replaces, and its own.
fn renderers<'a>(manifest: &'a ParsedManifest, built_in: &'a [String]) -> Vec<&'a str> {
    let replaced =
        |name: &str| manifest.policies.values().any(|entry| entry.replaces.as_deref() == Some(name));
    let own = manifest.policies.iter().filter(|(_, entry)| entry.world == World::SecretRendering);
    let built_in = built_in.iter().map(String::as_str).filter(|name| !replaced(name));
    built_in.chain(own.map(|(name, _)| name.as_str())).collect()
}
