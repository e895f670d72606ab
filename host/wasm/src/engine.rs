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

/// How much more than it has a memory may grow inside an enclave before it is moved, in bytes. With this, the memory of a built-in
/// policy is no mapping of its own that is made and taken away for each call, but a piece of the allocator's.
const SPARE_ENCLAVE: u64 = 128 << 10;

/// Where policies run. Precompiled code fits one of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// An ordinary process: guard pages and signals make bounds checks cheap.
    Process,
    /// An enclave: little address space, no guard pages, no signal handlers.
    Enclave,
    /// An enclave whose memory cannot be made executable: policies are compiled to bytecode, which an interpreter runs.
    Interpreted,
}

impl Surroundings {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Process, Self::Enclave, Self::Interpreted];

    /// What this build runs in (features `enclave` and `interpreted`).
    #[must_use]
    pub fn of_this_build() -> Self {
        if cfg!(feature = "interpreted") {
            Self::Interpreted
        } else if cfg!(feature = "enclave") {
            Self::Enclave
        } else {
            Self::Process
        }
    }

    /// What files of code that was compiled for them end in.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Process => "cwasm",
            Self::Enclave => "enclave.cwasm",
            Self::Interpreted => "interpreted.cwasm",
        }
    }

    /// The target of wasmtime.
    fn target(self) -> String {
        match self {
            Self::Process | Self::Enclave => format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
            Self::Interpreted => "pulley64".to_owned(),
        }
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
    config.target(&surroundings.target())?;
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
        Surroundings::Enclave | Surroundings::Interpreted => {
            config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(SPARE_ENCLAVE);
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
    fn each_kind_of_surroundings_needs_code_of_its_own() {
        let of = |surroundings| (compatibility(surroundings).unwrap(), surroundings.ending());
        for (at, one) in Surroundings::ALL.into_iter().enumerate() {
            assert_eq!(of(one), of(one));
            for &other in &Surroundings::ALL[at + 1..] {
                assert_ne!(of(one).0, of(other).0, "{one:?} {other:?}");
                assert_ne!(of(one).1, of(other).1, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_is_interpreted_is_no_code_of_the_processor() {
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        let machine = |surroundings| {
            let elf = precompile(surroundings, &component).unwrap();
            u16::from_le_bytes([elf[18], elf[19]])
        };
        // ELF, e_machine: that of the host, and none.
        assert_eq!(machine(Surroundings::Enclave), machine(Surroundings::Process));
        assert_ne!(machine(Surroundings::Interpreted), machine(Surroundings::Process));
    }
}
