//! The program that libFuzzer drives; `cargo xtask fuzz` builds and runs it. CARRARA_FUZZ_TARGET names the target;
//! CARRARA_FUZZ_SEEDS, if set, is the folder that its seeds are written into first; CARRARA_FUZZ_LIST prints all names.
#![no_main]
// libFuzzer calls C functions that the macro exports.
#![allow(unsafe_code, missing_docs)]

use std::path::Path;
use std::sync::OnceLock;

use carrara_fuzz::{TARGETS, Target, find, seeds};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        let name = std::env::var("CARRARA_FUZZ_TARGET").unwrap_or_default();
        find(&name).unwrap_or_else(|| panic!("CARRARA_FUZZ_TARGET={name:?} is no target"))
    })
}

libfuzzer_sys::fuzz_target!(
    init: {
        if std::env::var_os("CARRARA_FUZZ_LIST").is_some() {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            std::process::exit(0);
        }
        if let Some(folder) = std::env::var_os("CARRARA_FUZZ_SEEDS") {
            seeds::write(target(), Path::new(&folder));
        }
    },
    |input: &[u8]| (target().run)(input)
);
