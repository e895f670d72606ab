//! The process's memory is nobody else's: it leaves no core file, and no other process of the same user reads it or
//! attaches to it.
//!
//! What is open in memory is listed in host/docs/secrets.md. This does not hold against root, nor against a host that
//! reads the machine's memory: only a TEE does.

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::warn;

/// Tests that read a coordinator's memory without being root set this; only builds for tests look at it.
#[cfg(feature = "failpoints")]
const READABLE: &str = "CARRARA_TEST_MEMORY_READABLE";

/// Forbids core files and attaching. First of all, before any secret is there.
pub(crate) fn hide() -> Result<()> {
    // A core file would hold every open key. In a confidential VM it would be written where others can read it.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    unless_not_offered(setrlimit(Resource::Core, none), "forbidding core files")?;
    #[cfg(feature = "failpoints")]
    if std::env::var_os(READABLE).is_some() {
        return Ok(());
    }
    // The limit alone does not hold where core files go to a program (core(5)); and nobody may attach.
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    unless_not_offered(hidden, "forbidding others to read our memory")
}

/// Gramine has no prctl(2), and Occlum not this part of it: nobody reads an enclave's memory anyway. A refusal is none of these answers and
/// ends the start: Linux grants both to every process.
fn unless_not_offered(done: rustix::io::Result<()>, doing: &'static str) -> Result<()> {
    match done {
        Err(error) if matches!(error, Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
            warn!(
                %error,
                "{doing}: the system does not offer it; in an enclave nothing is lost, elsewhere a core file or a debugger \
                 may show secrets"
            );
            Ok(())
        }
        done => done.context(doing),
    }
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

    #[test]
    fn a_library_os_without_it_is_no_reason_to_end_and_a_refusal_is() {
        for missing in [Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP] {
            unless_not_offered(Err(missing), "forbidding it").unwrap();
        }
        let refused = unless_not_offered(Err(Errno::PERM), "forbidding it").unwrap_err();
        assert_eq!(refused.to_string(), "forbidding it");
    }
}
