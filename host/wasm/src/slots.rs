//! An engine whose instances live in slots that stay mapped: for policies whose calls at once are bounded. A call's memory
//! is cleaned when the call ends, so that nothing of it is left for the next one.
//!
//! Code that was compiled for one kind of engine runs with the other.

use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::engine::{EngineError, Surroundings, config, engine};
use crate::limits::Limits;

/// What all slots of a pool are made for. Each call's own limits are below these and are enforced by its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSize {
    /// Calls at once. One more is refused, hence far more than there can be.
    pub(crate) calls: u32,
    /// Bytes of the largest linear memory.
    pub(crate) memory: usize,
    /// Elements of the largest table.
    pub(crate) table_elements: usize,
}

/// The most slots: 4 TiB of address space, a thirtieth of what a process has.
const MAX_SLOTS: u32 = 1000;

impl PoolSize {
    /// Room for policies with these limits, and for far more calls than they can have at once: the authorizer's run on the
    /// threads that serve requests, one per processor unless configured otherwise, the others' wait for their turns.
    pub(crate) fn holding(limits: &[Limits]) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let calls = u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(4).saturating_add(64);
        Self {
            calls: calls.min(MAX_SLOTS),
            memory: limits.iter().map(|limits| limits.memory).max().unwrap_or_default(),
            table_elements: limits.iter().map(|limits| limits.table_elements).max().unwrap_or_default(),
        }
    }
}

/// Linear memories and component instances of a call: the built-in policies have one of each.
const MEMORIES: u32 = 1;

/// Tables of a call, at most: that of the guest and that of its adapters.
const TABLES: u32 = 4;

/// Core instances of a call, at most: a Rust guest has 3.
const CORE_INSTANCES: u32 = 8;

/// What a slot keeps in memory between two calls; a call that used more gives the rest back. The built-in authorizer
/// needs a tenth of it.
const KEPT_BYTES: usize = 1 << 20;

/// Slots that are kept like this for a policy that is not called just now.
const KEPT_SLOTS: u32 = 16;

/// An engine with a pool; with one on demand where the surroundings have no room for a pool, which reserves 4 GiB of
/// address space per slot: in an enclave, or on a machine with few address bits.
pub(crate) fn pooled(surroundings: Surroundings, size: PoolSize) -> Result<Engine, EngineError> {
    if surroundings != Surroundings::Process {
        return engine(surroundings);
    }
    let mut settings = config(surroundings).map_err(|error| EngineError::Settings(format!("{error:#}")))?;
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(size)));
    Engine::new(&settings).or_else(|error| {
        tracing::warn!(
            error = format!("{error:#}"),
            "no pool for instances of policies; their calls are slower"
        );
        engine(surroundings)
    })
}

fn pool(size: PoolSize) -> PoolingAllocationConfig {
    let PoolSize { calls, memory, table_elements } = size;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls).total_core_instances(calls.saturating_mul(CORE_INSTANCES));
    pool.total_memories(calls.saturating_mul(MEMORIES)).total_tables(calls.saturating_mul(TABLES));
    pool.max_memory_size(memory).table_elements(table_elements).total_gc_heaps(0);
    pool.max_unused_warm_slots(KEPT_SLOTS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // The kernel (Linux 6.7) tells which pages were written to. Without that, cleaning all that might have been takes
        // longer than giving it back.
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT_BYTES)
            .table_keep_resident(KEPT_BYTES);
    }
    pool
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module, Store};

    use super::*;

    const SMALL: PoolSize = PoolSize { calls: 1, memory: 4 << 20, table_elements: 10 };

    /// Gives what it finds in its memory and its table, and leaves something in both: in the page with its data, in one
    /// without, in one that it has grown.
    const REMEMBER: &str = r#"(module
        (memory 2 64) (data (i32.const 0) "\01")
        (table 4 funcref) (elem declare func $it)
        (func $it (export "it") (result i32)
            (local $found i32)
            (drop (memory.grow (i32.const 40)))
            (local.set $found (i32.add
                (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 65536)))
                (i32.add (i32.load (i32.const 2600000)) (i32.eqz (ref.is_null (table.get (i32.const 3)))))))
            (i32.store (i32.const 0) (i32.const 77))
            (i32.store (i32.const 65536) (i32.const 77))
            (i32.store (i32.const 2600000) (i32.const 77))
            (table.set (i32.const 3) (ref.func $it))
            (local.get $found)))"#;

    fn store(engine: &Engine) -> Store<()> {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1_000_000);
        store.set_fuel(1_000_000).unwrap();
        store
    }

    #[test]
    fn nothing_of_a_call_is_left_for_the_next_one() {
        for surroundings in Surroundings::ALL {
            let engine = pooled(surroundings, SMALL).unwrap();
            let module = Module::new(&engine, REMEMBER).unwrap();
            for call in 0..5 {
                let mut store = store(&engine);
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                let it = instance.get_typed_func::<(), i32>(&mut store, "it").unwrap();
                assert_eq!(it.call(&mut store, ()).unwrap(), 1, "call {call} in {surroundings:?}");
                assert_ne!(it.call(&mut store, ()).unwrap(), 1, "within an instance it stays");
            }
        }
    }

    #[test]
    fn a_call_more_than_there_are_slots_is_refused_and_harms_nobody() {
        let engine = pooled(Surroundings::Process, SMALL).unwrap();
        let module = Module::new(&engine, REMEMBER).unwrap();
        let (mut first, mut second) = (store(&engine), store(&engine));
        let instance = Instance::new(&mut first, &module, &[]).unwrap();
        assert!(Instance::new(&mut second, &module, &[]).is_err());
        let it = instance.get_typed_func::<(), i32>(&mut first, "it").unwrap();
        assert_eq!(it.call(&mut first, ()).unwrap(), 1);
    }
}
