//! Places that all peers of a port share: connections, bodies that are being read, long answers that are being sent.
//!
//! Where there is no room, nobody is kept waiting: places at rest are taken back, first from an address that holds more
//! than its part, then from whoever has been at rest the longest; from who was answered a moment ago only after all others,
//! unless those are many. Where that is not enough, an address that holds more than its part gives up for another one also what moves; an address
//! within its part never does. What is under way is never taken back. Only where nothing can be taken back a newcomer is
//! refused, at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::limits::{ABANDONED, IN_USE, UNDER_WAY_AT_ONCE};

/// An address that holds more than this part of all places gives up its own first. Everybody behind one proxy has one
/// address, hence not less.
const PART_OF_ONE_ADDRESS: usize = 4;

/// At least this part of all places is taken back at once: looking for them costs a look at all places, and a flood makes
/// many newcomers.
const PART_TAKEN_BACK: usize = 64;

/// At most this part of all places goes last because they are in use.
const PART_IN_USE: usize = 2;

/// There is no room, and nothing can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Places of one kind.
#[derive(Clone)]
pub(crate) struct Places(Arc<Shared>);

struct Shared {
    limit: usize,
    /// Who has moved within this time is not at rest but moves.
    patience: Duration,
    /// Who was answered within this time is in use.
    in_use: Duration,
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

/// For whom room is made.
#[derive(Clone, Copy)]
struct Newcomer {
    source: Source,
    weight: usize,
    /// The place that grows, if it is no new one.
    grows: Option<u64>,
}

/// What can be taken back: the place and its weight, in order.
type Going = Vec<(u64, usize)>;

/// What the holder of a place does.
pub(crate) struct Held {
    begun: Instant,
    under_way: AtomicUsize,
    /// Milliseconds after `begun`.
    at_rest_since: AtomicU64,
    taken_back: Notify,
    content: Mutex<Option<Bytes>>,
    answered: AtomicUsize,
    /// Milliseconds after `begun`; 0 if no request was answered yet.
    answered_at: AtomicU64,
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
    /// So many; a holder that has not moved for as long as `patience` is at rest.
    pub(crate) fn new(limit: usize, patience: Duration) -> Self {
        Self(Arc::new(Shared {
            limit,
            patience,
            in_use: IN_USE,
            begun: Instant::now(),
            register: Mutex::default(),
        }))
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
            answered_at: AtomicU64::new(0),
            abandoned: AtomicUsize::new(0),
            calls_too_much_back: AtomicBool::new(false),
        });
        let mut register = self.register();
        let source = Source::of(address);
        register.make_room(shared, weight, Some(Newcomer { source, weight, grows: None }))?;
        let id = register.next;
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

impl Shared {
    /// What an address may hold before it gives up its own first.
    fn part(&self) -> usize {
        self.limit / PART_OF_ONE_ADDRESS
    }
}

impl Register {
    /// Takes places back until there is room, or none if that is not enough. Without a newcomer only what is at rest.
    fn make_room(&mut self, shared: &Shared, weight: usize, newcomer: Option<Newcomer>) -> Result<(), Full> {
        let missing = (self.taken + weight).saturating_sub(shared.limit);
        if missing == 0 {
            return Ok(());
        }
        let (mut going, moving) = self.first_to_go(shared, newcomer);
        let mut found = sum(&going);
        if let Some(newcomer) = newcomer.filter(|_| found < missing) {
            going.extend(self.of_the_greedy(shared, &going, moving, newcomer, missing - found));
            found = sum(&going);
        }
        if found < missing {
            return Err(Full);
        }
        let mut left = missing.max(shared.limit / PART_TAKEN_BACK);
        for (id, weight) in going {
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

    /// What is at rest, those of greedy addresses first, then what is not in use, then the longest; and what moves, the longest held
    /// first.
    fn first_to_go(&self, shared: &Shared, newcomer: Option<Newcomer>) -> (Going, Going) {
        // Just begun: nobody can have been at rest for so long.
        let now = elapsed_ms(shared.begun);
        let latest = now.checked_sub(milliseconds(shared.patience));
        let in_use = |holder: &Holder| {
            let answered = holder.held.answered_at.load(Ordering::Relaxed);
            answered > 0 && now.saturating_sub(answered) < milliseconds(shared.in_use)
        };
        let (mut at_rest, mut moving) = (Vec::new(), Vec::new());
        for (id, holder) in &self.holders {
            let since = holder.held.at_rest_since.load(Ordering::Relaxed);
            let under_way = holder.held.under_way.load(Ordering::Acquire) > 0;
            if under_way || newcomer.is_some_and(|newcomer| newcomer.grows == Some(*id)) {
                continue;
            }
            if latest.is_none_or(|latest| since > latest) {
                moving.push((*id, holder.weight));
                continue;
            }
            let within_its_part = self.held_by(holder.source) <= shared.part();
            at_rest.push((within_its_part, in_use(holder), since, *id, holder.weight));
        }
        // Where they are so many, those who come would have to go themselves, in the middle of their handshakes.
        if at_rest.iter().filter(|(_, in_use, ..)| *in_use).count() > shared.limit / PART_IN_USE {
            at_rest.iter_mut().for_each(|(_, in_use, ..)| *in_use = false);
        }
        at_rest.sort_unstable();
        // Numbers are given in order.
        moving.sort_unstable();
        (at_rest.into_iter().map(|(.., id, weight)| (id, weight)).collect(), moving)
    }

    /// Of what moves so much as is missing, from addresses that hold more than their part, and more than the newcomer's
    /// would: two greedy ones must not take from each other in turn.
    fn of_the_greedy(
        &self,
        shared: &Shared,
        gone: &Going,
        moving: Going,
        newcomer: Newcomer,
        mut missing: usize,
    ) -> Going {
        let mut left = self.by_source.clone();
        let mut take = |id: u64, weight: usize, above: usize| {
            let taken = self.holders.get(&id).and_then(|holder| left.get_mut(&holder.source))?;
            (*taken > above).then(|| *taken = taken.saturating_sub(weight))
        };
        for (id, weight) in gone {
            take(*id, *weight, 0);
        }
        let mut going = Vec::new();
        let its_own = self.held_by(newcomer.source) + newcomer.weight;
        for (id, weight) in moving {
            if missing == 0 {
                break;
            }
            if take(id, weight, shared.part().max(its_own)).is_some() {
                missing = missing.saturating_sub(weight);
                going.push((id, weight));
            }
        }
        going
    }

    fn held_by(&self, source: Source) -> usize {
        self.by_source.get(&source).copied().unwrap_or_default()
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
            let weight = weight - before;
            let newcomer = Newcomer { source, weight, grows: Some(self.id) };
            register.make_room(&self.places.0, weight, Some(newcomer))?;
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
        self.held.answered_at.store(elapsed_ms(self.held.begun).max(1), Ordering::Relaxed);
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

fn sum(going: &Going) -> usize {
    going.iter().map(|(_, weight)| weight).sum()
}

fn elapsed_ms(since: Instant) -> u64 {
    milliseconds(since.elapsed())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
