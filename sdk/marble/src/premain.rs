//! What `carrara-premain` does before the service takes its place (marble-api.md section 9).

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::launch::{Launch, LaunchError};
use crate::runtime::{Runtime, Surroundings};
use crate::{ActivateError, Activation, Config, ConfigError, activate};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum PremainError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel refuses to hide this process's memory.
    #[error("forbidding others to read our memory")]
    Hide(#[source] std::io::Error),
    /// No runtime for the connection.
    #[error("starting the connection's runtime")]
    Runtime(#[source] std::io::Error),
    /// No activation.
    #[error(transparent)]
    Activate(#[from] ActivateError),
    /// What the manifest asks for cannot be done here.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// Activates and makes everything ready for the service, which [`Launch::exec`] starts.
///
/// # Errors
/// See [`PremainError`]. The service must not start.
pub fn prepare(surroundings: &Surroundings) -> Result<Launch, PremainError> {
    if surroundings.runtime == Runtime::Native {
        // Ends with `exec`: the service inherits nothing of it. An enclave's memory is hidden anyway, and library OSes do not
        // know the call.
        let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        hidden.map_err(|error| PremainError::Hide(error.into()))?;
    }
    let config = Config::from_env()?;
    let activation = activated(&config, surroundings)?;
    tracing::info!(files = activation.files.len(), variables = activation.env.len(), "activated");
    Ok(Launch::prepare_in(activation, surroundings)?)
}

/// The runtime ends before the service starts, so that no thread of it is around.
fn activated(config: &Config, surroundings: &Surroundings) -> Result<Activation, PremainError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(PremainError::Runtime)?;
    Ok(runtime.block_on(activate(config, &surroundings.places))?)
}

#[cfg(test)]
#[path = "premain_tests.rs"]
mod tests;
