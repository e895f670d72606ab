//! What wasm-smith makes: modules that have what a world demands, with random bodies, and random components.

use anyhow::Context as _;
use arbitrary::Unstructured;
use wasm_smith::{Component, Config, Module};

use crate::guests::World;
use crate::random::Random;

/// Of the bytes that a module is drawn from: more of them, more of it.
const MAX_BYTES: usize = 16 << 10;

/// Now and then the bytes that were drawn make nothing.
const TRIES: usize = 20;

/// A module behind a world.
pub(crate) fn module(world: &World, random: &mut Random) -> anyhow::Result<Vec<u8>> {
    let mut config = config(random);
    config.module_shape = Some(world.shape.clone());
    let module = draw(random, |u| Module::new(config.clone(), u).ok().map(|module| module.to_bytes()));
    world.component(module.context("no bytes made a module")?)
}

/// A component.
pub(crate) fn component(random: &mut Random) -> anyhow::Result<Vec<u8>> {
    let config = config(random);
    let component =
        draw(random, |u| Component::new(config.clone(), u).ok().map(|component| component.to_bytes()));
    component.context("no bytes made a component")
}

fn draw(random: &mut Random, make: impl Fn(&mut Unstructured<'_>) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    (0..TRIES).find_map(|_| {
        let count = 64 + random.below(MAX_BYTES);
        let bytes = random.bytes(count);
        let made =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(&mut Unstructured::new(&bytes))));
        made.ok().flatten()
    })
}

/// One in eight has all that the tool knows, most of which the engine does not take. The others stay within what it takes, and half of
/// them avoid what would trap, so that they get further.
fn config(random: &mut Random) -> Config {
    let mut config =
        Config { max_memory32_bytes: 128 << 20, max_table_elements: 200_000, ..Config::default() };
    config.max_instructions = 20 << random.below(8);
    config.max_funcs = 100;
    if random.one_in(8) {
        config.memory64_enabled = true;
        config.max_memories = 4;
        return config;
    }
    config.gc_enabled = false;
    config.compact_imports_enabled = false;
    config.exceptions_enabled = false;
    config.memory64_enabled = false;
    config.relaxed_simd_enabled = false;
    config.threads_enabled = false;
    config.wide_arithmetic_enabled = false;
    config.disallow_traps = random.one_in(2);
    config.allow_start_export = random.one_in(3);
    config
}
