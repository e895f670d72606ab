//! The manifest's own policies: names, what they replace, and how much of them there may be (policy.md, "In the manifest").

use std::collections::BTreeMap;

use super::Found;
use crate::decision::Severity;
use crate::manifest::ParsedManifest;
use crate::policy::{BUILT_IN, Mode, PolicyEntry, World};

/// The code of all findings about the section.
pub const CODE: &str = "policies";

/// Entries of one manifest. Every request asks all policies of its kind, and each may have a component of megabytes.
const MAX_POLICIES: usize = 64;

/// Bytes of one entry's settings as JSON text: every call copies them into the policy's memory.
const MAX_SETTINGS_BYTES: usize = 256 << 10;

/// Bytes of a policy's name: denials, logs and records repeat it.
const MAX_NAME_BYTES: usize = 64;

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Found) {
    let entries = &manifest.policies;
    if entries.len() > MAX_POLICIES {
        let message = format!("{} policies are too many: at most {MAX_POLICIES} are possible", entries.len());
        found.add(Severity::Error, CODE, &["Policies"], message, "join some of them in one component");
        return;
    }
    let mut replaced: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, entry) in entries {
        judge_name(name, found);
        if entry.settings.len() > MAX_SETTINGS_BYTES {
            let message = format!("the settings of policy {name} have more than {MAX_SETTINGS_BYTES} bytes");
            let hint = "build what is large into the component";
            found.add(Severity::Error, CODE, &["Policies", name, "Settings"], message, hint);
        }
        if entry.world == World::SecretRendering && entry.mode == Mode::Shadow {
            let message = format!("policy {name} renders, and a renderer cannot be a shadow");
            let hint = "leave Mode out, and let a File or Env choose it with Renderer";
            found.add(Severity::Error, CODE, &["Policies", name, "Mode"], message, hint);
        }
        if let Some(built_in) = &entry.replaces {
            judge_replaced(name, entry, built_in, &mut replaced, found);
        }
    }
}

fn judge_name(name: &str, found: &mut Found) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
        let message = "a policy's name must be 1 to 64 letters, digits and - _ .".to_owned();
        found.add(Severity::Error, CODE, &["Policies", name], message, "choose another name");
    } else if BUILT_IN.iter().any(|(built_in, _)| *built_in == name) {
        let message = format!("{name} is the name of a built-in policy");
        let hint = "choose another name; Replaces says that a policy stands in for a built-in one";
        found.add(Severity::Error, CODE, &["Policies", name], message, hint);
    }
}

fn judge_replaced<'a>(
    name: &'a str,
    entry: &PolicyEntry,
    built_in: &'a str,
    replaced: &mut BTreeMap<&'a str, &'a str>,
    found: &mut Found,
) {
    let path = ["Policies", name, "Replaces"];
    let mut error = |message: String, hint: &str| found.add(Severity::Error, CODE, &path, message, hint);
    let Some((_, world)) = BUILT_IN.iter().find(|(known, _)| *known == built_in) else {
        let known = BUILT_IN.map(|(known, _)| known).join(", ");
        let message = format!("policy {name} replaces {}, which is not built in", super::clipped(built_in));
        return error(message, &format!("built in are {known}"));
    };
    if *world != entry.world {
        let message =
            format!("policy {name} is of world {}, but {built_in} is of world {world}", entry.world);
        error(message, "a policy replaces a built-in one of its own world");
    }
    if entry.mode == Mode::Shadow {
        let message = format!("policy {name} is a shadow and would replace {built_in}");
        error(message, "a shadow replaces nothing: leave Replaces out until the policy is enforced");
    }
    if let Some(other) = replaced.insert(built_in, name) {
        let message = format!("policies {other} and {name} both replace {built_in}");
        error(message, "leave one Replaces out: all policies of a world are asked");
    }
}
