//! What one call of a policy may use, with the reasons. The operator can change these, a manifest cannot.

use std::time::Duration;

use crate::world::World;

/// The largest component that is looked at: CPython with its libraries is 18 MB, and larger ones take minutes to compile.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// The largest body of one function, in bytes. Compiling takes time and memory that grow faster than the body;
/// CPython's evaluation loop, the largest seen in practice, has less than half.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;

/// The most locals of one function: a few bytes can declare 50,000, each of which costs the compiler.
pub const MAX_FUNCTION_LOCALS: u32 = 10_000;

/// The most core modules and nested components in one component: linked guests have about 30.
pub const MAX_NESTED_MODULES: usize = 128;

/// The most results of one function or block: each call gives the compiler as many values to keep. Languages use one, and
/// the interfaces of components at most one.
pub const MAX_RESULTS: usize = 16;

/// How deep blocks may be nested in one function: what compiling takes grows with the square. CPython's deepest has 781,
/// Go's 549, QuickJS's 255, others at most 300.
pub const MAX_BLOCK_DEPTH: usize = 3_200;

/// The sum over all functions of the square of their branches, at most: what compiling a function takes grows with that
/// square, and a few bytes make a branch. One function may have 28,284 of them; compiling that takes about 17 s where the
/// compiler is built with opt-level 1. CPython's largest function has 13,000, and all of its functions 310 million
/// together; others have at most 40 million.
pub const MAX_BRANCH_EFFORT: u64 = 800_000_000;

/// The sum over all functions of their branches and accesses of memory, which are branches in an enclave, times their locals, at most: what
/// lives across branches is looked at in each. Compiling what has so much takes about 10 s where the compiler is built with
/// opt-level 1. CPython's functions have 9 million together, others at most 3 million.
pub const MAX_LOCAL_EFFORT: u64 = 20_000_000;

/// The sum of the squares of accesses of memory, each of which is a branch in an enclave: what is accepted outside of one can be
/// compiled in it. CPython's functions have 750 million together, others at most 30 million.
pub const MAX_ACCESS_EFFORT: u64 = 2_000_000_000;

/// The most functions of all modules together: each costs the compiler, an empty one of three bytes as well. CPython with
/// its libraries has 13,500, Cedar 8,600, others at most 5,000.
pub const MAX_FUNCTIONS: usize = 40_000;

/// The most that instantiating does before any code runs, in all modules together: elements that are written into tables, segments
/// of data that cannot be joined (four each), instructions that compute values and places. The engine makes one function of those
/// of a module: each takes up to 19 KB while it is compiled, and time grows with the square of their number. CPython's component
/// has 7,000, QuickJS's 900, others at most 30.
pub const MAX_INITIALIZERS: usize = 16_000;

/// The most memories of all modules together; a call may have fewer. While it compiles, the engine makes an image of each, of 1 MiB or as
/// much as there is data.
pub const MAX_MEMORIES: usize = 16;

/// The most elements that all tables of all modules have at first, as many as a call may have. While it compiles, the engine makes an
/// image of each. CPython's have 6,000, Cedar's 1,600.
pub const MAX_TABLE_ELEMENTS: u64 = 100_000;

/// The memory in bytes that compiling a component may take, by an estimate: twice what CPython's takes.
pub const COMPILING: u64 = 2 << 30;

/// The most instances of core modules and components that a component makes, those that its components make included,
/// each time: the compiler follows all of them. CPython's makes 41, QuickJS's 36, those of Rust at most 7.
pub const MAX_INSTANTIATIONS: usize = 160;

/// How many times as long a call may take where policies are interpreted. Their fuel is the same, and a release build burns 70 (an
/// empty loop) to 380 million units a second (host/docs/enclave.md): with these deadlines fuel ends a call first also on a machine
/// that is four times as slow as the one where that was measured.
const SLOWER_INTERPRETED: u64 = 40;

/// The same of this build.
const SLOWER: u64 = if cfg!(feature = "interpreted") { SLOWER_INTERPRETED } else { 1 };

/// Whether built-in authorizers run on the threads that answer requests. Interpreted, all their fuel would hold one of them for
/// too long.
pub(crate) const INLINE: bool = !cfg!(feature = "interpreted");

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count * SLOWER)
}

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deterministic: about one per instruction. The same call costs the same on every machine.
    pub fuel: u64,
    /// Wall clock, a backstop for what fuel does not see (the host's own work for a call).
    pub deadline: Duration,
    /// Bytes of linear memory, of all memories together.
    pub memory: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Tables.
    pub tables: usize,
    /// Linear memories.
    pub memories: usize,
    /// Core instances: a Rust guest has 3, a Python guest about 30.
    pub instances: usize,
    /// Bytes that a guest may hand to the host in one call, answers included.
    pub answer_bytes: usize,
    /// Handles of secrets and fragments that are alive at once.
    pub handles: usize,
    /// Lines that a guest may write to the log in one call.
    pub log_lines: u32,
    /// Bytes of one log line; more is cut.
    pub log_line_bytes: usize,
    /// Calls of one policy that run at once; more wait.
    pub concurrency: usize,
    /// How long a call may wait for its turn: as many times as long where policies are interpreted as they may take there. The request's
    /// own limit (`--request-seconds`) ends the wait, too.
    pub wait: Duration,
}

/// What all worlds share.
const COMMON: Limits = Limits {
    fuel: 0,
    deadline: Duration::ZERO,
    memory: 64 << 20,
    table_elements: 100_000,
    tables: 64,
    memories: 4,
    instances: 64,
    answer_bytes: 1 << 20,
    handles: 4096,
    log_lines: 32,
    log_line_bytes: 1024,
    concurrency: 4,
    wait: seconds(10),
};

impl Limits {
    /// Built-in authorizers run inline, between two awaits of a request: about 20 ms of instructions, where 10,000
    /// names in a role need 2 ms. The deadline only ends what a stalled machine has stretched.
    pub const BUILTIN_AUTHORIZATION: Self =
        Self { fuel: 20_000_000, deadline: seconds(1), memory: 16 << 20, ..COMMON };

    /// On each request of a user.
    pub const AUTHORIZATION: Self = Self { fuel: 500_000_000, deadline: seconds(2), ..COMMON };

    /// On a Marble's start-up path.
    pub const ADMISSION: Self = Self { fuel: 500_000_000, deadline: seconds(2), ..COMMON };

    /// Rare, and manifests are large: 1 MB needs about 50 million instructions.
    pub const VALIDATION: Self = Self {
        fuel: 5_000_000_000,
        deadline: seconds(10),
        memory: 256 << 20,
        answer_bytes: 16 << 20,
        concurrency: 2,
        ..COMMON
    };

    /// All files of one Marble; the answer holds all their text.
    pub const RENDERING: Self = Self {
        fuel: 2_000_000_000,
        deadline: seconds(5),
        memory: 128 << 20,
        answer_bytes: 16 << 20,
        ..COMMON
    };
}

/// What calls may use, by world: the operator can change it, a manifest cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// One call of a validator of a manifest.
    pub validation: Limits,
    /// One call of an authorizer of a manifest.
    pub authorization: Limits,
    /// One call of an admitter.
    pub admission: Limits,
    /// One call of a renderer of a manifest.
    pub rendering: Limits,
    /// Calls of all policies of manifests that run at once; more wait. The built-in policies have turns of their own, and
    /// one shadow policy may run beside them.
    pub calls: usize,
    /// Bytes of linear memory that those calls may have together, each counted with its limit.
    pub memory: usize,
    /// Bytes that compiling a policy may take, by an estimate (`crate::Surface::footprint`).
    pub compiling: u64,
    /// Questions that wait for shadow policies; more are dropped. They are answered one after the other.
    pub waiting_shadows: usize,
}

impl Default for EngineLimits {
    /// What suits where this build runs.
    fn default() -> Self {
        if cfg!(feature = "enclave") { Self::enclave() } else { Self::process() }
    }
}

impl EngineLimits {
    /// For an enclave, whose memory is fixed when it is signed: all calls of policies of manifests together have 128 MiB,
    /// and so the largest one has. What compiling takes is enough for policies in Rust, Go and JavaScript, and for Cedar.
    fn enclave() -> Self {
        let process = Self::process();
        Self {
            validation: Limits { memory: 128 << 20, ..process.validation },
            calls: 8,
            memory: 128 << 20,
            compiling: 256 << 20,
            ..process
        }
    }

    fn process() -> Self {
        Self {
            validation: Limits::VALIDATION,
            authorization: Limits::AUTHORIZATION,
            admission: Limits::ADMISSION,
            rendering: Limits::RENDERING,
            // Eight policies have all their turns, and 32 have one.
            calls: 32,
            // Four policies have all their turns, and 16 authorizers or admitters have one.
            memory: 1 << 30,
            compiling: COMPILING,
            waiting_shadows: 256,
        }
    }
}

impl EngineLimits {
    /// Those of one world.
    #[must_use]
    pub fn of(&self, world: World) -> Limits {
        match world {
            World::ManifestValidation => self.validation,
            World::RoleAuthorization => self.authorization,
            World::MarbleAdmission => self.admission,
            World::SecretRendering => self.rendering,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreted_calls_end_by_fuel_on_slow_machines_too() {
        // An empty loop burns 70 million a second; a machine may be four times as slow.
        let seconds = |limits: Limits| limits.fuel / (70_000_000 / 4);
        let deadline = |limits: Limits| limits.deadline.as_secs() / SLOWER * SLOWER_INTERPRETED;
        for limits in [
            Limits::BUILTIN_AUTHORIZATION,
            Limits::AUTHORIZATION,
            Limits::ADMISSION,
            Limits::VALIDATION,
            Limits::RENDERING,
        ] {
            assert!(seconds(limits) < deadline(limits), "{limits:?}");
        }
    }

    #[test]
    fn in_an_enclave_all_calls_have_little_memory_and_each_of_them_fits_into_it() {
        let limits = EngineLimits::enclave();
        assert!(limits.memory <= 128 << 20 && limits.calls <= 8);
        for world in [limits.validation, limits.authorization, limits.admission, limits.rendering] {
            assert!(
                world.memory <= limits.memory,
                "such a call takes all there is and never has its turn: {world:?}"
            );
        }
        let expected = if cfg!(feature = "enclave") { limits } else { EngineLimits::process() };
        assert_eq!(EngineLimits::default(), expected);
    }
}
