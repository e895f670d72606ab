//! What /events tells: the newest activations of this process that succeeded, without their quotes (X-10).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use carrara_core::ports::Clock;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Events that are kept; about 1 MB. The original keeps them for ever.
const KEPT: usize = 4096;

/// A ring.
pub(crate) struct Events {
    clock: Arc<dyn Clock>,
    ring: Mutex<VecDeque<Arc<Activated>>>,
}

struct Activated {
    time: OffsetDateTime,
    marble_type: String,
    uuid: String,
}

/// An event as JSON.
#[derive(Serialize)]
struct Event<'a> {
    time: String,
    activation: Activation<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Activation<'a> {
    marble_type: &'a str,
    uuid: &'a str,
}

impl Events {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ring: Mutex::default() }
    }

    /// A Marble was activated. The UUID is as sent.
    pub(super) fn add(&self, marble_type: &str, uuid: &str) {
        let (marble_type, uuid) = (marble_type.to_owned(), uuid.to_owned());
        let activated = Arc::new(Activated { time: self.clock.now(), marble_type, uuid });
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if ring.len() < KEPT { None } else { ring.pop_front() };
        ring.push_back(activated);
        drop((ring, oldest));
    }

    /// A JSON array, oldest first; `null` when there are none.
    pub(super) fn json(&self) -> serde_json::Result<Vec<u8>> {
        // Pointers only: writing JSON must not keep activations waiting.
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let events: Vec<_> = ring.iter().map(|activated| activated.event()).collect();
        if events.is_empty() { Ok(b"null".to_vec()) } else { serde_json::to_vec(&events) }
    }
}

impl Activated {
    fn event(&self) -> Event<'_> {
        let time = self.time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default();
        Event { time, activation: Activation { marble_type: &self.marble_type, uuid: &self.uuid } }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    struct Fixed(OffsetDateTime);

    impl Clock for Fixed {
        fn now(&self) -> OffsetDateTime {
            self.0
        }
    }

    fn events(time: OffsetDateTime) -> Events {
        Events::new(Arc::new(Fixed(time)))
    }

    fn text(events: &Events) -> String {
        String::from_utf8(events.json().unwrap()).unwrap()
    }

    // rest-api.md section 7, X-10
    #[test]
    fn an_event_has_time_type_and_uuid_as_sent_and_no_quote() {
        let events = events(datetime!(2024-02-03 04:05:06.000_700_000 UTC));
        assert_eq!(text(&events), "null");
        events.add("svc", "URN:UUID:6BA7b810");
        let expected = r#"[{"time":"2024-02-03T04:05:06.0007Z","activation":{"marbleType":"svc","uuid":"URN:UUID:6BA7b810"}}]"#;
        assert_eq!(text(&events), expected);
    }

    // X-15
    #[test]
    fn the_oldest_events_go_when_there_are_too_many() {
        let events = events(OffsetDateTime::UNIX_EPOCH);
        for number in 0..=KEPT {
            events.add("svc", &number.to_string());
        }
        let json: serde_json::Value = serde_json::from_slice(&events.json().unwrap()).unwrap();
        let json = json.as_array().unwrap();
        assert_eq!(json.len(), KEPT);
        assert_eq!(json[0]["activation"]["uuid"], "1");
        assert_eq!(json[KEPT - 1]["activation"]["uuid"], KEPT.to_string());
    }
}
