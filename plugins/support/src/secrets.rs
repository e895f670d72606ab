//! What a renderer may ask about secrets. No byte of a secret comes this way.

use std::rc::Rc;
use std::sync::Arc;

pub use carrara_types::decision::{Encoding, Part, Scope, SecretInfo, SecretReference};

/// Why a secret cannot be written; depends on what is known of it, never on its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessError {
    /// There is no secret of that name.
    NoSuchSecret,
    /// The secret has no such part.
    NoSuchPart,
    /// The part is not set.
    Empty,
    /// The part cannot be written that way; the text says why.
    WrongKind(String),
}

/// The secrets of one rendering.
pub trait Secrets {
    /// All names of a scope. Costs as much as there are secrets: asked only when a template needs them all.
    fn names(&self, scope: Scope) -> Vec<String>;

    /// The name of a secret that exists, to be shared.
    fn find(&self, scope: Scope, name: &str) -> Option<Arc<str>> {
        self.lookup(scope, name).map(|info| Arc::clone(&info.name))
    }

    /// What may be known of one secret; `None` where it does not exist. Asking again costs next to nothing.
    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>>;

    /// Whether a secret can be written that way.
    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError>;
}
