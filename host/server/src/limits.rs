//! What a client may use up, each with its reason. Nothing here is a rule of the protocol: the original has no limits
//! so each is far above what a client of the protocol needs.

use std::time::Duration;

/// Limits that are options, or that a test shortens; everything else is a constant of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections per port, about 60 KiB each. One more takes the place of one at rest.
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
    /// All bodies being read on a port together, since anyone may upload a manifest. One that is slow makes room for
    /// another one.
    pub bodies_bytes: usize,
    /// All long answers to readers on a port together, since anyone may read the manifest and the whole log. One that is
    /// read slowly makes room for another one. A longer one alone is given all the same: the log has no end.
    pub answers_bytes: usize,
    /// A manifest, also one that waits for acknowledgements. Files are embedded in it; a thousand of 16 KiB each fit.
    pub manifest_bytes: usize,
    /// Secrets as JSON. A plain secret of some MiB fits; a Marble could not receive more, since gRPC's clients read
    /// 4 MiB.
    pub secrets_bytes: usize,
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
            bodies_bytes: 128 << 20,
            answers_bytes: 256 << 20,
            manifest_bytes: 16 << 20,
            secrets_bytes: 16 << 20,
        }
    }
}

/// A limit that can be configured.
#[derive(Debug, Clone, Copy)]
pub struct LimitOption {
    /// The option's name; its unit stands last.
    pub name: &'static str,
    /// The least value.
    pub least: u64,
    /// The greatest value.
    pub most: u64,
    set: fn(&mut Limits, u64),
}

/// Why limits cannot be used. `Display` names the option, the range and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No option has this name.
    #[error("there is no limit \"{0}\"")]
    Unknown(String),
    /// Outside its range.
    #[error("setting {name}: {value} is out of range; write a number from {least} to {most}")]
    OutOfRange {
        /// The option's name.
        name: &'static str,
        /// As written.
        value: u64,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
    },
    /// Two that do not go together.
    #[error("setting {upper}: it must be greater than {lower}, {why}; raise {upper} or lower {lower}")]
    Order {
        /// The option that must be the greater one.
        upper: &'static str,
        /// The option that must be the smaller one.
        lower: &'static str,
        /// The reason.
        why: &'static str,
    },
    /// A body of the greatest size would never fit.
    #[error(
        "setting max-bodies-mib: it must be at least {least}, twice the longest body that {name} allows in JSON"
    )]
    Bodies {
        /// The option that sets the longest body.
        name: &'static str,
        /// In MiB.
        least: usize,
    },
}

/// What can be configured, with the range that makes sense: below it the coordinator does not work, above it the limit
/// protects nothing.
pub const OPTIONS: [LimitOption; 10] = [
    option("max-connections", 16, 65_536, |limits, value| limits.connections = size(value)),
    option("max-requests", 8, 8192, |limits, value| limits.requests = size(value)),
    option("handshake-seconds", 1, 120, |limits, value| limits.handshake = Duration::from_secs(value)),
    option("body-seconds", 1, 900, |limits, value| limits.body_read = Duration::from_secs(value)),
    option("request-seconds", 5, 1800, |limits, value| limits.request = Duration::from_secs(value)),
    option("idle-seconds", 10, 3500, |limits, value| limits.idle = Duration::from_secs(value)),
    option("max-bodies-mib", 4, 16_384, |limits, value| limits.bodies_bytes = mib(value)),
    option("max-answers-mib", 4, 16_384, |limits, value| limits.answers_bytes = mib(value)),
    option("max-manifest-mib", 1, 64, |limits, value| limits.manifest_bytes = mib(value)),
    option("max-secrets-mib", 1, 64, |limits, value| limits.secrets_bytes = mib(value)),
];

const fn option(name: &'static str, least: u64, most: u64, set: fn(&mut Limits, u64)) -> LimitOption {
    LimitOption { name, least, most, set }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn mib(value: u64) -> usize {
    size(value << 20)
}

impl Limits {
    /// The most connections of a port that have a file: those that may be open, and some that are being closed to make room.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.connections.saturating_add(self.connections / MAKING_ROOM_PART).saturating_add(1)
    }

    /// Sets one limit by its option's name.
    ///
    /// # Errors
    /// There is no such option, or the value is out of its range.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), LimitError> {
        let option = OPTIONS.iter().find(|option| option.name == name);
        let LimitOption { name, least, most, set } = *option.ok_or(LimitError::Unknown(name.to_owned()))?;
        if !(least..=most).contains(&value) {
            return Err(LimitError::OutOfRange { name, value, least, most });
        }
        set(self, value);
        Ok(())
    }

    /// Whether they go together.
    ///
    /// # Errors
    /// Names the two that do not.
    pub fn check(&self) -> Result<(), LimitError> {
        let order = |upper, lower, why| Err(LimitError::Order { upper, lower, why });
        if self.request <= self.body_read {
            return order(
                "request-seconds",
                "body-seconds",
                "since a request lasts at least as long as its body",
            );
        }
        if self.idle <= self.request {
            let why = "since a client says nothing while it waits for an answer";
            return order("idle-seconds", "request-seconds", why);
        }
        for (name, longest) in
            [("max-manifest-mib", self.manifest_json_bytes()), ("max-secrets-mib", self.secrets_bytes)]
        {
            if self.bodies_bytes < 2 * longest {
                return Err(LimitError::Bodies { name, least: (2 * longest).div_ceil(1 << 20) });
            }
        }
        Ok(())
    }

    /// A manifest in base64 in JSON, with room for the JSON around it.
    pub(crate) fn manifest_json_bytes(&self) -> usize {
        self.manifest_bytes.div_ceil(3) * 4 + 1024
    }

    /// The same with components of policies sent along, as far as a body of this length always fits.
    pub(crate) fn manifest_with_policies_bytes(&self) -> usize {
        let longest = (self.bodies_bytes / 2).max(self.manifest_json_bytes());
        (self.manifest_json_bytes() + POLICIES_ALONG_BYTES).min(longest)
    }

    /// A policy's component, as far as a body of this length always fits.
    pub(crate) fn policy_bytes(&self) -> usize {
        POLICY_BYTES.min(self.bodies_bytes / 2)
    }

    /// What a body counts at least while it is read, so that at most a quarter of [`Limits::requests`] waits for bodies: who
    /// sends them slowly keeps nobody from asking what needs no body.
    pub(crate) fn body_at_least(&self) -> usize {
        self.bodies_bytes / (self.requests / 4).max(1)
    }
}

/// The head of a request. A URL with some hundred secret names fits. Over HTTP/1.1 up to twice as much may pass, since the
/// head is parsed before its length is looked at.
pub(crate) const HEADER_BYTES: usize = 64 << 10;

/// Secrets in one upload, some hundred bytes of memory each beside the body; the built-in authorizer's fuel is enough to judge as
/// many names.
pub(crate) const SECRETS_AT_ONCE: usize = 10_000;

/// A policy's component that is sent: no larger one is compiled. Half of [`Limits::bodies_bytes`] where that is less.
pub(crate) const POLICY_BYTES: usize = 32 << 20;

/// Components sent along with a manifest, in base64: one in Python fits, or twenty others. More are sent before, each by itself.
pub(crate) const POLICIES_ALONG_BYTES: usize = 40 << 20;

/// Components sent along with a manifest: no manifest names more.
pub(crate) const POLICIES_ALONG: usize = 64;

/// Components being read for answers at once; more wait. Each is opened as a whole before it counts as a long answer.
pub(crate) const COMPONENT_READINGS: usize = 2;

/// Such readings together with those that wait for one. One more is told to try again: anybody may ask.
pub(crate) const COMPONENT_READERS: usize = 16;

/// The body of a small request (a counter). Names are short.
pub(crate) const SMALL_JSON_BYTES: usize = 64 << 10;

/// A recovery secret with its signature.
pub(crate) const RECOVERY_BYTES: usize = 20_480;

/// A quote as JSON. With its certificates one has some 5 KiB; Open Enclave adds 16 bytes.
pub(crate) const QUOTE_JSON_BYTES: usize = 256 << 10;

/// When to try again after a 503: conflicts and overload pass within a second, or not soon.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// Up to here an answer to a reader is not counted. Clients that do not read keep so much in memory per stream.
pub(crate) const LONG_ANSWER_BYTES: usize = 4 << 10;

/// What a counted answer counts at least, so that there are not too many of them to look through.
pub(crate) const ANSWER_AT_LEAST_BYTES: usize = 16 << 10;

/// Answers are handed on in parts of this length: what was handed on cannot be taken back.
pub(crate) const ANSWER_PART_BYTES: usize = 64 << 10;

/// A body or an answer that has not moved by [`ANSWER_PART_BYTES`] within this time makes room for another one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// For a connection that makes room for another one, to end what it has begun meanwhile.
pub(crate) const MAKING_ROOM: Duration = Duration::from_millis(250);

/// So many at once, as a part of all connections; a newcomer waits until one of them is closed.
pub(crate) const MAKING_ROOM_PART: usize = 8;

/// A connection that was answered within this time is in use: it makes room only after those that are not.
pub(crate) const IN_USE: Duration = Duration::from_millis(250);

/// Long readings of the update log at once; more wait. Each line is opened by itself, and anybody may ask for all of them: one
/// reading leaves the other processors to everybody else.
pub(crate) const LOG_READINGS: usize = 1;

/// Long readings of the update log that are made or wait for their turn. One more is told to try again: whoever asks for the
/// log a few hundred times would otherwise take every place of [`Limits::requests`] with requests that only wait.
pub(crate) const LOG_READERS: usize = 16;

/// Backups being made or sent at once: each takes the disk space of a whole state until it was read.
pub(crate) const BACKUPS: usize = 1;

/// Lines of the update log that are not yet a long reading.
pub(crate) const LOG_FEW_LINES: usize = 100;

/// What is still read and thrown away of a body that is too long, so that the client gets to read the answer.
pub(crate) const DISCARD_BYTES: usize = 16 << 20;

/// Concurrent streams of an HTTP/2 connection; Go's default for servers is 250.
pub(crate) const H2_STREAMS: u32 = 100;

/// TLS handshakes that compute at once, on both ports together: one processor is left to those who are connected. With less than two
/// processors there is none to leave.
pub(crate) fn handshakes_at_once() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = if cfg!(feature = "enclave") { ENCLAVE_HANDSHAKES } else { usize::MAX };
    processors.saturating_sub(1).clamp(1, most)
}

/// Their threads inside an enclave, where threads and memory are fixed and the host says how many processors there are.
const ENCLAVE_HANDSHAKES: usize = 4;

/// So many bytes that a connection takes at once are an answer being read; less may be a ping's.
pub(crate) const READING_BYTES: usize = 1 << 10;

/// Streams that a peer may open and reset before they are answered, against rapid reset.
pub(crate) const H2_PENDING_RESETS: usize = 20;

/// What a peer may send over an HTTP/2 connection, or a stream, before it is read: of 256 KiB a body of 16 MiB still arrives
/// within four seconds over the longest way round the Earth.
pub(crate) const H2_WINDOW_BYTES: u32 = 256 << 10;

/// Requests of a connection that are under way, those included that the peer has called back and that have not noticed it yet:
/// twice [`H2_STREAMS`], which no well-behaved peer reaches.
pub(crate) const UNDER_WAY_AT_ONCE: usize = 200;

/// Requests that a connection's peer may call back, or more if it waits for as many answers. Rapid reset costs a peer nothing and
/// us a request each.
pub(crate) const ABANDONED: usize = 100;

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
mod tests;
