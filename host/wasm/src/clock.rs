//! The clock that ends calls: it advances the engine's epoch while the engine is in use.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::engine::EngineError;

/// How long one tick of the epoch is. Deadlines are rounded up to it; shorter ticks would only wake the process more often.
const TICK: Duration = Duration::from_millis(10);

/// An engine with a running clock.
pub(crate) struct Runtime {
    engine: Engine,
    _ticker: Ticker,
}

impl Runtime {
    pub(crate) fn start(engine: Engine) -> Result<Self, EngineError> {
        let ticker = Ticker::start(engine.weak()).map_err(EngineError::Clock)?;
        Ok(Self { engine, _ticker: ticker })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// How many ticks cover `deadline`; one more, since the current tick has already begun.
pub(crate) fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1)
}

/// Advances the epoch until it is dropped or the engine is gone.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("policy-clock".to_owned()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only waits and counts: it cannot have panicked, and there is nobody to tell if it had.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Surroundings, engine};

    #[test]
    fn a_deadline_is_rounded_up_and_covers_the_tick_that_has_begun() {
        assert_eq!(ticks(Duration::from_millis(10)), 2);
        assert_eq!(ticks(Duration::from_millis(11)), 3);
        assert_eq!(ticks(Duration::ZERO), 1);
    }

    #[test]
    fn the_clock_ends_with_its_runtime() {
        let runtime = Runtime::start(engine(Surroundings::Process).unwrap()).unwrap();
        let weak = runtime.engine().weak();
        drop(runtime);
        assert!(weak.upgrade().is_none());
    }
}
