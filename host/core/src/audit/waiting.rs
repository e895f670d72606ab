//! Entries that wait to be stored: those that say the same become one, and each user has a share of the room, so that
//! nobody pushes others' entries out of the trail faster than host/docs/audit.md tells.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use time::OffsetDateTime;

use super::{Line, cut, written};
use crate::log;

/// Entries that wait in memory, of all users. More than this within the time between two writes are counted, not kept.
const WAITING: usize = 4096;

/// Bytes of waiting entries, likewise: names are the caller's words where she is refused.
const WAITING_BYTES: usize = 4 << 20;

/// Different entries of one user that wait. With one write a second a user needs more than two minutes to fill the whole
/// trail; see host/docs/audit.md before changing it.
const SHARE: usize = 64;

/// Counters of users whose entries found no room; more have one counter together.
const COUNTED_USERS: usize = 1024;

/// The entry that stands for those that were not kept.
#[derive(Serialize)]
struct Dropped<'a> {
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    action: &'a str,
    count: u64,
}

/// What waits to be stored.
#[derive(Default)]
pub(crate) struct Trail(Mutex<Waiting>);

/// Entries in the order of their first occurrence, and how many found no room.
#[derive(Default)]
pub(super) struct Waiting {
    entries: Vec<Waited>,
    known: HashMap<Arc<Line>, usize>,
    /// How many entries each user has.
    shares: HashMap<Option<String>, usize>,
    bytes: usize,
    dropped: BTreeMap<Option<String>, u64>,
}

/// An entry, and how often it occurred.
struct Waited {
    time: OffsetDateTime,
    line: Arc<Line>,
    count: u64,
}

impl Waiting {
    fn push(&mut self, time: OffsetDateTime, line: Arc<Line>, count: u64) {
        if let Some(known) = self.known.get(&line).and_then(|index| self.entries.get_mut(*index)) {
            known.count = known.count.saturating_add(count);
            return;
        }
        let share = self.shares.entry(line.user.clone()).or_default();
        let bytes = self.bytes.saturating_add(line.stored(time, count).len());
        if *share >= SHARE || self.entries.len() >= WAITING || bytes > WAITING_BYTES {
            self.drop_some(line.user.as_deref(), count);
            return;
        }
        *share += 1;
        self.bytes = bytes;
        self.known.insert(Arc::clone(&line), self.entries.len());
        self.entries.push(Waited { time, line, count });
    }

    fn drop_some(&mut self, user: Option<&str>, count: u64) {
        let user = user.map(|name| cut(name).into_owned());
        let has_place = self.dropped.len() < COUNTED_USERS || self.dropped.contains_key(&user);
        let dropped = self.dropped.entry(if has_place { user } else { None }).or_default();
        *dropped = dropped.saturating_add(count);
    }

    /// Everything that waits; last entries tell how many of whom were not kept.
    pub(super) fn lines(&self, now: OffsetDateTime) -> Vec<String> {
        let kept = self.entries.iter().map(|entry| entry.line.stored(entry.time, entry.count));
        let time = &log::time_text(now);
        let dropped = self.dropped.iter().map(|(user, count)| {
            written(&Dropped { time, user: user.as_deref(), action: "EntriesDropped", count: *count })
        });
        kept.chain(dropped).collect()
    }
}

impl Trail {
    pub(super) fn push(&self, time: OffsetDateTime, line: Line) {
        self.lock().push(time, Arc::new(line), 1);
    }

    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    /// What was taken waits again, before what came meanwhile.
    pub(super) fn put_back(&self, taken: Waiting) {
        let mut waiting = self.lock();
        let later = std::mem::replace(&mut *waiting, taken);
        later.entries.into_iter().for_each(|entry| waiting.push(entry.time, entry.line, entry.count));
        later.dropped.iter().for_each(|(user, count)| waiting.drop_some(user.as_deref(), *count));
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::decision::Principal;
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::super::{Action, Entry};
    use super::*;

    const NOW: OffsetDateTime = datetime!(2025-03-04 05:06:07.008_9 UTC);

    fn push(trail: &Trail, user: &str, second: i64, name: String) {
        let user = Principal { name: user.to_owned(), certificate_sha256: [0; 32], roles: Vec::new() };
        let time = NOW + time::Duration::seconds(second);
        trail.push(time, Entry::done(time, Some(&user), Action::ReadSecret, [name]).shown());
    }

    fn read(waiting: &Waiting) -> Vec<Value> {
        waiting.lines(NOW).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    // A golden: entries that were written once must be read for ever (host/docs/audit.md).
    #[test]
    fn the_forms_of_counted_and_dropped_entries_do_not_change() {
        let trail = Trail::default();
        push(&trail, "a", 0, "x".to_owned());
        push(&trail, "a", 1, "x".to_owned());
        let mut waiting = trail.take();
        waiting.drop_some(None, 3);
        waiting.drop_some(Some("a"), 2);
        let time = r#""time":"2025-03-04T05:06:07.008Z""#;
        assert_eq!(
            waiting.lines(NOW),
            [
                format!(
                    r#"{{{time},"user":"a","action":"ReadSecret","resources":["x"],"outcome":"done","count":2}}"#
                ),
                format!(r#"{{{time},"action":"EntriesDropped","count":3}}"#),
                format!(r#"{{{time},"user":"a","action":"EntriesDropped","count":2}}"#),
            ]
        );
    }

    #[test]
    fn a_user_who_fills_her_share_takes_no_room_of_others() {
        let trail = Trail::default();
        for index in 0..SHARE + 5 {
            push(&trail, "a", 0, index.to_string());
        }
        push(&trail, "b", 0, "0".to_owned());
        // What is known needs no room.
        push(&trail, "a", 0, "0".to_owned());
        let lines = read(&trail.take());
        assert_eq!(lines.len(), SHARE + 2);
        assert_eq!((&lines[0]["count"], lines[1].get("count")), (&json!(2), None));
        assert_eq!(lines[SHARE]["user"], "b");
        assert_eq!((&lines[SHARE + 1]["user"], &lines[SHARE + 1]["count"]), (&json!("a"), &json!(5)));
        assert!(read(&trail.take()).is_empty());
    }

    #[test]
    fn all_users_together_have_limits_too() {
        let trail = Trail::default();
        for index in 0..WAITING + COUNTED_USERS + 5 {
            push(&trail, &index.to_string(), 0, String::new());
        }
        let lines = read(&trail.take());
        assert_eq!(lines.len(), WAITING + COUNTED_USERS + 1);
        let (of_more, of_each) = (&lines[WAITING], &lines[WAITING + 1]);
        assert_eq!((of_more.get("user"), &of_more["count"]), (None, &json!(5)));
        assert_eq!(of_each["count"], 1);

        for user in 0..5 {
            push(&trail, &user.to_string().repeat(WAITING_BYTES / 4 - 1000), 0, String::new());
        }
        let waiting = trail.take();
        assert_eq!((waiting.entries.len(), waiting.dropped.len()), (4, 1));
        assert!(waiting.dropped.keys().flatten().all(|user| user.len() < 300));
    }

    #[test]
    fn what_could_not_be_stored_keeps_its_place_and_its_counts() {
        let trail = Trail::default();
        (0..SHARE + 1).for_each(|index| push(&trail, "a", 0, index.to_string()));
        let taken = trail.take();
        push(&trail, "a", 1, "later".to_owned());
        push(&trail, "a", 1, "0".to_owned());
        push(&trail, "b", 1, "0".to_owned());
        trail.put_back(taken);
        let lines = read(&trail.take());
        assert_eq!((&lines[0]["resources"], &lines[0]["count"]), (&json!(["0"]), &json!(2)));
        assert_eq!(lines[0]["time"], "2025-03-04T05:06:07.008Z");
        assert_eq!((&lines[SHARE]["user"], lines.len()), (&json!("b"), SHARE + 2));
        assert_eq!((&lines[SHARE + 1]["user"], &lines[SHARE + 1]["count"]), (&json!("a"), &json!(2)));
    }
}
