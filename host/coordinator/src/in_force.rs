//! Tells in the log which policies judge requests, by their digests: at the start, and within a second of each change.

use carrara_core::Coordinator;
use carrara_core::ports::PolicyInForce;
use tracing::info;

/// What was told last.
#[derive(Default)]
pub(crate) struct Told(Vec<PolicyInForce>);

impl Told {
    /// Tells what is new, and what is gone.
    pub(crate) fn tell(&mut self, coordinator: &Coordinator) {
        let now = coordinator.policies_in_force();
        // A state that cannot be read now has none: that is told elsewhere.
        if now.is_empty() || now == self.0 {
            return;
        }
        for policy in changed(&now, &self.0) {
            let PolicyInForce { name, world, digest, mode, built_in } = policy;
            info!(policy = name, %world, %digest, mode = mode.name(), built_in, "a policy is in force");
        }
        for PolicyInForce { name, world, digest, .. } in changed(&self.0, &now) {
            info!(policy = name, %world, %digest, "a policy is in force no longer in this form");
        }
        self.0 = now;
    }
}

/// What `these` have and `those` have not.
fn changed<'a>(
    these: &'a [PolicyInForce],
    those: &'a [PolicyInForce],
) -> impl Iterator<Item = &'a PolicyInForce> {
    these.iter().filter(|policy| !those.contains(policy))
}
