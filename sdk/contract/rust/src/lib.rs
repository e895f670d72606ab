//! What the contract policies of all worlds share: the word of the settings, the echo text (see ../README.md).

mod echo;
mod word;

pub use echo::{context, evidence, fact, hex, list, names, option, principal, text, value, version};
pub use word::{Word, check, word};

use std::sync::atomic::{AtomicU64, Ordering};

use carrara_policy::{Context, log};

/// The text of the error that nobody catches.
pub const BROKE: &str = "contract: it broke ✓";

/// Adds one to a counter of this instance.
pub fn count() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    COUNTER.fetch_add(1, Ordering::Relaxed) + 1
}

/// Ends in a panic.
///
/// # Panics
/// Always.
pub fn fail() -> ! {
    #[allow(clippy::panic, reason = "the contract asks what becomes of a panic")]
    {
        panic!("{BROKE}")
    }
}

/// Writes a line at each level.
pub fn log_lines() {
    log::debug("a debug line");
    log::info("an info line");
    log::warn("a warning ✓");
}

/// The message of the word `facts`.
#[must_use]
pub fn token_fact(context: &Context) -> String {
    context.fact("secret-last-set:token").map_or_else(|| "none".to_owned(), value)
}
