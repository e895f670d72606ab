//! What a policy writes to the log in a native test.

use std::cell::RefCell;

use crate::log::Level;

thread_local! {
    /// The lines of the innermost [`logged`] of this thread; none outside of one.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs a function and gives its answer and what it wrote to the log, as `LEVEL: text`.
pub fn logged<R>(work: impl FnOnce() -> R) -> (R, Vec<String>) {
    let outer = LINES.replace(Some(Vec::new()));
    let answer = work();
    (answer, LINES.replace(outer).unwrap_or_default())
}

/// Keeps a line where a test wants it.
pub(crate) fn note(level: Level, text: &str) {
    let level = match level {
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
    };
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            lines.push(format!("{level}: {text}"));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log;

    #[test]
    fn lines_are_kept_in_order_and_only_inside() {
        log::warn("before");
        let ((_, inner), outer) = logged(|| {
            log::debug("a");
            let inner = logged(|| log::info("b"));
            log::warn("c");
            inner
        });
        assert_eq!(outer, ["DEBUG: a", "WARN: c"]);
        assert_eq!(inner, ["INFO: b"]);
    }
}
