//! Policies by their components: sent, listed and fetched by content; and what they decided.

use carrara_types::policy::Digest;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::percent_encode;
use crate::answer::{data, refusal};
use crate::error::ClientError;
use crate::transport::Client;

/// A component that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedPolicy {
    /// The SHA-256 of its bytes: what a manifest names it by.
    pub digest: Digest,
    /// The worlds that it can answer for.
    pub worlds: Vec<String>,
    /// Its length in bytes.
    pub size: u64,
}

/// A component that the coordinator has or waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyComponent {
    /// The SHA-256 of its bytes.
    pub digest: String,
    /// The worlds that it can answer for, by their names.
    #[serde(default)]
    pub worlds: Vec<String>,
    /// The built-in policy's name; none for others.
    #[serde(default)]
    pub built_in: Option<String>,
    /// Its length in bytes; `None` where the coordinator does not have it.
    #[serde(default)]
    pub size: Option<u64>,
    /// The entries that name it in the manifest in force.
    #[serde(default)]
    pub used_by: Vec<String>,
    /// The entries that name it in the pending update.
    #[serde(default)]
    pub pending: Vec<String>,
}

/// Which decisions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionQuery {
    /// Those after the one with this number; 0: from the oldest that is kept.
    pub after: u64,
    /// At most so many; `None`: as many as the coordinator gives at once.
    pub limit: Option<usize>,
    /// Of this policy alone.
    pub policy: Option<String>,
    /// `allow`, `deny` or `failed` alone.
    pub verdict: Option<String>,
}

/// Decisions, oldest first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionPage {
    /// The number of the oldest decision that is kept; the coordinator's start begins again at 1.
    pub first: u64,
    /// After which number to go on.
    pub next: u64,
    /// The number of the newest one; 0: there is none yet.
    pub last: u64,
    /// As `carrara_types::decision_record::DecisionRecord` has them. Other coordinators may have more fields.
    pub records: Vec<Value>,
}

#[derive(Deserialize)]
struct Pushed {
    digest: String,
    worlds: Vec<String>,
    size: u64,
}

#[derive(Deserialize)]
struct Listed {
    policies: Vec<PolicyComponent>,
}

const PATH: &str = "/api/v2/policies";

impl Client {
    /// Sends a policy's component. Sending it again does no harm.
    ///
    /// # Errors
    /// [`ClientError::Api`] with the reason if it is no policy, or this user may not; [`ClientError::Digest`] if something else
    /// arrived than was sent.
    pub async fn push_policy(&self, component: Vec<u8>) -> Result<PushedPolicy, ClientError> {
        const WHAT: &str = "sending a policy";
        let sent = Digest(Sha256::digest(&component).into());
        let answer = super::offered(self.send(Method::POST, PATH, component).await?, WHAT)?;
        let Pushed { digest, worlds, size } = data(&answer, WHAT)?;
        if digest != sent.to_string() {
            return Err(ClientError::Digest { expected: sent.to_string(), found: digest });
        }
        Ok(PushedPolicy { digest: sent, worlds, size })
    }

    /// The components that the coordinator has.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn policies(&self) -> Result<Vec<PolicyComponent>, ClientError> {
        const WHAT: &str = "the policies";
        data::<Listed>(&self.get_new(WHAT, PATH).await?, WHAT).map(|listed| listed.policies)
    }

    /// Gives a component's bytes to `sink` as they come, and how many there are going to be. Only after `Ok` they are those of
    /// the digest.
    ///
    /// # Errors
    /// [`ClientError::Digest`] if other bytes came; [`ClientError::Api`] if the coordinator does not have it;
    /// [`ClientError::Keep`] where `sink` fails.
    pub async fn policy_component(
        &self,
        digest: &Digest,
        mut sink: impl FnMut(&[u8], Option<u64>) -> std::io::Result<()> + Send,
    ) -> Result<(), ClientError> {
        let mut hash = Sha256::new();
        let mut hashed = |piece: &[u8], length: Option<u64>| {
            hash.update(piece);
            sink(piece, length)
        };
        match self.download(&format!("{PATH}/{digest}"), &mut hashed).await? {
            None => {}
            Some(answer) if answer.code == StatusCode::METHOD_NOT_ALLOWED => {
                return Err(ClientError::NotOffered("policies"));
            }
            Some(answer) => return Err(refusal(answer.code, &answer.body)),
        }
        let found = Digest(hash.finalize().into());
        if found == *digest {
            return Ok(());
        }
        Err(ClientError::Digest { expected: digest.to_string(), found: found.to_string() })
    }

    /// What policies decided.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] without the right.
    pub async fn decisions(&self, query: &DecisionQuery) -> Result<DecisionPage, ClientError> {
        const WHAT: &str = "the policies' decisions";
        let DecisionQuery { after, limit, policy, verdict } = query;
        let mut path = format!("/api/v2/decisions?after={after}");
        path.extend(limit.map(|limit| format!("&limit={limit}")));
        for (name, value) in [("policy", policy), ("verdict", verdict)] {
            path.extend(value.as_ref().map(|value| format!("&{name}={}", percent_encode(value))));
        }
        data(&self.get_new(WHAT, &path).await?, WHAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiError;
    use crate::test_server::{TestServer, not_allowed, success};

    const COMPONENT: &str = "some component";

    fn digest() -> Digest {
        Digest(Sha256::digest(COMPONENT).into())
    }

    #[tokio::test]
    async fn a_component_is_sent_as_it_is_and_its_digest_compared() {
        for (answered, fits) in [(digest(), true), (Digest([1; 32]), false)] {
            let data = format!(r#"{{"digest":"{answered}","worlds":["marble-admission"],"size":14}}"#);
            let server = TestServer::start(move |_| success(&data)).await;
            let pushed = server.client().push_policy(COMPONENT.into()).await;
            assert_eq!(server.targets(), ["POST /api/v2/policies"]);
            assert_eq!(server.seen()[0].body, COMPONENT.as_bytes());
            match pushed {
                Ok(pushed) => assert_eq!((pushed.digest, pushed.size, fits), (digest(), 14, true)),
                Err(ClientError::Digest { expected, .. }) => {
                    assert_eq!((expected, fits), (digest().to_string(), false));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_component_that_comes_is_the_one_that_was_asked_for_or_an_error() {
        let server = TestServer::start(|_| (200, COMPONENT.to_owned())).await;
        let mut received = Vec::new();
        let sink = |piece: &[u8], _| {
            received.extend_from_slice(piece);
            Ok(())
        };
        server.client().policy_component(&digest(), sink).await.unwrap();
        assert_eq!(received, COMPONENT.as_bytes());
        assert_eq!(server.targets(), [format!("GET /api/v2/policies/{}", digest())]);
        let other = Digest([7; 32]);
        let error = server.client().policy_component(&other, |_, _| Ok(())).await.unwrap_err();
        let ClientError::Digest { expected, found } = &error else { panic!("{error:?}") };
        assert_eq!((expected, found), (&other.to_string(), &digest().to_string()));
        assert!(error.to_string().contains(found.as_str()), "{error}");
    }

    #[tokio::test]
    async fn what_the_coordinator_does_not_have_reaches_no_sink() {
        let missing = r#"{"status":"error","data":null,"message":"no such policy"}"#;
        let server = TestServer::start(move |_| (404, missing.to_owned())).await;
        let error = server.client().policy_component(&digest(), |_, _| panic!()).await.unwrap_err();
        assert!(matches!(error, ClientError::Api(ApiError { code: StatusCode::NOT_FOUND, .. })), "{error:?}");
    }

    #[tokio::test]
    async fn policies_are_listed_with_where_they_are_used() {
        let list = r#"{"policies":[{"digest":"sha256:aa","worlds":["role-authorization"],"builtIn":"rbac","size":5},
            {"digest":"sha256:bb","size":null,"usedBy":["rooms"],"pending":["rooms","more"],"new":1}]}"#;
        let server = TestServer::start(move |_| success(list)).await;
        let listed = server.client().policies().await.unwrap();
        assert_eq!((listed[0].built_in.as_deref(), listed[0].size), (Some("rbac"), Some(5)));
        assert_eq!((listed[1].used_by.len(), listed[1].pending.len(), listed[1].size), (1, 2, None));
    }

    #[tokio::test]
    async fn decisions_are_asked_for_with_what_narrows_them() {
        let page = r#"{"first":3,"next":4,"last":9,"records":[{"sequence":4}]}"#;
        let server = TestServer::start(move |_| success(page)).await;
        let query = DecisionQuery {
            after: 3,
            limit: Some(1),
            policy: Some("a b&c".to_owned()),
            verdict: Some("deny".to_owned()),
        };
        let page = server.client().decisions(&query).await.unwrap();
        assert_eq!((page.first, page.next, page.last, page.records.len()), (3, 4, 9, 1));
        server.client().decisions(&DecisionQuery::default()).await.unwrap();
        let expected = [
            "GET /api/v2/decisions?after=3&limit=1&policy=a%20b%26c&verdict=deny",
            "GET /api/v2/decisions?after=0",
        ];
        assert_eq!(server.targets(), expected);
    }

    #[tokio::test]
    async fn a_coordinator_without_policies_says_so() {
        let server = TestServer::start(|_| not_allowed()).await;
        let client = server.client();
        let errors = [
            client.push_policy(Vec::new()).await.map(drop),
            client.policies().await.map(drop),
            client.policy_component(&digest(), |_, _| Ok(())).await,
            client.decisions(&DecisionQuery::default()).await.map(drop),
        ];
        assert!(errors.iter().all(|error| matches!(error, Err(ClientError::NotOffered(_)))), "{errors:?}");
    }
}
