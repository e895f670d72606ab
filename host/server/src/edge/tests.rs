//! Each request has one event in the log, with its id, whatever becomes of it.

use std::io::{self, Write};

use http_body_util::Full;
use tokio::sync::Notify;
use tracing::subscriber::DefaultGuard;

use super::*;

/// What is logged on this thread while it lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(lines.finish()))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// Notes a cause when it is told to go on, then answers.
fn edge(go: &Arc<Notify>, limit: Duration) -> Edge {
    let go = Arc::clone(go);
    let slow = move |_: Question| -> Pending {
        let go = Arc::clone(&go);
        Box::pin(async move {
            go.notified().await;
            note_cause("policy \"p\" could not decide: it\nran out of fuel".to_owned());
            go.notify_one();
            answer(Response::new(Full::new(Bytes::new())))
        })
    };
    let mishap = |_: Mishap| answer(Response::new(Full::new(Bytes::new())));
    let app = App { answer: Arc::new(slow), route: |_| "/route", mishap };
    Edge::new(app, &Limits { request: limit, ..Limits::default() })
}

async fn serve(edge: &Edge) -> Answer {
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificate: None };
    let Ok(answer) = edge.serve(peer, Request::new(Full::new(Bytes::new()))).await;
    answer
}

/// Lets the request's task run until it has noted its cause.
async fn finish(go: &Notify) {
    go.notify_one();
    tokio::task::yield_now().await;
    go.notified().await;
}

// policy.md, Limits and failure: "the reason in the log"
#[tokio::test]
async fn a_cause_is_logged_once_in_one_line_with_the_request_s_id() {
    let (log, _guard) = Log::start();
    let go = Arc::new(Notify::new());
    go.notify_one();
    let answer = serve(&edge(&go, Duration::from_secs(60))).await;
    let id = answer.headers()[REQUEST_ID].to_str().unwrap().to_owned();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [id.as_str(), "ERROR", "could not decide: it\\nran out of fuel", "/route", "status=200"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_an_event_and_so_does_a_failure_after_it() {
    let (log, _guard) = Log::start();
    let go = Arc::new(Notify::new());
    let edge = edge(&go, Duration::from_secs(60));
    {
        let serving = serve(&edge);
        tokio::pin!(serving);
        tokio::select! {
            biased;
            _ = &mut serving => unreachable!(),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(log.lines()[0].contains("request abandoned by its client"), "{:?}", log.lines());
    finish(&go).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("ran out of fuel") && lines[1].contains("request_id="), "{lines:?}");
}

#[tokio::test]
async fn a_failure_after_the_time_limit_is_logged_too() {
    let (log, _guard) = Log::start();
    let go = Arc::new(Notify::new());
    serve(&edge(&go, Duration::from_millis(1))).await;
    assert!(log.lines()[0].contains("cause=\"Timeout\""), "{:?}", log.lines());
    finish(&go).await;
    assert!(log.lines()[1].contains("ran out of fuel"), "{:?}", log.lines());
}

// what a limit refuses within an app is counted like what it refuses before it
#[tokio::test]
async fn an_answer_that_tells_of_a_limit_is_counted_once() {
    let full = |_: Question| -> Pending {
        let mut full = answer(Response::new(Full::new(Bytes::new())));
        full.extensions_mut().insert(Refused::Bodies);
        Box::pin(std::future::ready(full))
    };
    let mishap = |_: Mishap| answer(Response::new(Full::new(Bytes::new())));
    let app = App { answer: Arc::new(full), route: |_| "/route", mishap };
    let pressure = Pressure::unseen();
    let limits = Limits { requests: 1, ..Limits::default() };
    let edge = Edge::new(app, &limits).under(Arc::clone(&pressure));
    serve(&edge).await;
    assert_eq!(pressure.how_many_requests(Refused::Bodies), 1);
    let _all = edge.requests.acquire().await.unwrap();
    serve(&edge).await;
    let counts = [Refused::Requests, Refused::Bodies, Refused::Answers, Refused::Time];
    assert_eq!(counts.map(|reason| pressure.how_many_requests(reason)), [1, 1, 0, 0]);
}
