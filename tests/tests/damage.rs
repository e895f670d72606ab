//! Damaged files under a real coordinator: a start refuses with the file and the remedy, goes to recovery, or shows exactly
//! what was there. Every block is visited by `host/store/tests/damage.rs`; these are the shapes that an operator meets.

use std::fs;

use carrara_tests::coordinator::Launch;
use carrara_tests::durable::{Base, Operation};

const BLOCK: usize = 4096;

enum Expected {
    /// Refused with these words, or served exactly.
    Refused(&'static [&'static str]),
    Recovery,
    Served,
}

fn check(name: &str, change: impl Fn(&mut Vec<u8>), expected: &Expected, what: &str) {
    let launch = Launch::new();
    let base = Base::shared();
    base.prepare(Operation::Write, &launch.seal_dir());
    let path = launch.seal_dir().join(name);
    let mut bytes = fs::read(&path).unwrap_or_default();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    match (launch.try_start(), expected) {
        (Ok(coordinator), Expected::Recovery) => assert_eq!(base.look(&coordinator).code, 1, "{what}"),
        (Ok(coordinator), _) => assert_eq!(base.look(&coordinator), base.shown, "{what}"),
        (Err(log), Expected::Refused(words)) => {
            let named = log.contains(&path.display().to_string());
            assert!(named && words.iter().all(|word| log.contains(word)), "{what}: {log}");
            assert!(!log.contains("panicked"), "{what}: {log}");
        }
        (Err(log), _) => panic!("{what}: {log}"),
    }
}

// X-25, L-16, L-17
#[test]
fn a_damaged_state_is_refused_with_the_file_and_the_remedy_or_served_exactly() {
    let damaged = Expected::Refused(&["restore", "sealed_key"]);
    check("state.redb", |bytes| bytes.clear(), &damaged, "empty");
    check("state.redb", |bytes| bytes.truncate(bytes.len() / 2), &damaged, "half");
    check("state.redb", |bytes| bytes.truncate(BLOCK), &damaged, "one block");
    check("state.redb", |bytes| bytes[0] ^= 1, &damaged, "another magic");
    check("state.redb", |bytes| bytes.fill(0), &damaged, "zeros");
    for used in 1..6 {
        let flip = |bytes: &mut Vec<u8>| {
            let mut blocks = bytes.chunks_mut(BLOCK).filter(|block| block.iter().any(|byte| *byte != 0));
            if let Some(block) = blocks.nth(used) {
                block[100] ^= 4;
            }
        };
        check("state.redb", flip, &damaged, &format!("a bit in used block {used}"));
    }
}

// L-16
#[test]
fn a_damaged_key_is_recovery() {
    for (what, at) in [("magic", 0), ("state id", 20), ("wrapped key", 60)] {
        check("sealed_key", |bytes| bytes[at] ^= 1, &Expected::Recovery, what);
    }
    check("sealed_key", |bytes| bytes.truncate(30), &Expected::Recovery, "cut");
    check("sealed_key", Vec::clear, &Expected::Recovery, "empty");
}

// L-30
#[test]
fn what_lies_beside_the_state_does_not_matter() {
    for name in ["state.redb.new", "sealed_key.new", "lock"] {
        check(name, |bytes| bytes.extend_from_slice(b"garbage"), &Expected::Served, name);
    }
}
