//! The process's memory is nobody else's: it leaves no core file, and no other process of the same user reads it or
//! attaches to it.
//!
//! What is open in memory is listed in host/docs/secrets.md. This does not hold against root, nor against a host that
//! reads the machine's memory: only a TEE does.

use anyhow::{Context as _, Result};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Tests that read a coordinator's memory without being root set this; only builds for tests look at it.
#[cfg(feature = "failpoints")]
const READABLE: &str = "CARRARA_TEST_MEMORY_READABLE";

/// Forbids core files and attaching. First of all, before any secret is there.
pub(crate) fn hide() -> Result<()> {
    // A core file would hold every open key. In a confidential VM it would be written where others can read it.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).context("forbidding core files")?;
    #[cfg(feature = "failpoints")]
    if std::env::var_os(READABLE).is_some() {
        return Ok(());
    }
    // The limit alone does not hold where core files go to a program (core(5)); and nobody may attach.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("forbidding others to read our memory")
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_crash_leaves_no_core_file_and_nobody_attaches() {
        hide().unwrap();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
        assert!(matches!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable));
    }
}
