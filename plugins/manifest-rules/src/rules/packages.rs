//! Packages: what a reviewer should know. That a package identifies its enclave is the host's own business
//! (M-33..M-36).

use carrara_types::decision::Finding;
use carrara_types::manifest::ParsedManifest;

use super::{pointer, warning};

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    for (name, package) in &manifest.packages {
        if package.debug {
            let message =
                format!("package {name} accepts debug enclaves only, whose memory their host can read");
            let hint = "use Debug for development; production enclaves need a package without it";
            found.push(warning("debug-package", pointer(&["Packages", name, "Debug"]), message, hint));
        }
    }
}
