//! Calls of the Marbles' API and activations, by Marble type.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use carrara_core::Coordinator;
use carrara_core::ports::Clock;
use prometheus::{IntCounter, IntCounterVec};
use tonic::Code;

use super::Family;
use super::events::Events;

/// Marble types with series of their own. A manifest has some dozen; updates may bring others, and no series ever ends.
const TYPES: usize = 1000;

/// The label of what no manifest names.
const UNKNOWN: &str = "unknown";

/// go-grpc-middleware's names for the one call that there is.
const CALL: [&str; 3] = ["unary", "rpc.Marble", "Activate"];

/// As gRPC-Go writes them, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Where calls and activations are counted.
pub(crate) struct Marbles {
    pub(super) events: Events,
    started: IntCounter,
    received: IntCounter,
    sent: IntCounter,
    handled: Vec<IntCounter>,
    types: RwLock<HashMap<String, Activations>>,
    unknown: Activations,
    asked: IntCounterVec,
    succeeded: IntCounterVec,
}

#[derive(Clone)]
struct Activations {
    asked: IntCounter,
    succeeded: IntCounter,
}

/// An activation that is going on.
pub(crate) struct Attempt<'a> {
    marbles: &'a Marbles,
    activations: Activations,
    marble_type: &'a str,
    uuid: &'a str,
}

impl Marbles {
    pub(super) fn new(family: &Family<'_>, clock: Arc<dyn Clock>) -> prometheus::Result<Self> {
        let labels = ["grpc_type", "grpc_service", "grpc_method"];
        let calls = |name: &str, help: &str| {
            let counters = family.counters(name, help, &labels)?;
            prometheus::Result::Ok(counters.with_label_values(&CALL))
        };
        let [kind, service, method] = labels;
        let handled = "RPCs completed on the server.";
        let handled =
            family.counters("grpc_server_handled_total", handled, &[kind, service, method, "grpc_code"])?;
        let [kind, service, method] = CALL;
        let activations =
            |name: &str, help: &str| family.counters(&format!("coordinator_marble_{name}"), help, &["type"]);
        let asked = activations("activations_total", "Activations that were asked for.")?;
        let succeeded = activations("activations_success_total", "Activations that succeeded.")?;
        Ok(Self {
            events: Events::new(clock),
            started: calls("grpc_server_started_total", "RPCs started on the server.")?,
            received: calls("grpc_server_msg_received_total", "Messages received on the server.")?,
            sent: calls("grpc_server_msg_sent_total", "Messages sent by the server.")?,
            handled: CODES.map(|code| handled.with_label_values(&[kind, service, method, code])).into(),
            types: RwLock::default(),
            unknown: Activations::of(UNKNOWN, &asked, &succeeded),
            asked,
            succeeded,
        })
    }

    /// A call came in.
    pub(crate) fn started(&self) {
        self.started.inc();
    }

    /// A call ended with that code.
    pub(crate) fn handled(&self, code: Code) {
        if let Some(counter) = usize::try_from(i32::from(code)).ok().and_then(|code| self.handled.get(code)) {
            counter.inc();
        }
        if code == Code::Ok {
            self.sent.inc();
        }
    }

    /// An activation was asked for, with a message that could be read.
    pub(crate) fn attempt<'a>(
        &'a self,
        coordinator: &Coordinator,
        marble_type: &'a str,
        uuid: &'a str,
    ) -> Attempt<'a> {
        self.received.inc();
        let known = coordinator.has_marble(marble_type);
        let activations = if known { self.of_type(marble_type) } else { self.unknown.clone() };
        activations.asked.inc();
        Attempt { marbles: self, activations, marble_type, uuid }
    }

    fn of_type(&self, name: &str) -> Activations {
        let types = self.types.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = types.get(name) {
            return found.clone();
        }
        drop(types);
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        if types.len() >= TYPES && !types.contains_key(name) {
            return self.unknown.clone();
        }
        let make = || Activations::of(name, &self.asked, &self.succeeded);
        types.entry(name.to_owned()).or_insert_with(make).clone()
    }
}

impl Activations {
    fn of(name: &str, asked: &IntCounterVec, succeeded: &IntCounterVec) -> Self {
        Self { asked: asked.with_label_values(&[name]), succeeded: succeeded.with_label_values(&[name]) }
    }
}

impl Attempt<'_> {
    /// The Marble is going to get its answer.
    pub(crate) fn succeeded(self) {
        self.activations.succeeded.inc();
        self.marbles.events.add(self.marble_type, self.uuid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{coordinator, metrics, sample};

    //
    #[tokio::test]
    async fn types_that_no_manifest_names_share_one_series() {
        let (metrics, coordinator) = (metrics(), coordinator().await);
        for forged in ["a", "b\"} 1\nforged 1", "unknown"] {
            let _ = metrics.marbles.attempt(&coordinator, forged, "u");
        }
        let text = metrics.text(&coordinator).unwrap();
        assert_eq!(sample(&text, "coordinator_marble_activations_total{type=\"unknown\"}"), "3");
        assert_eq!(sample(&text, "coordinator_marble_activations_success_total{type=\"unknown\"}"), "0");
        assert!(!text.contains("forged"), "{text}");
        assert_eq!(text.matches("coordinator_marble_activations_total{").count(), 1);
    }

    #[test]
    fn the_number_of_series_has_a_limit_and_those_that_exist_go_on() {
        let metrics = metrics();
        for number in 0..TYPES + 5 {
            metrics.marbles.of_type(&format!("type{number}")).asked.inc();
        }
        metrics.marbles.of_type("type7").asked.inc();
        assert_eq!(metrics.marbles.of_type("type7").asked.get(), 2);
        assert_eq!(metrics.marbles.unknown.asked.get(), 5);
        assert_eq!(metrics.marbles.types.read().unwrap().len(), TYPES);
    }

    #[test]
    fn codes_are_named_as_grpc_go_names_them() {
        let metrics = metrics();
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from(i32::try_from(number).unwrap());
            assert_eq!(
                format!("{code:?}").to_lowercase(),
                name.replace("Canceled", "Cancelled").to_lowercase()
            );
        }
        metrics.marbles.handled(Code::PermissionDenied);
        assert_eq!(metrics.marbles.sent.get(), 0);
        metrics.marbles.handled(Code::Ok);
        assert_eq!(metrics.marbles.sent.get(), 1);
        assert_eq!(metrics.marbles.handled[7].get(), 1);
    }
}
