//! The engine that runs policies: its settings, and compiling ahead of time for them.
//!
//! Code is compiled for a fixed target without the build machine's CPU features, so that what was compiled ahead of
//! time loads on every machine and a build is reproducible. A precompiled policy is bound to these settings: whoever
//! changes one must build the guests again.

use wasmtime::{Config, Engine};

/// The stack that a guest may use, in bytes. Recursion beyond it traps; the threads that run guests have several times as much.
const GUEST_STACK: usize = 512 << 10;

/// The same inside an enclave, where threads are small.
const GUEST_STACK_ENCLAVE: usize = 256 << 10;

/// Where policies run. Precompiled code fits one of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// An ordinary process: guard pages and signals make bounds checks cheap.
    Process,
    /// An enclave: little address space, no guard pages, no signal handlers.
    Enclave,
}

impl Surroundings {
    /// What this build runs in (feature `enclave`).
    #[must_use]
    pub fn of_this_build() -> Self {
        if cfg!(feature = "enclave") { Self::Enclave } else { Self::Process }
    }
}

/// A failure of the engine itself, before any policy is looked at.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The settings do not suit this machine.
    #[error("setting up the policy engine: {0}")]
    Settings(String),
    /// No thread for the clock that ends calls.
    #[error("starting the policy engine's clock")]
    Clock(#[source] std::io::Error),
    /// Compiling ahead of time.
    #[error("compiling the policy ahead of time: {0}")]
    Compile(String),
}

/// Compiles a component to what [`crate::PolicyHost::builtin`] embeds. Needs no running host.
///
/// # Errors
/// [`EngineError::Compile`] if the component does not compile.
pub fn precompile(surroundings: Surroundings, component: &[u8]) -> Result<Vec<u8>, EngineError> {
    engine(surroundings)?
        .precompile_component(component)
        .map_err(|error| EngineError::Compile(format!("{error:#}")))
}

/// A text that changes whenever precompiled code must be made again: the engine's version and settings.
///
/// # Errors
/// [`EngineError::Settings`] if the settings do not suit this machine.
pub fn compatibility(surroundings: Surroundings) -> Result<String, EngineError> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine(surroundings)?.precompile_compatibility_hash().hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// An engine that takes the memory of instances from the kernel for each call, and gives it back: for policies of any
/// number and size.
pub(crate) fn engine(surroundings: Surroundings) -> Result<Engine, EngineError> {
    config(surroundings)
        .and_then(|config| Engine::new(&config))
        .map_err(|error| EngineError::Settings(format!("{error:#}")))
}

pub(crate) fn config(surroundings: Surroundings) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    config.wasm_component_model(true);
    config.consume_fuel(true).epoch_interruption(true);
    config.concurrency_support(false);
    // The same answer on every machine: NaN bits and relaxed SIMD would otherwise show the CPU.
    config.cranelift_nan_canonicalization(true).wasm_relaxed_simd(false);
    // A trap's reason goes to the log in one line; a guest's stack tells an operator nothing.
    config.wasm_backtrace_max_frames(None).generate_address_map(false);
    // Only debuggers and profilers would read it, and registering it takes more time than all else of loading.
    config.native_unwind_info(false);
    match surroundings {
        Surroundings::Process => {
            config.max_wasm_stack(GUEST_STACK);
        }
        Surroundings::Enclave => {
            config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(1 << 20);
            config.guard_before_linear_memory(false).memory_may_move(true).memory_init_cow(false);
            config.signals_based_traps(false).max_wasm_stack(GUEST_STACK_ENCLAVE);
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_kinds_of_surroundings_need_different_code() {
        let process = compatibility(Surroundings::Process).unwrap();
        assert_eq!(process, compatibility(Surroundings::Process).unwrap());
        assert_ne!(process, compatibility(Surroundings::Enclave).unwrap());
    }
}
