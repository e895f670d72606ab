//! Long answers in memory: anybody may ask for the manifest and the whole update log, and read the answer slowly. Together
//! they are limited; short ones, and those to a change, which may be given only once, are not counted.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Response;
use crate::limits::LONG_ANSWER_BYTES;
use crate::problem::Failure;

/// What all long answers of a port may use together.
pub(super) struct LongAnswers {
    bytes: usize,
    /// In KiB.
    room: Arc<Semaphore>,
}

/// An answer's bytes with their share, which ends when they are sent.
struct Counted {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl LongAnswers {
    pub(super) fn within(bytes: usize) -> Self {
        Self { bytes, room: Arc::new(Semaphore::new(bytes >> 10)) }
    }

    /// The same answer, counted if it is long.
    ///
    /// # Errors
    /// [`Failure::AnswersFull`] if there is no room. An answer that is longer than all of it takes all of it.
    pub(super) async fn count(&self, answer: Response) -> Result<Response, Failure> {
        let length = usize::try_from(answer.body().size_hint().lower()).unwrap_or(usize::MAX);
        if length <= LONG_ANSWER_BYTES {
            return Ok(answer);
        }
        let share = u32::try_from(length.min(self.bytes) >> 10).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.room).try_acquire_many_owned(share);
        let share = share.map_err(|_| Failure::AnswersFull)?;
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(|_| Failure::Encoding)?.to_bytes();
        Ok(Response::from_parts(head, Bytes::from_owner(Counted { bytes, _share: share }).into()))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tower::Service as _;

    use super::*;
    use crate::limits::Limits;
    use crate::rest::{Api, filter, json_response};
    use crate::testing::question;
    use crate::testing::world::World;

    const ROOM: usize = 1 << 20;

    fn answer(length: usize) -> Response {
        json_response(Bytes::from(vec![b'x'; length]))
    }

    #[tokio::test]
    async fn long_answers_take_their_share_until_they_are_sent_and_short_ones_none() {
        let answers = LongAnswers::within(ROOM);
        let first = answers.count(answer(ROOM / 2)).await.unwrap();
        let second = answers.count(answer(ROOM / 2)).await.unwrap();
        assert!(matches!(answers.count(answer(LONG_ANSWER_BYTES + 1)).await, Err(Failure::AnswersFull)));
        assert!(answers.count(answer(LONG_ANSWER_BYTES)).await.is_ok());
        drop(first);
        let sent = answers.count(answer(ROOM / 2)).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(sent.to_bytes().len(), ROOM / 2);
        drop(second);
        assert!(answers.count(answer(ROOM)).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_that_is_longer_than_all_of_it_is_given_alone() {
        let answers = LongAnswers::within(ROOM);
        let longest = answers.count(answer(ROOM + 2048)).await.unwrap();
        assert!(matches!(answers.count(answer(LONG_ANSWER_BYTES + 1)).await, Err(Failure::AnswersFull)));
        drop(longest);
        assert!(answers.count(answer(LONG_ANSWER_BYTES + 1)).await.is_ok());
    }

    //
    #[tokio::test]
    async fn who_reads_slowly_holds_a_share_and_others_are_asked_to_try_again() {
        let world = World::without_manifest().await;
        let manifest = world.manifest().to_string() + &" ".repeat(ROOM / 2);
        world.coordinator.set_manifest(None, manifest.as_bytes()).await.unwrap();
        let api = Api {
            coordinator: Arc::clone(&world.coordinator),
            bodies: Arc::new(Semaphore::new(1)),
            uploads: Semaphore::new(1),
            answers: LongAnswers::within(ROOM),
            log_readings: Semaphore::new(1),
            backups: Arc::new(Semaphore::new(1)),
            body_read: Limits::default().body_read,
        };
        let mut service = warp::service(filter(&Arc::new(api)));
        let unread = service.call(question("GET", "/api/v2/manifest", "")).await.unwrap();
        assert_eq!(unread.status(), StatusCode::OK);
        for (path, status) in [("/manifest", StatusCode::SERVICE_UNAVAILABLE), ("/status", StatusCode::OK)] {
            assert_eq!(service.call(question("GET", path, "")).await.unwrap().status(), status, "{path}");
        }
        drop(unread);
        assert_eq!(service.call(question("GET", "/manifest", "")).await.unwrap().status(), StatusCode::OK);
    }
}
