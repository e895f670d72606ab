//! Tests that need a system package which may not be there.

use std::io::Write as _;

/// Says that a test was not run because something is missing; `install` is the one command that installs it. `cargo
/// xtask test` counts it, and `--no-skips` makes it a failure.
pub fn skip(test: &str, install: &str) {
    eprintln!("skipped {test}: {install}");
    if let Some(path) = std::env::var_os("CARRARA_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        // At once: other tests write, too.
        let _ = file.write_all(format!("{test}\t{install}\n").as_bytes());
    }
}
