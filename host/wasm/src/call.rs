//! One call of a policy: a fresh instance with its limits, what it may do meanwhile, what it used, and why it failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carrara_core::ports::PolicyFailure;
use wasmtime::component::InstancePre;
use wasmtime::{ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, Trap};

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

/// What one call used and wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallReport {
    /// About one per instruction, without instantiation: the same for the same request on every machine.
    pub fuel: u64,
    /// Wall clock, instantiation included.
    pub duration: Duration,
    /// Bytes of linear memory at the end; it never shrinks.
    pub memory: usize,
    /// What it wrote to the log, bounded.
    pub log: Vec<LogLine>,
}

/// A line that a guest wrote to the log, cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `debug`, `info` or `warn`.
    pub level: &'static str,
    /// Its text.
    pub text: String,
}

/// An answer and what it cost.
#[derive(Debug, Clone)]
pub struct Called<A> {
    /// The answer, or why there is none.
    pub answer: A,
    /// What the call used.
    pub report: CallReport,
}

impl<A> Called<A> {
    /// The same call with another form of its answer.
    pub(crate) fn map<B>(self, form: impl FnOnce(A) -> B) -> Called<B> {
        Called { answer: form(self.answer), report: self.report }
    }
}

/// What a store holds: limits, the log, and what the world adds (`S`).
pub(crate) struct CallState<S> {
    pub(crate) log: LogBook,
    pub(crate) desk: S,
    limits: Watched,
}

/// The lines that a guest writes in one call.
pub(crate) struct LogBook {
    policy: Arc<str>,
    lines_left: u32,
    line_bytes: usize,
    written: Vec<LogLine>,
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
        let level = match level {
            Level::Debug => {
                tracing::debug!(policy, "{line}");
                "debug"
            }
            Level::Info => {
                tracing::info!(policy, "{line}");
                "info"
            }
            Level::Warn => {
                tracing::warn!(policy, "{line}");
                "warn"
            }
        };
        self.written.push(LogLine { level, text: line });
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
    ) -> Called<Result<R, PolicyFailure>> {
        let began = Instant::now();
        let (mut store, mut budget) = (self.store(desk), 0);
        let answer = self.arm(&mut store, INSTANTIATION_FUEL).and_then(|()| instantiate(pre, &mut store));
        let answer = answer.and_then(|instance| {
            self.arm(&mut store, self.limits.fuel)?;
            budget = self.limits.fuel;
            call(&instance, &mut store)
        });
        let answer = match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Nonsense(reason))) => Err(self.failure(&reason)),
            Err(error) => {
                let fuel = if budget == 0 { INSTANTIATION_FUEL } else { budget };
                Err(self.failure(&self.reason(&error, fuel)))
            }
        };
        let fuel = budget.saturating_sub(store.get_fuel().unwrap_or_default());
        let CallState { log, limits, .. } = store.into_data();
        let report = CallReport { fuel, duration: began.elapsed(), memory: limits.memory, log: log.written };
        Called { answer, report }
    }

    /// A failure of this policy.
    pub(crate) fn failure(&self, reason: &str) -> PolicyFailure {
        PolicyFailure::failed(self.name.to_string(), clean(reason, MAX_REASON_BYTES))
    }

    fn store<S: 'static>(&self, desk: S) -> Store<CallState<S>> {
        let limits = &self.limits;
        let log = LogBook {
            policy: Arc::clone(&self.name),
            lines_left: limits.log_lines,
            line_bytes: limits.log_line_bytes,
            written: Vec::new(),
        };
        let state = CallState { log, desk, limits: Watched::new(limits) };
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

    /// Why a call ended that had so much fuel.
    fn reason(&self, error: &wasmtime::Error, fuel: u64) -> String {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => format!("it ran out of fuel (limit {fuel})"),
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

/// A store's limits, and how much of them all its memories and all its tables take together: a call's share of the
/// machine is counted once, however many memories a guest has.
struct Watched {
    limits: StoreLimits,
    memory: usize,
    most_memory: usize,
    elements: usize,
    most_elements: usize,
}

impl Watched {
    fn new(limits: &Limits) -> Self {
        Self {
            limits: store_limits(limits),
            memory: 0,
            most_memory: limits.memory,
            elements: 0,
            most_elements: limits.table_elements,
        }
    }
}

/// What all have together when one of them grows, if that is within the limit. They never shrink.
fn grown(all: usize, current: usize, desired: usize, most: usize) -> Option<usize> {
    let sum = all.saturating_add(desired.saturating_sub(current));
    (sum <= most).then_some(sum)
}

impl ResourceLimiter for Watched {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Some(sum) = grown(self.memory, current, desired, self.most_memory) else {
            let limit = self.most_memory;
            return Err(wasmtime::Error::msg(format!(
                "it took more memory than it may (limit {limit} bytes)"
            )));
        };
        let may = self.limits.memory_growing(current, desired, maximum)?;
        if may {
            self.memory = sum;
        }
        Ok(may)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Some(sum) = grown(self.elements, current, desired, self.most_elements) else {
            let limit = self.most_elements;
            return Err(wasmtime::Error::msg(format!(
                "its tables took more elements than they may (limit {limit})"
            )));
        };
        let may = self.limits.table_growing(current, desired, maximum)?;
        if may {
            self.elements = sum;
        }
        Ok(may)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
