//! Somebody who asks for the status over one kept connection, fifty times a second, from a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hyper::Method;
use tokio::time::{MissedTickBehavior, interval};

use super::locked;
use crate::bench::rest::{self, Connection};
use crate::bench::server::Server;

const EVERY: Duration = Duration::from_millis(20);

/// The one who asks.
pub(crate) struct Asker {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Times of answers in microseconds, each from when it was to be asked for, and what failed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) times_us: Vec<u64>,
    pub(crate) failures: Vec<String>,
}

impl Asker {
    /// Starts to ask.
    pub(crate) fn start(server: &Server) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (runtime, connector) = (runtime.context("starting a runtime")?, server.rest(None)?);
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (noted, told) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut connection = Connection::open(&connector).await;
                let mut ticks = interval(EVERY);
                // Late questions are asked late and count from when they were due.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                while !told.load(Ordering::Relaxed) {
                    let due: Instant = ticks.tick().await.into_std();
                    let answer = match &mut connection {
                        Ok(open) => open.send(Method::GET, rest::STATUS, Bytes::new()).await.map(drop),
                        Err(_) => Err(anyhow::anyhow!("there is no connection")),
                    };
                    match answer {
                        Ok(()) => locked(&noted).times_us.push(due.elapsed().as_micros() as u64),
                        Err(error) => {
                            locked(&noted).failures.push(format!("{error:#}"));
                            connection = Connection::open(&connector).await;
                        }
                    }
                }
            });
        });
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// What was seen since the start, or since this was asked last.
    pub(crate) fn so_far(&self) -> Seen {
        std::mem::take(&mut *locked(&self.seen))
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
