//! The durable steps of the store, by name: where a test build can be killed or made to fail.
//!
//! A step stands before or after something that a loss of power or a full disk can cut in two;
//! `host/docs/crash-safety.md` lists all of them, and tests die and fail at each. In any other build a step is nothing.

#[cfg(not(feature = "failpoints"))]
use std::io;

/// Reaches a step. An error is as if what stands there had failed.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reach(_step: &'static str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) use injected::reach;

#[cfg(feature = "failpoints")]
mod injected {
    use std::fs;
    use std::io;
    use std::path::Path;

    /// Does what `FAILPOINTS` says for the step: `STEP=return(abort)`, `return(enospc)` or `return(eio)`. With `@FILE`
    /// behind the word only while that file exists: a number in it lets so many passes go by, `always` means each,
    /// otherwise it is done once, and the file says so.
    pub(crate) fn reach(step: &'static str) -> io::Result<()> {
        fail::fail_point!(step, |word| act(word.as_deref().unwrap_or_default()));
        Ok(())
    }

    fn act(word: &str) -> io::Result<()> {
        let (word, file) = word.split_once('@').unwrap_or((word, ""));
        if !file.is_empty() && !is_due(Path::new(file)) {
            return Ok(());
        }
        match word {
            "abort" => std::process::abort(),
            "enospc" => Err(io::Error::from_raw_os_error(28)),
            "erofs" => Err(io::Error::from_raw_os_error(30)),
            _ => Err(io::Error::from_raw_os_error(5)),
        }
    }

    fn is_due(file: &Path) -> bool {
        let Ok(text) = fs::read_to_string(file) else { return false };
        if text == "always" {
            return true;
        }
        let Ok(passes) = text.parse::<u32>() else { return false };
        let next = passes.checked_sub(1).map_or_else(|| "reached".to_owned(), |left| left.to_string());
        // A file that cannot be written is a test that fails.
        let _ = fs::write(file, next);
        passes == 0
    }
}
