//! Bodies that are being read: limited in time, and all of a port together in memory. One that is sent slowly, or by an
//! address that sends more than its part, makes room for another one.

use std::future::Future;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use crate::limits::{ANSWER_PART_BYTES, Limits, PATIENCE};
use crate::places::{Full, Place, Places, UnderWay};

/// All bodies of a port.
pub(crate) struct Uploads {
    /// In KiB.
    places: Places,
    at_least: usize,
    time: Duration,
}

/// A body that is being read, and then one that was read. It counts as long as this value lives.
pub(crate) struct Upload {
    place: Place,
    at_least: usize,
    /// When it moved last, in parts of the body.
    parts: AtomicUsize,
    /// Once it was read, nobody takes its place.
    read: OnceLock<UnderWay>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It took too long.
    Slow,
    /// It was slow or a greedy address's, and made room for another one.
    MadeRoom,
}

impl Uploads {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::within(limits.bodies_bytes, limits.body_at_least(), limits.body_read)
    }

    /// All bodies together, what one counts at least, and the time for one.
    pub(crate) fn within(bytes: usize, at_least: usize, time: Duration) -> Self {
        Self { places: Places::new(kib(bytes), PATIENCE), at_least: kib(at_least).max(1), time }
    }

    /// Begins to read a body.
    ///
    /// # Errors
    /// There is no room, and none can be made.
    pub(crate) fn begin(&self, peer: IpAddr) -> Result<Upload, Full> {
        let place = self.places.enter(peer, self.at_least)?;
        Ok(Upload { place, at_least: self.at_least, parts: AtomicUsize::new(0), read: OnceLock::new() })
    }

    /// Reads a body with `reading`, until it ends, the time is up, or it has to make room.
    ///
    /// # Errors
    /// It did not end.
    pub(crate) async fn read<T>(
        &self,
        upload: &Upload,
        reading: impl Future<Output = T>,
    ) -> Result<T, Broken> {
        tokio::select! {
            biased;
            read = timeout(self.time, reading) => read.map_err(|_| Broken::Slow),
            () = upload.place.taken_back() => Err(Broken::MadeRoom),
        }
    }

    /// How much is taken, in KiB.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.places.taken()
    }
}

impl Upload {
    /// So many bytes are there by now.
    ///
    /// # Errors
    /// They do not fit into memory together with the other bodies.
    pub(crate) fn grows_to(&self, bytes: usize) -> Result<(), Full> {
        let parts = bytes / ANSWER_PART_BYTES;
        if parts > self.parts.swap(parts, Ordering::Relaxed) {
            self.place.held().moved();
        }
        let weight = kib(bytes);
        if weight > self.at_least { self.place.weigh(weight) } else { Ok(()) }
    }

    /// The whole body is there: it counts what it takes, and is not taken back any more.
    pub(crate) fn is_read(&self, bytes: usize) {
        self.read.get_or_init(|| self.place.held().begin());
        // Taken back a moment ago: the body is there all the same.
        let _ = self.place.weigh(kib(bytes));
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn uploads() -> Uploads {
        Uploads::within(8 << 10, 2 << 10, Duration::from_secs(3600))
    }

    //
    #[test]
    fn so_many_bodies_are_read_at_once_and_one_more_is_refused_while_none_is_slow() {
        let uploads = uploads();
        let bodies: Vec<Upload> = (0..4).map(|_| uploads.begin(A).ok().unwrap()).collect();
        assert!(uploads.begin(A).is_err());
        drop(bodies);
        assert!(uploads.begin(A).is_ok());
        assert_eq!(uploads.taken(), 0);
    }

    #[test]
    fn a_body_counts_what_it_takes_once_it_was_read() {
        let uploads = uploads();
        let body = uploads.begin(A).ok().unwrap();
        body.grows_to(1).unwrap();
        assert_eq!(uploads.taken(), 2);
        body.grows_to(8 << 10).unwrap();
        assert_eq!(body.grows_to((8 << 10) + 1), Err(Full));
        body.is_read(1);
        assert_eq!(uploads.taken(), 1);
    }

    // else a byte a second would keep a place from everybody else
    #[test]
    fn a_body_that_is_sent_byte_by_byte_moves_only_with_each_whole_part() {
        const PART: usize = ANSWER_PART_BYTES;
        let uploads = Uploads::within(1 << 20, 1 << 10, Duration::from_secs(3600));
        let body = uploads.begin(A).ok().unwrap();
        let moves = |bytes| {
            let since = body.place.held().at_rest_since();
            since.store(u64::MAX, Ordering::Relaxed);
            body.grows_to(bytes).unwrap();
            since.load(Ordering::Relaxed) != u64::MAX
        };
        let lengths = [1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART];
        assert_eq!(lengths.map(moves), [false, false, true, false, false, true]);
    }

    //
    #[tokio::test]
    async fn bodies_that_keep_moving_make_room_for_another_address_and_one_that_was_read_does_not() {
        const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
        let uploads = uploads();
        let bodies: Vec<Upload> = (0..4).map(|_| uploads.begin(A).ok().unwrap()).collect();
        bodies[0].is_read(2 << 10);
        let _newcomer = uploads.begin(B).ok().unwrap();
        let never = std::future::pending::<()>;
        assert_eq!(uploads.read(&bodies[1], never()).await, Err(Broken::MadeRoom));
        assert_eq!(bodies[1].grows_to(4 << 10), Err(Full));
        for stays in [0, 2, 3] {
            assert_eq!(uploads.read(&bodies[stays], std::future::ready(stays)).await, Ok(stays));
        }
        assert_eq!(uploads.taken(), 8);
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let uploads = Uploads::within(1024, 1024, Duration::from_millis(1));
        let body = uploads.begin(A).ok().unwrap();
        assert_eq!(uploads.read(&body, std::future::pending::<()>()).await, Err(Broken::Slow));
    }
}
