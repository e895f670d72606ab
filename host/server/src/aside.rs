//! Work for those who are not connected yet, on threads of its own: however much of it there is, it delays nobody who is.
//!
//! A handshake computes for about a millisecond. On the threads that answer requests, some hundred of them at once would keep every
//! answer waiting: a request that has arrived is looked for only between two pieces of work, and then it queues behind them.
//! The sockets stay with the runtime that accepted them; only the computing moves. Where the system lets us, these threads
//! yield to the others.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tracing::warn;

use crate::limits::handshakes_at_once;

/// How far they yield, from the priority that the process was given: with a thread that answers on the same processor they get about a
/// quarter of its time, and all of it otherwise.
const YIELDING: i32 = 6;

/// The least that Linux knows (setpriority(2)).
const LEAST: i32 = 19;

/// Where it is computed. One for all ports, as long as the process lives: its threads are the limit.
static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();

/// Starts the threads, unless they are there.
pub(crate) fn start() {
    let _ = threads();
}

/// Runs `work` aside. It ends with the waiting for it.
///
/// # Errors
/// It panicked.
pub(crate) async fn aside<T>(work: impl Future<Output = T> + Send + 'static) -> io::Result<T>
where
    T: Send + 'static,
{
    let threads = threads().map_or_else(Handle::current, |threads| threads.handle().clone());
    // Dropping the set ends what is in it.
    let mut one = JoinSet::new();
    one.spawn_on(work, &threads);
    match one.join_next().await {
        Some(Ok(done)) => Ok(done),
        Some(Err(error)) => Err(io::Error::other(error)),
        None => Err(io::Error::other("no work")),
    }
}

/// `None`: the runtime could not be built, and the work is done where it was asked for.
fn threads() -> Option<&'static Runtime> {
    let threads = THREADS.get_or_init(|| {
        // Without timers and sockets: those of the work belong to where it comes from.
        let built = Builder::new_multi_thread()
            .worker_threads(handshakes_at_once())
            .thread_name("handshakes")
            .on_thread_start(yield_to_others)
            .build();
        built.inspect_err(|error| warn!(%error, "handshakes get no threads of their own")).ok()
    });
    threads.as_ref()
}

/// On Linux this is the calling thread's priority. A sandbox may forbid it, which costs nothing but fairness.
fn yield_to_others() {
    if let Ok(given) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, yielding(given));
    }
}

fn yielding(given: i32) -> i32 {
    given.saturating_add(YIELDING).min(LEAST)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};
    use std::thread;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use super::*;

    /// Only a hang takes so long.
    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn it_is_done_on_other_threads_which_yield() {
        let (name, priority) = aside(async {
            let priority = rustix::process::getpriority_process(None).unwrap();
            (thread::current().name().map(str::to_owned), priority)
        })
        .await
        .unwrap();
        assert_eq!(name.as_deref(), Some("handshakes"));
        // This thread has what the process was given: only those threads yield.
        assert_eq!(priority, yielding(rustix::process::getpriority_process(None).unwrap()));
    }

    #[test]
    fn they_yield_from_wherever_the_process_is() {
        assert_eq!([-20, 0, 5, 14, 19].map(yielding), [-14, 6, 11, 19, 19]);
    }

    #[tokio::test]
    async fn more_computing_than_there_are_threads_delays_nobody_here() {
        let (go, gone) = mpsc::channel();
        let gone = Arc::new(Mutex::new(gone));
        let mut computing = JoinSet::new();
        for _ in 0..2 * handshakes_at_once() {
            let gone = Arc::clone(&gone);
            // Holds its thread: on this one, nobody would get to the line that ends it.
            computing.spawn(aside(async move { gone.lock().unwrap().recv_timeout(LONG).is_ok() }));
        }
        tokio::task::yield_now().await;
        (0..2 * handshakes_at_once()).for_each(|_| go.send(()).unwrap());
        while let Some(done) = computing.join_next().await {
            assert!(done.unwrap().unwrap(), "it was in the way of this test");
        }
    }

    #[tokio::test]
    async fn sockets_from_here_are_used_there_and_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let shaken = tokio::spawn(aside(async move {
            let byte = stream.read_u8().await.unwrap();
            (stream, byte)
        }));
        tokio::task::yield_now().await;
        peer.write_u8(7).await.unwrap();
        let (mut stream, byte) = shaken.await.unwrap().unwrap();
        assert_eq!(byte, 7);
        stream.write_u8(8).await.unwrap();
        assert_eq!(peer.read_u8().await.unwrap(), 8);
    }

    #[tokio::test]
    async fn it_ends_with_the_waiting_and_a_panic_is_an_error() {
        let (alive, dead) = oneshot::channel::<()>();
        let waiting = tokio::spawn(aside(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        }));
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(dead.await.is_err(), "what it held is dropped");
        assert!(aside(async { panic!("as a test") }).await.is_err());
    }
}
