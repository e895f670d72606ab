//! What a client may use up, each with its reason. Nothing here is a rule of the protocol: the original has no limits
//! (R-4, X-17), so each is far above what a client of the protocol needs.

use std::time::Duration;

/// Limits that a test shortens; everything else is a constant of this file.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections per port. One costs about 50 KiB; above it, new ones wait in the kernel's queue.
    pub connections: usize,
    /// Requests being answered per port. Above it the answer is 503 at once: a queue would only hide the overload.
    pub requests: usize,
    /// A TLS handshake takes two round trips; a peer that needs longer holds a connection for nothing.
    pub handshake: Duration,
    /// From the handshake to the first byte. HTTP/2 without a preface would otherwise never end.
    pub first_byte: Duration,
    /// For the head of an HTTP/1.1 request, idle time between two requests included.
    pub header_read: Duration,
    /// For a whole body. 22 MiB in a minute is a slow line.
    pub body_read: Duration,
    /// For one answer. Generating large RSA keys for a manifest is the longest work there is.
    pub request: Duration,
    /// Without a byte from the peer, also while it reads a long answer; longer than [`Limits::request`], during which it
    /// has nothing to say. Also what an old connection gets to end in.
    pub idle: Duration,
    /// A connection older than this is asked to reconnect, so that none trickles on for ever.
    pub age: Duration,
    /// For what is under way when the process is told to end; an orchestrator kills after 30 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            requests: 512,
            handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            header_read: Duration::from_secs(30),
            body_read: Duration::from_secs(60),
            request: Duration::from_secs(120),
            idle: Duration::from_secs(180),
            age: Duration::from_secs(3600),
            drain: Duration::from_secs(10),
        }
    }
}

/// The head of a request. A URL with some hundred secret names fits. Over HTTP/1.1 up to twice as much may pass, since the
/// head is parsed before its length is looked at.
pub(crate) const HEADER_BYTES: usize = 64 << 10;

/// A manifest. Files are embedded in it; a thousand of 16 KiB each fit.
pub(crate) const MANIFEST_BYTES: usize = 16 << 20;

/// A manifest in base64 in JSON (R-34), with room for the JSON around it.
pub(crate) const MANIFEST_JSON_BYTES: usize = MANIFEST_BYTES.div_ceil(3) * 4 + 1024;

/// Secrets as JSON (R-53). A plain secret of some MiB fits; a Marble could not receive more, since gRPC's clients read 4 MiB.
pub(crate) const SECRETS_JSON_BYTES: usize = 16 << 20;

/// Secrets in one upload, some hundred bytes of memory each beside the body; the built-in authorizer's fuel is enough to judge as
/// many names.
pub(crate) const SECRETS_AT_ONCE: usize = 10_000;

/// The body of a small request (a counter). Names are short.
pub(crate) const SMALL_JSON_BYTES: usize = 64 << 10;

/// A recovery secret with its signature (R-45).
pub(crate) const RECOVERY_BYTES: usize = 20_480;

/// A quote as JSON. With its certificates one has some 5 KiB; Open Enclave adds 16 bytes.
pub(crate) const QUOTE_JSON_BYTES: usize = 256 << 10;

/// When to try again after a 503: conflicts and overload pass within a second, or not soon.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// All bodies being read on a port together, since anyone may upload a manifest (R-35).
pub(crate) const BODIES_BYTES: usize = 128 << 20;

/// All long answers to readers on a port together, since anyone may read the manifest and the whole log. A longer one alone
/// is given all the same: the log has no end.
pub(crate) const ANSWERS_BYTES: usize = 256 << 20;

/// Up to here an answer is not counted: [`Limits::requests`] of this length take 128 MiB.
pub(crate) const LONG_ANSWER_BYTES: usize = 256 << 10;

/// Bodies being read on a port at once, a fraction of [`Limits::requests`]: who sends them slowly keeps nobody from asking
/// what needs no body.
pub(crate) const UPLOADS: usize = 128;

/// Long readings of the update log at once; more wait. Each line is opened by itself, and anybody may ask for all of them: one
/// reading leaves the other processors to everybody else.
pub(crate) const LOG_READINGS: usize = 1;

/// Lines of the update log that are not yet a long reading.
pub(crate) const LOG_FEW_LINES: usize = 100;

/// What is still read and thrown away of a body that is too long, so that the client gets to read the answer.
pub(crate) const DISCARD_BYTES: usize = 16 << 20;

/// Concurrent streams of an HTTP/2 connection; Go's default for servers is 250.
pub(crate) const H2_STREAMS: u32 = 100;

/// Streams that a peer may open and reset before they are answered, against rapid reset.
pub(crate) const H2_PENDING_RESETS: usize = 20;

/// How often a silent HTTP/2 peer is asked whether it is still there.
pub(crate) const H2_PING: Duration = Duration::from_secs(60);

/// A gRPC message received (G-1: gRPC-Go's default).
pub(crate) const GRPC_MESSAGE_BYTES: usize = 4 << 20;

/// After an accept that failed (no file descriptors left), before the next one: trying at once would spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections to the metrics port. Two or three Prometheus servers and a curious person need one each. One more closes
/// the oldest, so that whoever holds connections keeps nobody away.
pub(crate) const METRICS_CONNECTIONS: usize = 128;

/// The head of a request to the metrics port, which has no long URLs.
pub(crate) const METRICS_HEADER_BYTES: usize = 16 << 10;

/// For the head of a request to the metrics port, from the connection's begin or the last answer on. Shorter than the time
/// between two scrapes: a scraper connects again.
pub(crate) const METRICS_HEADER_READ: Duration = Duration::from_secs(5);

/// A connection to the metrics port, however busy: scrapers connect again, and a slow reader holds one of few places.
pub(crate) const METRICS_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_outlives_the_longest_request() {
        let limits = Limits::default();
        assert!(limits.idle > limits.request && limits.request > limits.body_read);
    }

    #[test]
    fn slow_bodies_cannot_take_all_requests() {
        assert!(UPLOADS * 2 < Limits::default().requests);
    }

    #[test]
    fn a_manifest_of_the_greatest_size_fits_into_its_json() {
        let base64 = MANIFEST_BYTES.div_ceil(3) * 4;
        assert!(base64 + r#"{"manifest":""}"#.len() <= MANIFEST_JSON_BYTES);
        const { assert!(MANIFEST_JSON_BYTES * 4 < BODIES_BYTES) };
    }
}
