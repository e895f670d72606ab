//! Long answers, and who reads them slowly.

use http::StatusCode;

use super::*;
use crate::rest::json_response;
use crate::rest::tests::api_within;
use crate::testing::question;
use crate::testing::world::World;

const ROOM: usize = 1 << 20;
const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

fn answer(length: usize) -> Response {
    json_response(Bytes::from(vec![b'x'; length]))
}

#[tokio::test]
async fn long_answers_take_their_share_until_they_are_sent_and_short_ones_none() {
    let answers = LongAnswers::within(ROOM);
    let first = answers.count(PEER, answer(ROOM / 2)).unwrap();
    let second = answers.count(PEER, answer(ROOM / 2)).unwrap();
    assert!(matches!(answers.count(PEER, answer(LONG_ANSWER_BYTES + 1)), Err(Failure::AnswersFull)));
    assert!(answers.count(PEER, answer(LONG_ANSWER_BYTES)).is_ok());
    drop(first);
    let sent = answers.count(PEER, answer(ROOM / 2)).unwrap().into_body().collect().await.unwrap();
    assert_eq!(sent.to_bytes().len(), ROOM / 2);
    drop(second);
    assert!(answers.count(PEER, answer(ROOM)).is_ok());
}

#[tokio::test]
async fn an_answer_that_is_longer_than_all_of_it_is_given_alone() {
    let answers = LongAnswers::within(ROOM);
    let longest = answers.count(PEER, answer(ROOM + 2048)).unwrap();
    assert!(matches!(answers.count(PEER, answer(LONG_ANSWER_BYTES + 1)), Err(Failure::AnswersFull)));
    drop(longest);
    assert!(answers.count(PEER, answer(LONG_ANSWER_BYTES + 1)).is_ok());
}

//
#[tokio::test]
async fn who_reads_slowly_makes_room_for_who_asks_later_and_sees_that_the_answer_is_cut() {
    let answers = LongAnswers { bytes: ROOM, places: Places::new(ROOM >> 10, std::time::Duration::ZERO) };
    let mut slow = answers.count(PEER, answer(ROOM)).unwrap().into_body();
    let first = slow.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.len(), ANSWER_PART_BYTES);
    let other = answers.count(PEER, answer(ROOM)).unwrap();
    let cut = slow.frame().await.unwrap().unwrap_err().to_string();
    assert!(cut.contains("too slowly"), "{cut}");
    assert_eq!(other.into_body().collect().await.unwrap().to_bytes().len(), ROOM);
}

//
#[tokio::test]
async fn who_has_just_begun_to_read_holds_a_share_and_others_are_asked_to_try_again() {
    let world = World::without_manifest().await;
    let manifest = world.manifest().to_string() + &" ".repeat(ROOM / 2);
    world.coordinator.set_manifest(None, manifest.as_bytes(), Vec::new()).await.unwrap();
    let app = crate::rest::serve(api_within(&world.coordinator, ROOM));
    let ask = |path: &str| (app.answer)(question("GET", path, ""));
    let unread = ask("/api/v2/manifest").await;
    assert_eq!(unread.status(), StatusCode::OK);
    for (path, status) in [("/manifest", StatusCode::SERVICE_UNAVAILABLE), ("/status", StatusCode::OK)] {
        assert_eq!(ask(path).await.status(), status, "{path}");
    }
    drop(unread);
    assert_eq!(ask("/manifest").await.status(), StatusCode::OK);
}
