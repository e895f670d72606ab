//! Long answers in memory: anybody may ask for the manifest and the whole update log, and read the answer slowly. Together
//! they are limited, and one that is read slowly, or by an address that reads more than its part, makes room for another one; short ones, and those to a change, which may be
//! given only once, are not counted.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use super::Response;
use crate::edge;
use crate::limits::{ANSWER_AT_LEAST_BYTES, ANSWER_PART_BYTES, LONG_ANSWER_BYTES, PATIENCE};
use crate::places::{Place, Places};
use crate::problem::Failure;

/// What all long answers of a port may use together.
pub(super) struct LongAnswers {
    bytes: usize,
    /// In KiB.
    places: Places,
}

/// An answer's bytes, in parts, as long as they have their place.
struct Sending {
    place: Place,
    left: usize,
}

/// A reader that was slow or of a greedy address made room for another one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the answer was read too slowly, or its address reads too much at once: it made room for another one"
)]
struct MadeRoom;

impl LongAnswers {
    pub(super) fn within(bytes: usize) -> Self {
        Self { bytes, places: Places::new(bytes >> 10, PATIENCE) }
    }

    /// The same answer, counted if it is long. An answer without a length is not counted: who makes it limits it.
    ///
    /// # Errors
    /// [`Failure::AnswersFull`] if there is no room. An answer that is longer than all of it takes all of it.
    pub(super) fn count(&self, peer: Option<IpAddr>, answer: Response) -> Result<edge::Answer, Failure> {
        let length = usize::try_from(answer.body().size_hint().lower()).unwrap_or(usize::MAX);
        if length <= LONG_ANSWER_BYTES {
            return Ok(edge::answer(answer));
        }
        let weight = length.max(ANSWER_AT_LEAST_BYTES).min(self.bytes) >> 10;
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let place = self.places.enter(peer, weight).map_err(|_| Failure::AnswersFull)?;
        let (head, body) = answer.into_parts();
        // It is in memory as a whole.
        let collected = body.collect().now_or_never().ok_or(Failure::Encoding)?;
        let bytes = collected.map_err(|_| Failure::Encoding)?.to_bytes();
        let left = bytes.len();
        place.held().keep(bytes);
        Ok(edge::answer(http::Response::from_parts(head, Sending { place, left })))
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = MadeRoom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MadeRoom>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(part) = self.place.held().next(ANSWER_PART_BYTES) else {
            self.left = 0;
            return Poll::Ready(Some(Err(MadeRoom)));
        };
        self.left -= part.len();
        self.place.held().moved();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests;
