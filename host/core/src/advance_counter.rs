//! Monotonic counters of Marbles (rest-api.md, monotonic-counter): they never fall, and survive updates and restarts.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Coordinator;
use crate::error::{Cause, CounterError, WRONG_STATE};
use crate::marble_certificate::MarbleName;
use crate::ports::{Batch, CommitError};
use crate::records;
use crate::view::View;

/// A commit in conflict is computed again this often. Those who change the same counter take turns, so that conflicts
/// come from updates alone.
const ATTEMPTS: usize = 8;

/// Counters of one Marble: of one type and UUID. A Marble needs one for each thing that it protects from rollback.
pub(crate) const MAX_OF_A_MARBLE: usize = 1000;

/// Records of the state above which no counter is made: Marbles choose their UUIDs, and each record is in memory, with some 500
/// bytes. What a manifest brings along is limited by itself.
pub(crate) const MAX_RECORDS: usize = 200_000;

/// Bytes of a counter's name. It is a part of a record's name, and every record's name is in memory.
const MAX_NAME_BYTES: usize = 1024;

impl Coordinator {
    /// Whether the certificate (DER) is one that the marble root in force issued to a Marble: the 401 that comes before
    /// the body is looked at.
    ///
    /// # Errors
    /// [`CounterError::Unauthorized`] if not, also in a wrong state.
    pub fn authenticate_marble(&self, peer: Option<&[u8]>) -> Result<(), CounterError> {
        self.marble(peer).map(|_| ())
    }

    /// Raises the calling Marble's counter to `value` if it is lower, and gives the value before. A counter that nobody
    /// has raised is 0.
    ///
    /// # Errors
    /// Not a Marble, a bad name, or the state cannot be written.
    pub async fn advance_counter(
        &self,
        peer: Option<&[u8]>,
        name: &str,
        value: u64,
    ) -> Result<u64, CounterError> {
        let (view, marble) = self.marble(peer)?;
        if name.len() > MAX_NAME_BYTES {
            let length = name.len();
            let text =
                format!("the counter's name has {length} bytes, more than the limit of {MAX_NAME_BYTES}");
            return Err(CounterError::Invalid(text));
        }
        let key = records::counter(&id(&marble, name));
        let before = stored(&view, &key)?;
        if value <= before {
            return Ok(before);
        }
        // New ones of a Marble one after the other, so that their number is exact.
        let of_marble = records::counter(&id(&marble, ""));
        let is_new = view.snapshot.record_revision(&key).is_none();
        let _turn = self.turns.wait(if is_new { &of_marble } else { &key }).await;
        for _ in 0..ATTEMPTS {
            // The manifest may have changed meanwhile, and the marble root with it.
            let (view, _) = self.marble(peer)?;
            let before = stored(&view, &key)?;
            if value <= before {
                return Ok(before);
            }
            let known = view.snapshot.record_revision(&key);
            if known.is_none() {
                check_room(&view, &of_marble)?;
            }
            let mut batch = Batch { depends: view.dependencies(), ..Batch::default() };
            batch.depends.push((key.clone(), known));
            records::put(&mut batch, key.clone(), value.to_le_bytes().to_vec());
            match self.commit(batch, self.now(&view), &[]).await {
                Ok(_) => return Ok(before),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(CounterError::Store(error)),
            }
        }
        Err(CounterError::Busy)
    }

    fn marble(&self, peer: Option<&[u8]>) -> Result<(View, Arc<MarbleName>), CounterError> {
        let unauthorized = |text: &str| CounterError::Unauthorized(Cause(text.to_owned()));
        let view = self.view().map_err(CounterError::Store)?.ok_or_else(|| unauthorized(WRONG_STATE))?;
        let certificate = peer.ok_or_else(|| unauthorized("no client certificate"))?;
        let epoch = &view.epoch;
        let marble = epoch.marbles.recognise(certificate, &epoch.live.authority, self.now(&view));
        let marble = marble.map_err(CounterError::Unauthorized)?;
        Ok((view, marble))
    }
}

/// Whether there is room for one more.
fn check_room(view: &View, of_marble: &str) -> Result<(), CounterError> {
    let counters = view.snapshot.keys(of_marble).len();
    if counters >= MAX_OF_A_MARBLE {
        let text = format!(
            "the Marble has {counters} counters, and {MAX_OF_A_MARBLE} is the limit; use one that exists, or another UUID"
        );
        return Err(CounterError::TooMany(text));
    }
    if view.snapshot.record_count() >= MAX_RECORDS {
        let text = format!(
            "the state holds {MAX_RECORDS} records, and above that no counter is made; use one that exists"
        );
        return Err(CounterError::TooMany(text));
    }
    Ok(())
}

/// Type, UUID and name, so encoded that no two counters have the same.
fn id(marble: &MarbleName, name: &str) -> String {
    let parts = [marble.marble_type.as_bytes(), marble.uuid.as_bytes(), name.as_bytes()];
    parts.map(|part| STANDARD.encode(part)).join(":")
}

fn stored(view: &View, key: &str) -> Result<u64, CounterError> {
    let value = records::number(view.snapshot.as_ref(), key).map_err(CounterError::Store)?;
    Ok(value.unwrap_or(0))
}
