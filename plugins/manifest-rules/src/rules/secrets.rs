//! Secrets (M-71). Their types and sizes are checked by the host (M-70, M-78).

use carrara_types::decision::Finding;
use carrara_types::manifest::ParsedManifest;

use super::{error, pointer};

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    for (name, secret) in &manifest.secrets {
        let not_after = secret.cert.as_ref().is_some_and(|template| template.not_after.is_some());
        if secret.kind.is_certificate() && not_after && secret.valid_for != 0 {
            let message = format!(
                "ambiguous certificate validity duration for secret: {name}, both NotAfter and ValidFor are specified"
            );
            let hint = "keep one: NotAfter is a point in time, ValidFor counts days from the time of issue";
            found.push(error("M-71", pointer(&["Secrets", name, "ValidFor"]), message, hint));
        }
    }
}
