//! Secrets and answers in the tests of renderers.

use crate::rendering::{Chunk, SecretInfo};

/// A plain secret that users upload.
pub fn plain_secret(name: impl Into<String>) -> SecretInfo {
    let (name, kind) = (name.into(), "plain".to_owned());
    SecretInfo { name, kind, shared: true, user_defined: true, ..SecretInfo::default() }
}

/// A rendered template as text: secrets are shown as `<secret:NAME:part:encoding>`, what is no UTF-8 as U+FFFD.
#[must_use]
pub fn shown(chunks: &[Chunk]) -> String {
    let chunk = |chunk: &Chunk| match chunk {
        Chunk::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Chunk::Secret(fragment) => fragment.shown.clone(),
    };
    chunks.iter().map(chunk).collect()
}
