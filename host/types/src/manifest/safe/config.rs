//! Options and thresholds (M-72..M-77), and what is not offered yet.

use std::collections::BTreeSet;

use super::Found;
use crate::decision::Severity;
use crate::manifest::ParsedManifest;
use crate::seal_mode::SealMode;

/// Feature gates (compared ignoring case).
const FEATURE_GATES: &[&str] = &["SignQuoteEndpoint", "MonotonicCounter"];

/// A gate of the specification that is not offered (deviations, M-75).
const HSM_GATE: &str = "AzureHSMSealing";

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Found) {
    judge_update_threshold(manifest, found);
    judge_seal_mode(&manifest.config.seal_mode, found);
    for (index, gate) in manifest.config.feature_gates.iter().enumerate() {
        let index = index.to_string();
        let path = ["Config", "FeatureGates", &index];
        if FEATURE_GATES.iter().any(|known| known.eq_ignore_ascii_case(gate)) {
            continue;
        }
        if HSM_GATE.eq_ignore_ascii_case(gate) {
            let message = format!("feature gate {gate} is not supported yet");
            found.add(Severity::Error, "M-74", &path, message, "leave it out");
        } else {
            found.error("M-74", &path, format!("unknown feature gate: {gate}"));
        }
    }
    judge_recovery_threshold(manifest, found);
}

/// M-72; UpdateManifest counts at any position of a role's actions.
fn judge_update_threshold(manifest: &ParsedManifest, found: &mut Found) {
    let updating: BTreeSet<&str> = manifest
        .roles
        .iter()
        .filter(|(_, role)| role.resource_type == "Manifest")
        .filter(|(_, role)| role.actions.iter().any(|action| action.eq_ignore_ascii_case("UpdateManifest")))
        .map(|(name, _)| name.as_str())
        .collect();
    let holds = |roles: &[String]| roles.iter().any(|role| updating.contains(role.as_str()));
    let holders = manifest.users.values().filter(|user| holds(&user.roles)).count();
    let threshold = manifest.config.update_threshold;
    if u64::try_from(holders).is_ok_and(|holders| holders < threshold) {
        let message = format!(
            "not enough users with manifest update permissions ({holders}) to meet the threshold of {threshold}"
        );
        found.error("M-72", &["Config", "UpdateThreshold"], message);
    }
}

/// M-73.
fn judge_seal_mode(mode: &str, found: &mut Found) {
    if SealMode::parse(mode).is_none() {
        let message = format!("unknown seal mode: {mode}");
        let hint = "use ProductKey, UniqueKey or Disabled; without SealMode it is ProductKey";
        found.add(Severity::Error, "M-73", &["Config", "SealMode"], message, hint);
    }
}

/// M-76, M-77, in this order.
fn judge_recovery_threshold(manifest: &ParsedManifest, found: &mut Found) {
    let (keys, threshold) = (manifest.recovery_keys.len(), manifest.config.recovery_threshold);
    let path = ["Config", "RecoveryThreshold"];
    if u64::try_from(keys).is_ok_and(|keys| keys < threshold) {
        let message = format!(
            "not enough recovery keys ({keys}) defined to meet the recovery threshold of {threshold}"
        );
        found.error("M-76", &path, message);
    } else if threshold == 1 {
        let message = "invalid recovery threshold: if set, threshold must be at least 2".to_owned();
        found.error("M-77", &path, message);
    }
}
