//! Collateral never gets older (architecture, Trust): the highest `tcbEvaluationDataNumber` of each kind of platform is
//! kept, and evidence that was judged by a lower one is refused.
//!
//! Older collateral stays validly signed for weeks and hides what became known since; the host chooses what the
//! coordinator is given. A reset of the state forgets the numbers.

use carrara_types::claims::{Claims, TcbEvaluation, Tee};

use crate::Coordinator;
use crate::ports::{Batch, CommitError, StoreError};
use crate::records;
use crate::view::View;

/// A commit in conflict is computed again this often.
const ATTEMPTS: usize = 8;

/// Why evidence is not taken.
pub(crate) enum Refused {
    /// What it was judged by is older than what was seen.
    Older {
        /// The number that the evidence was judged by.
        number: u32,
        /// The highest one that was seen.
        seen: u32,
    },
    /// The state could not be read or written.
    Store(StoreError),
    /// Eight conflicts in a row.
    Busy,
}

impl Refused {
    /// For the text of G-25 and of sign-quote; `None` if it is not about the evidence.
    pub(crate) fn text(&self) -> Option<String> {
        let Self::Older { number, seen } = self else { return None };
        Some(format!(
            "it was judged by collateral of TCB evaluation {number}, but this coordinator has seen {seen} for the same \
             kind of platform: refresh the collateral"
        ))
    }
}

impl Coordinator {
    /// Refuses claims by older collateral than was seen, and keeps the number of newer one before anybody gets anything
    /// for it. Writes once for each new number.
    pub(crate) async fn keep_collateral_age(&self, view: &View, claims: &Claims) -> Result<(), Refused> {
        let Some(TcbEvaluation { fmspc, number }) = claims.platform.tcb_evaluation else { return Ok(()) };
        let key = key(claims.tee, fmspc);
        if is_kept(view, &key, number)? {
            return Ok(());
        }
        // One at a time, so that of many Marbles that start with new collateral one writes.
        let _turn = self.turns.wait(&key).await;
        for _ in 0..ATTEMPTS {
            let Some(view) = self.view().map_err(Refused::Store)? else { return Ok(()) };
            if is_kept(&view, &key, number)? {
                return Ok(());
            }
            let mut batch = Batch { depends: view.dependencies(), ..Batch::default() };
            batch.depends.push((key.clone(), view.snapshot.record_revision(&key)));
            records::put(&mut batch, key.clone(), number.to_le_bytes().to_vec());
            match self.commit(batch, self.now(&view), &[]).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(Refused::Store(error)),
            }
        }
        Err(Refused::Busy)
    }
}

fn key(tee: Tee, fmspc: [u8; 6]) -> String {
    format!("tcbEvaluation:{}:{}", tee.name(), hex::encode(fmspc))
}

/// Whether the number is the one that is kept.
fn is_kept(view: &View, key: &str, number: u32) -> Result<bool, Refused> {
    let Some(record) = view.snapshot.open(key).map_err(Refused::Store)? else { return Ok(false) };
    let bytes = <[u8; 4]>::try_from(record.expose())
        .map_err(|_| Refused::Store(StoreError::Read(format!("record `{key}` has another length"))))?;
    let seen = u32::from_le_bytes(bytes);
    if number < seen { Err(Refused::Older { number, seen }) } else { Ok(number == seen) }
}
