//! GET backup: a sealed copy of the state, for users with the action Backup. No envelope.
//!
//! The copy is on disk before its first byte is sent, and is sent as the client reads it: a slow client costs a file and two
//! pieces of it in memory, and the connection's idle limit ends it.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use carrara_core::ports::Backup;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::warn;
use warp::Reply as _;

use super::{Call, Response};
use crate::problem::Failure;

/// What is read and sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES: usize = 2;

/// The copy as an archive.
pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let turn = Arc::clone(&call.api.backups).try_acquire_owned().map_err(|_| Failure::BackupsFull)?;
    let backup = call.api.coordinator.back_up_state(call.peer.der()).await.map_err(Failure::Backup)?;
    let length = HeaderValue::from(backup.length);
    let (pieces, mut body) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || send(backup, &pieces, turn));
    let mut response =
        warp::reply::stream(stream::poll_fn(move |context| body.poll_recv(context))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CONTENT_LENGTH, length);
    headers
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"carrara-backup.tar\""));
    Ok(response)
}

/// Sends the copy until it ends or nobody reads any more.
fn send(mut backup: Backup, pieces: &mpsc::Sender<std::io::Result<Bytes>>, _turn: OwnedSemaphorePermit) {
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = backup.content.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        if let Err(error) = &read {
            warn!(%error, "reading the copy of the state: the backup is cut off");
        }
        let ended = !matches!(read, Ok(1..));
        let piece = read.map(|_| Bytes::from(piece));
        let nothing = piece.as_ref().is_ok_and(Bytes::is_empty);
        if (!nothing && pieces.blocking_send(piece).is_err()) || ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use crate::testing::world::{Caller, World};

    const BACKUP: &str = "/api/v2/backup";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backup_has_the_length_that_it_announces_and_one_is_sent_at_a_time() {
        let world = World::new().await;
        let first = world.ask(Caller::Admin, "GET", BACKUP, "").await;
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()["content-type"], "application/x-tar");
        let second = world.ask(Caller::Admin, "GET", BACKUP, "").await;
        assert_eq!(
            (second.status().as_u16(), &second.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
        let announced: usize = first.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let bytes = first.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len(), announced);
        assert!(bytes.starts_with(b"BACKUP\0"), "a tar archive");
        let mut answer = world.ask(Caller::Admin, "GET", BACKUP, "").await;
        while answer.status() == 503 {
            // The thread that sent the first one is about to end.
            tokio::task::yield_now().await;
            answer = world.ask(Caller::Admin, "GET", BACKUP, "").await;
        }
        assert_eq!(answer.status(), 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_stops_reading_gives_the_place_back() {
        let world = World::new().await;
        let mut answer = world.ask(Caller::Admin, "GET", BACKUP, "").await;
        assert!(answer.body_mut().frame().await.unwrap().is_ok());
        drop(answer);
        loop {
            if world.ask(Caller::Admin, "GET", BACKUP, "").await.status() == 200 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
