//! Policies that stand in for built-in ones: who reviews a manifest should see it.

use carrara_types::decision::Finding;
use carrara_types::manifest::ParsedManifest;

use super::{pointer, warning};

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    for (name, entry) in &manifest.policies {
        if let Some(built_in) = &entry.replaces {
            let message = format!("policy {name} replaces {built_in}, which is not asked any more");
            let hint = "leave Replaces out where the policy should decide in addition";
            found.push(warning("policies", pointer(&["Policies", name, "Replaces"]), message, hint));
        }
    }
}
