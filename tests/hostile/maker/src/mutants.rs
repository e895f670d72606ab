//! Valid guests that were changed: their core module by wasm-mutate, or any of their bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasm_mutate::WasmMutate;

use crate::guests::Guest;
use crate::random::Random;

/// Of the tool's own measure, for one change: without it some would take minutes.
const FUEL: u64 = 300;

/// Not every change that is drawn can be made.
const TRIES: usize = 40;

/// So much larger than the guest, a mutant is changed no more: the tool may fill in megabytes.
const MAX_GROWTH: usize = 1 << 20;

/// A guest whose core module was changed so many times.
pub(crate) fn mutant(guest: &Guest, changes: usize, random: &mut Random) -> anyhow::Result<Vec<u8>> {
    let mut module = guest.component[guest.module.clone()].to_vec();
    let (limit, mut done) = (module.len() + MAX_GROWTH, 0);
    // Half of them do what they did before, in another way.
    let same = random.one_in(2);
    for _ in 0..TRIES {
        if done == changes {
            break;
        }
        if let Some(changed) = change(&module, same, random).filter(|changed| changed.len() <= limit) {
            (module, done) = (changed, done + 1);
        }
    }
    if done == 0 {
        return Ok(bytes(guest, random));
    }
    Ok(guest.around(&module))
}

/// One change; `None` if it cannot be made.
fn change(module: &[u8], same: bool, random: &mut Random) -> Option<Vec<u8>> {
    let seed = random.next();
    // The tool gives up on some modules by panicking.
    let changed = catch_unwind(AssertUnwindSafe(|| {
        let mut mutate = WasmMutate::default();
        mutate.seed(seed).preserve_semantics(same).fuel(FUEL);
        let mut all = mutate.run(module).ok()?;
        all.next()?.ok()
    }));
    changed.ok().flatten().filter(|changed| changed != module)
}

/// A guest some of whose bytes were changed, removed, doubled or put elsewhere.
pub(crate) fn bytes(guest: &Guest, random: &mut Random) -> Vec<u8> {
    let mut bytes = guest.component.clone();
    for _ in 0..=random.below(4) {
        let at = 8 + random.below(bytes.len() - 8);
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => {
                let end = bytes.len().min(at + 1 + random.below(16));
                bytes.drain(at..end);
            }
            3 => {
                let end = bytes.len().min(at + 1 + random.below(64));
                let doubled = bytes[at..end].to_vec();
                bytes.splice(at..at, doubled);
            }
            _ => {
                let other = 8 + random.below(bytes.len() - 8);
                bytes[at] = bytes[other];
            }
        }
        if bytes.len() < 16 {
            break;
        }
    }
    if bytes == guest.component {
        bytes.push(0);
    }
    bytes
}
