//! Connections of each TLS port, and what its limits refused or closed.

use prometheus::{IntCounter, IntGauge};

use super::Family;
use crate::connection::Closed;
use crate::edge::Mishap;

/// What a port's limits did.
pub(crate) struct Pressure {
    pub(crate) open: IntGauge,
    pub(crate) handshakes: IntGauge,
    closed: Vec<(Closed, IntCounter)>,
    refused: Vec<(Refused, IntCounter)>,
}

/// Why a request was refused before, or instead of, its use case. An answer that says so carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many requests are being answered.
    Requests,
    /// Its time limit passed.
    Time,
    /// There was no room for its body.
    Bodies,
    /// There was no room for its answer.
    Answers,
}

impl Refused {
    const ALL: [Self; 4] = [Self::Requests, Self::Time, Self::Bodies, Self::Answers];

    fn label(self) -> &'static str {
        match self {
            Self::Requests => "too-many-requests",
            Self::Time => "time-limit",
            Self::Bodies => "bodies-full",
            Self::Answers => "answers-full",
        }
    }

    /// `None`: not a limit's work.
    pub(crate) fn of(mishap: Mishap) -> Option<Self> {
        match mishap {
            Mishap::Panic => None,
            Mishap::Timeout => Some(Self::Time),
            Mishap::Overload => Some(Self::Requests),
        }
    }
}

impl Pressure {
    /// Both ports': the clients' and the Marbles'.
    pub(super) fn both(family: &Family<'_>) -> prometheus::Result<[Self; 2]> {
        let help = "Open connections, those in their handshake included.";
        let open = family.gauges("coordinator_connections_open", help, &["port"])?;
        let help = "TLS handshakes under way.";
        let handshakes = family.gauges("coordinator_handshakes_open", help, &["port"])?;
        let help = "Connections that have ended, by the reason.";
        let closed = family.counters("coordinator_connections_closed_total", help, &["port", "reason"])?;
        let help = "Requests that a limit answered, by the limit.";
        let refused = family.counters("coordinator_requests_refused_total", help, &["port", "reason"])?;
        let port = |port: &str| Self {
            open: open.with_label_values(&[port]),
            handshakes: handshakes.with_label_values(&[port]),
            closed: of_each(&Closed::ALL, |reason| closed.with_label_values(&[port, reason.label()])),
            refused: of_each(&Refused::ALL, |reason| refused.with_label_values(&[port, reason.label()])),
        };
        Ok([port("clients"), port("marbles")])
    }

    /// Counts what nobody asks for.
    #[cfg(test)]
    pub(crate) fn unseen() -> std::sync::Arc<Self> {
        let registry = prometheus::Registry::new();
        let [port, _] = Self::both(&Family(&registry)).unwrap();
        std::sync::Arc::new(port)
    }

    /// A connection ended.
    pub(crate) fn closed(&self, reason: Closed) {
        count(&self.closed, reason);
    }

    /// A request was refused.
    pub(crate) fn refused(&self, reason: Refused) {
        count(&self.refused, reason);
    }

    /// How many were refused so.
    #[cfg(test)]
    pub(crate) fn how_many_requests(&self, reason: Refused) -> u64 {
        self.refused.iter().find(|(known, _)| *known == reason).map_or(0, |(_, counter)| counter.get())
    }

    /// How many ended so.
    #[cfg(test)]
    pub(crate) fn how_many(&self, reason: Closed) -> u64 {
        self.closed.iter().find(|(known, _)| *known == reason).map_or(0, |(_, counter)| counter.get())
    }
}

fn of_each<T: Copy>(reasons: &[T], counter: impl Fn(T) -> IntCounter) -> Vec<(T, IntCounter)> {
    reasons.iter().map(|reason| (*reason, counter(*reason))).collect()
}

fn count<T: PartialEq>(counters: &[(T, IntCounter)], reason: T) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == reason) {
        counter.inc();
    }
}
