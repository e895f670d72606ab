//! Any request to the clients' port of a coordinator whose state is locked. Nobody has the recovery
//! keys: whatever is sent, the state stays locked, unless a manifest replaces it.

use std::cell::RefCell;

use carrara_store::Backend;
use tempfile::TempDir;

use super::rest;
use crate::world::{self, World};

thread_local! {
    static LOCKED: RefCell<Option<(TempDir, World)>> = const { RefCell::new(None) };
}

pub(super) fn run(input: &[u8]) {
    let (folder, world) = LOCKED.with_borrow_mut(Option::take).unwrap_or_else(locked);
    let before = world.coordinator.status().code;
    assert_eq!(before, 1, "the state is locked");
    let first = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let sets_a_manifest = first.windows(8).any(|word| word == b"manifest");
    let answer = rest::ask(&world, input);
    let after = world.coordinator.status().code;
    assert!(after == before || sets_a_manifest, "it opened: {answer:?}");
    if after == before {
        LOCKED.set(Some((folder, world)));
    }
}

/// A state that was made on another machine.
fn locked() -> (TempDir, World) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_path_buf();
    let backend = |dir| Backend::Redb { dir, cache_bytes: 1 << 20 };
    let there = World::on(backend(dir.clone()), 1);
    there.set(world::manifest().as_bytes()).expect("the manifest is good");
    drop(there);
    (folder, World::on(backend(dir), 2))
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = rest::seeds();
    let list = |length: usize| format!("[{}]", vec!["7"; length].join(","));
    let base64 = |length: usize| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(vec![7; length])
    };
    for length in [0, 16, 32, 33, 255, 256, 257] {
        seeds.push(format!("POST /recover nobody\nRecovery-Signature: {}\n\n{}", base64(256), list(length)).into_bytes());
        seeds.push(
            format!(
                "POST /api/v2/recover nobody\n\n{{\"recoverySecret\":\"{}\",\"recoverySecretSignature\":\"{}\"}}",
                base64(length),
                base64(256)
            )
            .into_bytes(),
        );
    }
    seeds
}
