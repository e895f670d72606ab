//! What the machine adds to an answer: bytes that go to and fro over loopback, between two threads that do nothing else, asked for as
//! often as the polite client asks. If this is slow, so is everything.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;

use super::polite::{OFTEN, Seen};

/// The threads at work.
pub(super) struct Echo {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Seen>,
}

impl Echo {
    /// Starts them.
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("binding the echo")?;
        let asker = TcpStream::connect(listener.local_addr()?).context("connecting to the echo")?;
        let (echo, _) = listener.accept().context("accepting the echo")?;
        for stream in [&asker, &echo] {
            stream.set_nodelay(true)?;
        }
        std::thread::spawn(move || answer(echo));
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let asking = std::thread::spawn(move || ask(asker, &told));
        Ok(Self { stop, asking })
    }

    /// Ends them and gives what was seen.
    pub(super) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().unwrap_or_default()
    }
}

/// Until the other side is closed.
fn answer(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).is_ok() {}
}

/// Each time counts from when it was due, as with the polite clients.
fn ask(mut stream: TcpStream, told: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    while !told.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let echoed = stream.write_all(&[7]).and_then(|()| stream.read_exact(&mut [0]));
        seen.note(due, echoed.context("echoing"));
        due += OFTEN;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let echo = Echo::start().unwrap();
        // At least the first is asked for at once, and each is asked for before the end is looked at.
        let seen = loop {
            if Arc::strong_count(&echo.stop) == 2 {
                break echo.end();
            }
        };
        assert!(seen.failures.is_empty());
    }
}
