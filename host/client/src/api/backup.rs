//! A sealed copy of the state.

use crate::answer::refusal;
use crate::error::ClientError;
use crate::transport::Client;

impl Client {
    /// Gives a sealed copy of the coordinator's state to `sink` as it comes: its next bytes, and how many there are going to
    /// be altogether. What came before an error is of no use. The form is that of `carrara_types::backup`; its checksums are
    /// the caller's to verify.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] without the right;
    /// [`ClientError::Http`] where the copy was cut off; [`ClientError::Keep`] where `sink` fails.
    pub async fn backup(
        &self,
        mut sink: impl FnMut(&[u8], Option<u64>) -> std::io::Result<()> + Send,
    ) -> Result<(), ClientError> {
        match self.download("/api/v2/backup", &mut sink).await? {
            None => Ok(()),
            Some(answer) if answer.code == http::StatusCode::METHOD_NOT_ALLOWED => {
                Err(ClientError::NotOffered("backups"))
            }
            Some(answer) => Err(refusal(answer.code, &answer.body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ClientError;
    use crate::test_server::{TestServer, not_allowed};
    use crate::{ApiError, Limits};

    #[tokio::test]
    async fn a_backup_comes_in_pieces_with_its_length_and_may_be_longer_than_other_answers() {
        let body = "x".repeat(300_000);
        let sent = body.clone();
        let server = TestServer::start(move |_| (200, sent.clone())).await;
        let client = server.client().with_limits(Limits { answer_bytes: 1000, ..Limits::default() });
        let (mut received, mut lengths) = (Vec::new(), Vec::new());
        let sink = |piece: &[u8], length: Option<u64>| {
            received.extend_from_slice(piece);
            lengths.push(length);
            Ok(())
        };
        client.backup(sink).await.unwrap();
        assert_eq!(received, body.as_bytes());
        assert!(lengths.len() > 1 && lengths.iter().all(|length| *length == Some(300_000)), "{lengths:?}");
        assert_eq!(server.targets(), ["GET /api/v2/backup"]);
    }

    #[tokio::test]
    async fn a_refusal_reaches_no_sink() {
        let refused = r#"{"status":"fail","data":null,"message":"user bob is not"}"#.to_owned();
        for (answer, old) in [((403, refused), false), (not_allowed(), true)] {
            let server = TestServer::start(move |_| answer.clone()).await;
            let error = server.client().backup(|_, _| panic!("nothing to keep")).await.unwrap_err();
            match error {
                ClientError::NotOffered(_) => assert!(old),
                ClientError::Api(ApiError { code, message, .. }) => {
                    assert_eq!((code.as_u16(), message.as_str(), old), (403, "user bob is not", false));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_kept_ends_it() {
        let server = TestServer::start(|_| (200, "x".repeat(100))).await;
        let full = |_: &[u8], _| Err(std::io::ErrorKind::StorageFull.into());
        assert!(matches!(server.client().backup(full).await, Err(ClientError::Keep(_))));
    }
}
