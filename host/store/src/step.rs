//! The durable steps of the store, by name: where a test build can be killed or made to fail.
//!
//! A step stands before or after something that a loss of power or a full disk can cut in two;
//! `host/docs/crash-safety.md` lists all of them, and tests die and fail at each. In any other build a step is nothing.

#[cfg(not(feature = "failpoints"))]
use std::io;

/// Reaches a step. An error is as if what stands there had failed.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[expect(
    clippy::unnecessary_wraps,
    clippy::inline_always,
    reason = "its twin fails; nothing is left of this one"
)]
pub(crate) fn reach(_step: &'static str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) use injected::reach;

#[cfg(feature = "failpoints")]
mod injected {
    use std::io;
    use std::path::Path;

    /// Does what `FAILPOINTS` says for the step: `STEP=return(abort)`, `return(enospc)` or `return(eio)`; with
    /// `@FILE` behind the word, only while that file exists.
    pub(crate) fn reach(step: &'static str) -> io::Result<()> {
        fail::fail_point!(step, |word| act(word.as_deref().unwrap_or_default()));
        Ok(())
    }

    fn act(word: &str) -> io::Result<()> {
        let (word, file) = word.split_once('@').unwrap_or((word, ""));
        if !file.is_empty() && !Path::new(file).exists() {
            return Ok(());
        }
        match word {
            "abort" => std::process::abort(),
            "enospc" => Err(io::Error::from_raw_os_error(28)),
            _ => Err(io::Error::from_raw_os_error(5)),
        }
    }
}
