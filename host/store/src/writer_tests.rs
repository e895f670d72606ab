//! Failures of the backend under the writer: what is durable then, and what the callers are told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::sync::{Arc, Mutex};

use carrara_core::ports::{Batch, CommitError, Committed, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;
use tokio::sync::oneshot;

use crate::common::{Random, depending, new_state, put, rekeying, sealing};
use crate::load::Stored;
use crate::mark::Mark;
use crate::medium::{Birth, Medium, Rekeying};
use crate::memory::Memory;
use crate::sealed::Sealed;
use crate::state::Change;
use crate::view::View;
use crate::writer::{Waiting, Writer};

pub(crate) fn writer(medium: impl Medium + 'static, view: View) -> Writer {
    Writer::new(Box::new(medium), view, sealing(), Arc::new(Random))
}

/// A backend that counts its transactions and fails when told: before or after they are durable.
#[derive(Default)]
struct Failing {
    memory: Memory,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    transactions: u32,
    fail: Option<Fail>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fail {
    Before,
    After,
    /// The disk does not answer afterwards.
    AndStays,
    AfterAndStays,
}

impl Medium for Failing {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        let mut plan = self.plan.lock().unwrap();
        plan.transactions += 1;
        match plan.fail {
            None => self.memory.apply(change),
            Some(fail) => {
                if matches!(fail, Fail::After | Fail::AfterAndStays) {
                    self.memory.apply(change)?;
                }
                Err(StoreError::Write("no space".into()))
            }
        }
    }

    fn rekey(&mut self, rekeying: &Rekeying) -> Result<(), StoreError> {
        self.apply(&rekeying.change)
    }

    fn stored_head(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.plan.lock().unwrap().fail {
            Some(Fail::AndStays | Fail::AfterAndStays) => Err(StoreError::Write("still no space".into())),
            _ => self.memory.stored_head(),
        }
    }

    fn replace(&mut self, birth: &Birth) -> Result<(), StoreError> {
        self.memory.replace(birth)
    }

    fn finish_replacement(&mut self) -> Result<bool, StoreError> {
        self.memory.finish_replacement()
    }

    fn withdraw(&mut self, mark: &Mark, head: &Sealed) -> Result<(), StoreError> {
        self.memory.withdraw(mark, head)
    }

    fn read_locked(&mut self, head: &Sealed) -> Result<Stored, StoreError> {
        self.memory.read_locked(head)
    }

    fn adopt(&mut self, head: &Sealed, key_file: &[u8]) -> Result<(), StoreError> {
        self.memory.adopt(head, key_file)
    }
}

fn failing_writer() -> (Writer, Arc<Mutex<Plan>>) {
    let medium = Failing::default();
    let plan = medium.plan.clone();
    let mut writer = writer(medium, View::empty());
    writer.create(&new_state(), &put("a", "0")).unwrap();
    (writer, plan)
}

pub(crate) fn commit(writer: &mut Writer, batches: Vec<Batch>) -> Vec<Result<Committed, CommitError>> {
    let (group, answers): (Vec<_>, Vec<_>) = batches
        .into_iter()
        .map(|batch| {
            let (reply, answer) = oneshot::channel();
            (Waiting { batch, reply }, answer)
        })
        .unzip();
    writer.commit(group);
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

pub(crate) fn value(writer: &Writer) -> Vec<u8> {
    let view = writer.current().load_full();
    Snapshot::open(&*view, "a").unwrap().unwrap().expose().to_vec()
}

#[test]
fn a_group_is_one_transaction_and_conflicts_are_answered_one_by_one() {
    let (mut writer, plan) = failing_writer();
    let results = commit(
        &mut writer,
        vec![
            put("b", "1"),
            depending(put("a", "1"), "a", Some(1)),
            depending(put("a", "2"), "a", Some(1)),
            depending(put("c", "1"), "b", Some(2)),
            put("", "refused"),
        ],
    );
    assert_eq!(plan.lock().unwrap().transactions, 1);
    let revisions: Vec<_> = results.iter().map(|result| result.as_ref().ok().map(|ok| ok.revision)).collect();
    assert_eq!(revisions, [Some(2), Some(3), None, Some(4), None]);
    assert!(matches!(results[2], Err(CommitError::Conflict)));
    assert!(matches!(results[4], Err(CommitError::Store(StoreError::Write(_)))));
    assert_eq!(value(&writer), b"1");
}

#[test]
fn a_new_data_key_has_a_transaction_of_its_own_and_its_neighbours_keep_their_order() {
    let (mut writer, plan) = failing_writer();
    let before = writer.current().load_full();
    let results = commit(
        &mut writer,
        vec![
            put("b", "1"),
            depending(put("a", "1"), "a", Some(1)),
            // Revisions stay, so that dependencies hold across the change of the key.
            depending(rekeying(put("c", "1")), "a", Some(3)),
            depending(rekeying(put("c", "2")), "c", Some(2)),
            depending(put("b", "2"), "b", Some(2)),
            depending(put("b", "3"), "b", Some(2)),
        ],
    );
    let revisions: Vec<_> = results.iter().map(|result| result.as_ref().ok().map(|ok| ok.revision)).collect();
    assert_eq!(revisions, [Some(2), Some(3), Some(4), None, Some(5), None]);
    assert_eq!(plan.lock().unwrap().transactions, 3);
    assert_eq!(value(&writer), b"1");
    // Readers keep their snapshot with its key.
    assert_eq!(Snapshot::open(&*before, "a").unwrap().unwrap().expose(), b"0");
}

// New recovery secrets go along with the answer: it must be right.
#[test]
fn a_rekeying_that_failed_is_answered_by_what_is_durable() {
    for (fail, expected) in [(Fail::Before, b"0"), (Fail::After, b"1")] {
        let (mut writer, plan) = failing_writer();
        plan.lock().unwrap().fail = Some(fail);
        let answer = commit(&mut writer, vec![rekeying(put("a", "1"))]).remove(0);
        match fail {
            Fail::After => assert_eq!(answer.unwrap().revision, 2),
            _ => assert!(matches!(answer, Err(CommitError::Store(StoreError::Write(_)))), "{answer:?}"),
        }
        assert_eq!(value(&writer), expected);
        plan.lock().unwrap().fail = None;
        commit(&mut writer, vec![put("b", "1")]).remove(0).unwrap();
        assert_eq!(value(&writer), expected);
    }
}

#[test]
fn a_data_key_of_another_length_changes_nothing() {
    let (mut writer, plan) = failing_writer();
    let mut batch = rekeying(put("a", "1"));
    batch.rekey.as_mut().unwrap().data_key = SecretBytes::new("data key", vec![1; 31]);
    assert!(matches!(commit(&mut writer, vec![batch])[0], Err(CommitError::Store(StoreError::Write(_)))));
    assert_eq!((plan.lock().unwrap().transactions, value(&writer)), (0, b"0".to_vec()));
}

#[test]
fn a_group_of_conflicts_writes_nothing() {
    let (mut writer, plan) = failing_writer();
    let results = commit(&mut writer, vec![depending(put("a", "1"), "a", None)]);
    assert!(matches!(results[..], [Err(CommitError::Conflict)]));
    assert_eq!(plan.lock().unwrap().transactions, 0);
}

#[test]
fn a_failed_transaction_changes_nothing_and_the_next_one_goes_on() {
    let (mut writer, plan) = failing_writer();
    plan.lock().unwrap().fail = Some(Fail::Before);
    let results = commit(&mut writer, vec![put("a", "1"), depending(put("b", "1"), "a", None)]);
    assert!(results.iter().all(|result| matches!(result, Err(CommitError::Store(StoreError::Write(_))))));
    assert_eq!(value(&writer), b"0");
    plan.lock().unwrap().fail = None;
    let next = commit(&mut writer, vec![depending(put("a", "2"), "a", Some(1))]);
    assert_eq!(next[0].as_ref().unwrap().revision, 2);
    assert_eq!(value(&writer), b"2");
}

#[test]
fn a_transaction_that_failed_but_is_durable_is_answered_as_done() {
    let (mut writer, plan) = failing_writer();
    plan.lock().unwrap().fail = Some(Fail::After);
    let results = commit(&mut writer, vec![put("a", "1"), depending(put("b", "1"), "a", None)]);
    assert_eq!(results[0].as_ref().unwrap().revision, 2);
    assert!(matches!(results[1], Err(CommitError::Conflict)));
    assert_eq!(value(&writer), b"1");
    plan.lock().unwrap().fail = None;
    assert_eq!(commit(&mut writer, vec![put("a", "2")])[0].as_ref().unwrap().revision, 3);
}

// Neither "nothing was changed" nor "done" would be true.
#[test]
fn while_it_is_not_known_what_is_stored_the_caller_hears_so_and_nothing_more_is_written() {
    for (silent, expected) in [(Fail::AndStays, b"0"), (Fail::AfterAndStays, b"1")] {
        let (mut writer, plan) = failing_writer();
        plan.lock().unwrap().fail = Some(silent);
        let first = commit(&mut writer, vec![put("a", "1"), put("b", "1")]);
        for result in first {
            let Err(CommitError::Store(StoreError::Unknown(text))) = result else { panic!("{result:?}") };
            assert!(text.contains("no space") && text.contains("still no space"), "{text}");
        }
        let tried = plan.lock().unwrap().transactions;
        // These were not tried, so that nothing of them is stored.
        for batch in [put("a", "2"), rekeying(put("a", "2"))] {
            let refused = commit(&mut writer, vec![batch]).remove(0);
            assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))), "{refused:?}");
        }
        assert_eq!((plan.lock().unwrap().transactions, value(&writer)), (tried, b"0".to_vec()));
        plan.lock().unwrap().fail = None;
        // In conflict or not: by what is stored.
        let next = commit(&mut writer, vec![depending(put("c", "1"), "a", Some(1))]).remove(0);
        assert_eq!(next.is_ok(), silent == Fail::AndStays);
        assert_eq!(value(&writer), expected);
    }
}

#[test]
fn while_the_backend_stays_broken_readers_go_on_and_writers_hear_of_it() {
    let (mut writer, plan) = failing_writer();
    plan.lock().unwrap().fail = Some(Fail::AndStays);
    for _ in 0..3 {
        let results = commit(&mut writer, vec![put("a", "1"), put("b", "1")]);
        assert!(results.iter().all(|result| matches!(result, Err(CommitError::Store(_)))));
        assert_eq!(value(&writer), b"0");
    }
    plan.lock().unwrap().fail = None;
    assert!(commit(&mut writer, vec![put("a", "1")])[0].is_ok());
}
