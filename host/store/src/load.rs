//! Verifies a stored state as a whole before any of it is used.
//!
//! The head says how many records there are, what they sum up to and what the log's root is; every record is opened
//! once. A state that loads is one revision, complete and unmixed (an old copy of all of it is not noticed here).

use std::sync::Arc;

use crate::head::{HEAD_NAME, Head};
use crate::mark::Mark;
use crate::merkle::sha256;
use crate::sealed::{Keyring, Place, SealError, Sealed};
use crate::state::{State, audit_name, line_name};

/// What a backend holds of a state besides mark and head.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) recovery_data: Vec<u8>,
    pub(crate) records: Vec<(String, Sealed)>,
    /// In order, without gaps.
    pub(crate) log: Vec<Sealed>,
    /// With their indexes, in order.
    pub(crate) audit: Vec<(u64, Sealed)>,
}

/// What is wrong with a stored state, for the message to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Why a head does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// Not with these keys.
    Sealed,
    /// It opens, but a later version wrote it.
    Newer,
}

impl From<SealError> for HeadError {
    fn from(_: SealError) -> Self {
        Self::Sealed
    }
}

/// Opens the head: the proof that the keys are the state's.
pub(crate) fn open_head(keys: &Keyring, mark: &Mark, head: &Sealed) -> Result<Head, HeadError> {
    let place = Place { state_id: &mark.state_id, name: HEAD_NAME };
    let clear = keys.open(place, head, "head")?;
    if Head::is_newer(clear.expose()) {
        return Err(HeadError::Newer);
    }
    let read = Head::decode(clear.expose()).ok_or(HeadError::Sealed)?;
    let agrees = read.state_id == mark.state_id && read.revision == head.revision();
    agrees.then_some(read).ok_or(HeadError::Sealed)
}

/// Verifies all records against the head, whose kind the caller has checked.
pub(crate) fn load(keys: &Keyring, head: &Head, stored: Stored) -> Result<State, Fault> {
    if sha256(&stored.recovery_data) != head.recovery_hash {
        return Err(Fault::new("the recovery data was changed"));
    }
    let mark = Mark { kind: head.kind, state_id: head.state_id };
    let mut state = State::new(mark, head.seal_mode, &stored.recovery_data);
    state.revision = head.revision;
    state.audit_first = head.audit_first;
    state.last_time_ms = head.last_time_ms;
    for (name, record) in stored.records {
        let place = Place { state_id: &mark.state_id, name: name.as_bytes() };
        if keys.open(place, &record, "record").is_err() {
            return Err(Fault(format!("the record {name:?} does not open")));
        }
        state.sum.add(&keys.summand(name.as_bytes(), &record));
        state.records.insert(Arc::from(name), record);
    }
    for (index, record) in (0..).zip(stored.log) {
        let name = line_name(index);
        let place = Place { state_id: &mark.state_id, name: &name };
        let Ok(line) = keys.open(place, &record, "update log line") else {
            return Err(Fault(format!("line {index} of the update log does not open")));
        };
        state.tree.append(line.expose());
        state.sum.add(&keys.summand(&name, &record));
        state.log.push_back(record);
    }
    for (expected, (index, record)) in (head.audit_first..).zip(stored.audit) {
        let name = audit_name(index);
        let place = Place { state_id: &mark.state_id, name: &name };
        if index != expected || keys.open(place, &record, "audit entry").is_err() {
            return Err(Fault(format!("entry {expected} of the audit trail is missing or does not open")));
        }
        state.sum.add(&keys.summand(&name, &record));
        state.audit.push_back(record);
    }
    // Count, sum, log size and log root at once: any difference means the same to the operator.
    if state.head() != *head {
        return Err(Fault::new("records of different revisions are mixed, or some are missing"));
    }
    Ok(state)
}
