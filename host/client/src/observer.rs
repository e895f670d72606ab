//! Who wants to watch requests: a tool that tells its user what goes on, and how long it takes.

use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};

use crate::error::ClientError;

/// Is told of every request as it goes on. Never of bodies, which may be secrets.
pub trait Observer: Send + Sync {
    /// A request is about to be made: a connection comes first.
    fn asking(&self, method: &Method, target: &str, body_bytes: usize);
    /// The connection stands.
    fn connected(&self, protocol: &str);
    /// The answer is there. `request_id` is what the server's log calls the request.
    fn answered(&self, code: StatusCode, body_bytes: usize, request_id: Option<&str>);
    /// There will be no answer.
    fn failed(&self, error: &ClientError);
}

/// A client's observer, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Watch(pub(crate) Option<Arc<dyn Observer>>);

impl Watch {
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            what(observer.as_ref());
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "watched" } else { "unwatched" })
    }
}
