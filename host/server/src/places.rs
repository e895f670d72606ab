//! Places that all peers of a port share: connections, bodies that are being read, long answers that are being sent.
//!
//! Where there is no room, nobody is kept waiting: places at rest are taken back, first from an address that holds more
//! than its part, then from whoever has been at rest the longest. What is under way is never taken back. Only where
//! nothing can be taken back a newcomer is refused, at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::limits::{ABANDONED, UNDER_WAY_AT_ONCE};

/// An address that holds more than this part of all places gives up its own first. Everybody behind one proxy has one
/// address, hence not less.
const PART_OF_ONE_ADDRESS: usize = 4;

/// At least this part of all places is taken back at once: looking for them costs a look at all places, and a flood makes
/// many newcomers.
const PART_TAKEN_BACK: usize = 64;

/// There is no room, and nothing can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Places of one kind.
#[derive(Clone)]
pub(crate) struct Places(Arc<Shared>);

struct Shared {
    limit: usize,
    /// Who has moved within this time is not at rest.
    patience: Duration,
    begun: Instant,
    register: Mutex<Register>,
}

#[derive(Default)]
struct Register {
    next: u64,
    taken: usize,
    holders: HashMap<u64, Holder>,
    by_source: HashMap<Source, usize>,
}

struct Holder {
    source: Source,
    weight: usize,
    held: Arc<Held>,
}

/// Whom a place counts for: an IPv4 address, or the network of an IPv6 address, since a host has all of its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    V6(u64),
}

/// What the holder of a place does.
pub(crate) struct Held {
    begun: Instant,
    under_way: AtomicUsize,
    /// Milliseconds after `begun`.
    at_rest_since: AtomicU64,
    taken_back: Notify,
    content: Mutex<Option<Bytes>>,
    answered: AtomicUsize,
    abandoned: AtomicUsize,
    calls_too_much_back: AtomicBool,
}

/// A place. It ends with this value.
pub(crate) struct Place {
    places: Places,
    id: u64,
    held: Arc<Held>,
}

/// Something is under way as long as this lives. If it is not [`UnderWay::answered`], it was abandoned.
pub(crate) struct UnderWay {
    held: Arc<Held>,
    answered: bool,
}

impl Places {
    /// So many, of which only those can be taken back whose holder has not moved for as long as `patience`.
    pub(crate) fn new(limit: usize, patience: Duration) -> Self {
        Self(Arc::new(Shared { limit, patience, begun: Instant::now(), register: Mutex::default() }))
    }

    /// Takes a place of this weight.
    ///
    /// # Errors
    /// No room could be made.
    pub(crate) fn enter(&self, address: IpAddr, weight: usize) -> Result<Place, Full> {
        let shared = &self.0;
        let held = Arc::new(Held {
            begun: shared.begun,
            under_way: AtomicUsize::new(0),
            at_rest_since: AtomicU64::new(elapsed_ms(shared.begun)),
            taken_back: Notify::new(),
            content: Mutex::new(None),
            answered: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            calls_too_much_back: AtomicBool::new(false),
        });
        let mut register = self.register();
        register.make_room(shared, weight, None)?;
        let (id, source) = (register.next, Source::of(address));
        register.next += 1;
        register.holders.insert(id, Holder { source, weight, held: Arc::clone(&held) });
        register.add(source, weight);
        Ok(Place { places: self.clone(), id, held })
    }

    /// Takes back what has been at rest the longest although there is room: something else has run out.
    pub(crate) fn take_some_back(&self) {
        let mut register = self.register();
        let room = self.0.limit.saturating_sub(register.taken);
        let _ = register.make_room(&self.0, room.saturating_add(1), None);
    }

    /// How much is taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.register().taken
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.0.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    /// Takes places back until there is room, or none if that is not enough.
    fn make_room(&mut self, shared: &Shared, weight: usize, except: Option<u64>) -> Result<(), Full> {
        let missing = (self.taken + weight).saturating_sub(shared.limit);
        if missing == 0 {
            return Ok(());
        }
        let candidates = self.first_to_go(shared, except);
        if candidates.iter().map(|(_, weight)| weight).sum::<usize>() < missing {
            return Err(Full);
        }
        let mut left = missing.max(shared.limit / PART_TAKEN_BACK);
        for (id, weight) in candidates {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(weight);
            if let Some(holder) = self.remove(id) {
                holder.held.give_back();
            }
        }
        Ok(())
    }

    /// What can be taken back, with its weight, in order.
    fn first_to_go(&self, shared: &Shared, except: Option<u64>) -> Vec<(u64, usize)> {
        // Just begun: nobody can have been at rest for so long.
        let Some(latest) = elapsed_ms(shared.begun).checked_sub(milliseconds(shared.patience)) else {
            return Vec::new();
        };
        let part = shared.limit / PART_OF_ONE_ADDRESS;
        let mut found = Vec::new();
        for (id, holder) in &self.holders {
            let since = holder.held.at_rest_since.load(Ordering::Relaxed);
            let under_way = holder.held.under_way.load(Ordering::Acquire) > 0;
            if under_way || since > latest || except == Some(*id) {
                continue;
            }
            let within_its_part = self.by_source.get(&holder.source).is_none_or(|taken| *taken <= part);
            found.push((within_its_part, since, *id, holder.weight));
        }
        found.sort_unstable();
        found.into_iter().map(|(_, _, id, weight)| (id, weight)).collect()
    }

    fn add(&mut self, source: Source, weight: usize) {
        self.taken += weight;
        *self.by_source.entry(source).or_default() += weight;
    }

    fn subtract(&mut self, source: Source, weight: usize) {
        self.taken = self.taken.saturating_sub(weight);
        if let Some(taken) = self.by_source.get_mut(&source) {
            *taken = taken.saturating_sub(weight);
            if *taken == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    fn remove(&mut self, id: u64) -> Option<Holder> {
        let holder = self.holders.remove(&id)?;
        self.subtract(holder.source, holder.weight);
        Some(holder)
    }
}

impl Place {
    /// Changes its weight.
    ///
    /// # Errors
    /// No room could be made, or the place itself was taken back.
    pub(crate) fn weigh(&self, weight: usize) -> Result<(), Full> {
        let mut register = self.places.register();
        let holder = register.holders.get(&self.id).ok_or(Full)?;
        let (source, before) = (holder.source, holder.weight);
        if weight > before {
            register.make_room(&self.places.0, weight - before, Some(self.id))?;
        }
        register.subtract(source, before);
        register.add(source, weight);
        if let Some(holder) = register.holders.get_mut(&self.id) {
            holder.weight = weight;
        }
        Ok(())
    }

    /// Resolves when the place is taken back, once.
    pub(crate) async fn taken_back(&self) {
        self.held.taken_back.notified().await;
    }

    /// What its holder does.
    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.register().remove(self.id);
    }
}

impl Held {
    /// The holder moved: it is not at rest.
    pub(crate) fn moved(&self) {
        self.at_rest_since.store(elapsed_ms(self.begun), Ordering::Relaxed);
    }

    /// Since when it has been at rest, in milliseconds.
    #[cfg(test)]
    pub(crate) fn at_rest_since(&self) -> &AtomicU64 {
        &self.at_rest_since
    }

    /// Something begins that must not be cut off.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        let others = self.under_way.fetch_add(1, Ordering::AcqRel);
        if others >= UNDER_WAY_AT_ONCE {
            self.calls_too_much_back.store(true, Ordering::Relaxed);
        }
        UnderWay { held: Arc::clone(self), answered: false }
    }

    /// Whether its holder asks for much only to call it back, which costs nothing but us.
    pub(crate) fn calls_too_much_back(&self) -> bool {
        self.calls_too_much_back.load(Ordering::Relaxed)
    }

    fn abandon(&self) {
        let abandoned = self.abandoned.fetch_add(1, Ordering::Relaxed) + 1;
        if abandoned > ABANDONED.max(self.answered.load(Ordering::Relaxed)) {
            self.calls_too_much_back.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes that are dropped when the place is taken back.
    pub(crate) fn keep(&self, bytes: Bytes) {
        *self.content() = Some(bytes);
    }

    /// The next bytes that are kept, up to `limit` of them; `None` if the place was taken back.
    pub(crate) fn next(&self, limit: usize) -> Option<Bytes> {
        let mut content = self.content();
        let bytes = content.as_mut()?;
        Some(bytes.split_to(limit.min(bytes.len())))
    }

    fn content(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self) {
        *self.content() = None;
        self.taken_back.notify_one();
    }
}

impl UnderWay {
    /// It came to its end.
    pub(crate) fn answered(mut self) {
        self.answered = true;
        self.held.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.answered {
            self.held.abandon();
        }
        self.held.moved();
        self.held.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    milliseconds(since.elapsed())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
