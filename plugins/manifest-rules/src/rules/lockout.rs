//! The warning that an update is the last one.
//!
//! A first manifest that nobody can update is an ordinary choice; an update that takes the permission from everybody is
//! more likely a mistake. It is no error: somebody may mean it. Too few users for the threshold are M-72's.

use carrara_types::decision::Finding;
use carrara_types::manifest::{ParsedManifest, Role};

use super::{pointer, warning};

/// The warning, where no user of the manifest holds UpdateManifest.
pub(crate) fn lockout(manifest: &ParsedManifest) -> Option<Finding> {
    let updates = |name: &String| manifest.roles.get(name).is_some_and(allows_updates);
    if manifest.users.values().any(|user| user.roles.iter().any(updates)) {
        return None;
    }
    // An empty section is left out of normalised JSON: there is only the manifest to point at.
    let path = if manifest.users.is_empty() { pointer(&[]) } else { pointer(&["Users"]) };
    let hint = "give a user a role of type Manifest with the action UpdateManifest";
    let message = "nobody could update this manifest again".to_owned();
    Some(warning("update-lockout", path, message, hint))
}

/// At any position and in any case.
fn allows_updates(role: &Role) -> bool {
    role.resource_type == "Manifest"
        && role.actions.iter().any(|action| action.eq_ignore_ascii_case("UpdateManifest"))
}
