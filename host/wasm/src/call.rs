//! One call of a policy: a fresh instance with its limits, what it may do meanwhile, and why it failed.

use std::sync::Arc;

use carrara_core::ports::PolicyFailure;
use wasmtime::component::InstancePre;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::clock::{Runtime, ticks};
use crate::limits::Limits;
use crate::text::clean;
use crate::worlds::words::host::Level;

/// Instantiating has a budget of its own, so that a call's fuel does not depend on it: CPython needs about 10 million.
const INSTANTIATION_FUEL: u64 = 200_000_000;

/// A reason goes to the log in one line.
const MAX_REASON_BYTES: usize = 512;

/// An answer that makes no sense, with what is wrong with it.
#[derive(Debug)]
pub(crate) struct Nonsense(pub(crate) String);

/// What a store holds: limits, the log, and what the world adds (`S`).
pub(crate) struct CallState<S> {
    pub(crate) log: LogBook,
    pub(crate) desk: S,
    limits: StoreLimits,
}

/// The lines that a guest writes in one call.
pub(crate) struct LogBook {
    policy: Arc<str>,
    lines_left: u32,
    line_bytes: usize,
}

impl LogBook {
    /// Writes one line; a guest that writes more than its limit is ended.
    pub(crate) fn write(&mut self, level: Level, message: &str) -> wasmtime::Result<()> {
        let Some(left) = self.lines_left.checked_sub(1) else {
            return Err(wasmtime::Error::msg("it wrote more lines to the log than it may"));
        };
        self.lines_left = left;
        let line = clean(message, self.line_bytes);
        let policy: &str = &self.policy;
        match level {
            Level::Debug => tracing::debug!(policy, "{line}"),
            Level::Info => tracing::info!(policy, "{line}"),
            Level::Warn => tracing::warn!(policy, "{line}"),
        }
        Ok(())
    }
}

/// A policy that is ready to be called, whatever its world.
pub(crate) struct Callee {
    pub(crate) name: Arc<str>,
    /// The JSON text of the entry's settings.
    pub(crate) settings: String,
    pub(crate) limits: Limits,
    pub(crate) runtime: Arc<Runtime>,
}

impl Callee {
    /// Runs `call` on a fresh instance of `pre`. Everything that goes wrong is this policy's failure.
    pub(crate) fn call<S: 'static, P, B, R>(
        &self,
        pre: &P,
        desk: S,
        instantiate: impl FnOnce(&P, &mut Store<CallState<S>>) -> wasmtime::Result<B>,
        call: impl FnOnce(&B, &mut Store<CallState<S>>) -> wasmtime::Result<Result<R, Nonsense>>,
    ) -> Result<R, PolicyFailure> {
        let mut store = self.store(desk);
        let answer = self.arm(&mut store, INSTANTIATION_FUEL).and_then(|()| instantiate(pre, &mut store));
        let answer = answer.and_then(|instance| {
            self.arm(&mut store, self.limits.fuel)?;
            call(&instance, &mut store)
        });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Nonsense(reason))) => Err(self.failure(&reason)),
            Err(error) => Err(self.failure(&self.reason(&error))),
        }
    }

    /// A failure of this policy.
    pub(crate) fn failure(&self, reason: &str) -> PolicyFailure {
        PolicyFailure { policy: self.name.to_string(), reason: clean(reason, MAX_REASON_BYTES) }
    }

    fn store<S: 'static>(&self, desk: S) -> Store<CallState<S>> {
        let limits = &self.limits;
        let log = LogBook {
            policy: Arc::clone(&self.name),
            lines_left: limits.log_lines,
            line_bytes: limits.log_line_bytes,
        };
        let state = CallState { log, desk, limits: store_limits(limits) };
        let mut store = Store::new(self.runtime.engine(), state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(limits.handles);
        store
    }

    fn arm<S: 'static>(&self, store: &mut Store<CallState<S>>, fuel: u64) -> wasmtime::Result<()> {
        store.set_epoch_deadline(ticks(self.limits.deadline));
        store.set_fuel(fuel)
    }

    fn reason(&self, error: &wasmtime::Error) -> String {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => format!("it ran out of fuel (limit {})", self.limits.fuel),
            Some(Trap::Interrupt) => format!("it did not end within {} ms", self.limits.deadline.as_millis()),
            Some(Trap::StackOverflow) => "it ran out of stack".to_owned(),
            Some(trap) => format!("it trapped: {trap}"),
            None => format!("{error:#}"),
        }
    }
}

/// What a world prepares once and instantiates for each call.
pub(crate) type Prepared<S> = InstancePre<CallState<S>>;

fn store_limits(limits: &Limits) -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(limits.memory)
        .memories(limits.memories)
        .table_elements(limits.table_elements)
        .tables(limits.tables)
        .instances(limits.instances)
        // A guest that only learns that memory is short aborts without a reason.
        .trap_on_grow_failure(true)
        .build()
}
