//! Logs: one line per event on standard error, text or JSON.

use std::io::{IsTerminal as _, stderr};

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Logging};

/// Starts logging. Called once, before anything is logged.
///
/// # Errors
/// Somebody has started logging before.
pub(crate) fn start(logging: &Logging) -> anyhow::Result<()> {
    let lines = fmt::layer().with_writer(stderr);
    let registry = tracing_subscriber::registry().with(levels(logging));
    match logging.format {
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init()?
        }
        LogFormat::Text => {
            let colours = stderr().is_terminal();
            let source = logging.development;
            registry.with(lines.with_ansi(colours).with_file(source).with_line_number(source)).try_init()?;
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        // The place only: a panic's text may repeat the data that it stumbled over.
        let place = panic.location().map(ToString::to_string);
        error!(place, "panic");
    }));
    Ok(())
}

/// Debug level is for our own crates: libraries would log what passes through them.
fn levels(logging: &Logging) -> Targets {
    let own = if logging.debug || logging.development { LevelFilter::DEBUG } else { LevelFilter::INFO };
    Targets::new().with_default(LevelFilter::WARN).with_target("carrara", own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn logging(debug: bool, development: bool) -> Logging {
        Logging { format: LogFormat::Text, debug, development }
    }

    #[test]
    fn debug_logging_and_development_raise_our_own_level_and_no_library_s() {
        for raised in [logging(true, false), logging(false, true)] {
            assert!(levels(&raised).would_enable("carrara_server::edge", &Level::DEBUG));
            assert!(!levels(&raised).would_enable("h2::codec", &Level::INFO));
        }
        assert!(!levels(&logging(false, false)).would_enable("carrara_server::edge", &Level::DEBUG));
        assert!(levels(&logging(false, false)).would_enable("carrara_server::edge", &Level::INFO));
    }
}
