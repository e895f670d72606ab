//! Which policies judge requests now; for metrics and the log.

use crate::Coordinator;
use crate::ports::PolicyInForce;

impl Coordinator {
    /// Those of the manifest in force, or the built-in ones. A state that cannot be read now has none.
    #[must_use]
    pub fn policies_in_force(&self) -> Vec<PolicyInForce> {
        match self.view() {
            Ok(Some(view)) => view.policies().in_force(),
            Ok(None) => self.policies.built_in().in_force(),
            Err(_) => Vec::new(),
        }
    }
}
