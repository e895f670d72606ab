//! The values of a template. Secrets are handles: their bytes are not here, so nothing can print or compare them.

use std::rc::Rc;
use std::sync::Arc;

use carrara_types::decision::{Chunk, Part, Scope, SecretReference};

/// What is answered to whatever would look into a secret.
pub(crate) const INSPECTED: &str = "secret values cannot be inspected; use hex, base64, pem, raw or string";

/// A secret that exists.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) scope: Scope,
    pub(crate) name: Arc<str>,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A secret that does not exist, or a field of one.
    Missing,
    Nil,
    /// The root of the data.
    Data,
    /// `.Previous`
    Previous,
    /// `.MarbleRun`
    Reserved,
    /// `.Secrets`, `.Previous.Secrets`
    Secrets(Scope),
    Secret(Handle),
    Part(Handle, Part),
    /// `.Cert.Raw`
    Der(Handle),
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(Rc<[u8]>),
    /// An encoded secret.
    Place(SecretReference),
    /// A text with encoded secrets in it.
    Fragments(Rc<[Chunk]>),
}

impl Value {
    pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().into())
    }

    /// Whether it can be printed, compared and measured.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Bytes(_))
    }

    /// The type's name in errors.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "nil",
            Self::Data => "Data",
            Self::Previous => "Previous",
            Self::Reserved => "MarbleRun",
            Self::Secrets(_) => "map[string]Secret",
            Self::Secret(_) => "Secret",
            Self::Part(_, Part::Certificate) => "Certificate",
            Self::Part(_, Part::Private) => "PrivateKey",
            Self::Part(..) => "PublicKey",
            Self::Der(_) => "[]uint8",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Bytes(_) | Self::Place(_) | Self::Fragments(_) => "string",
        }
    }
}

/// A text under construction: bytes and encoded secrets. Neighbouring bytes are one chunk.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    chunks: Vec<Chunk>,
}

impl Rope {
    /// Room for so many chunks at first.
    pub(crate) fn with_capacity(chunks: usize) -> Self {
        Self { chunks: Vec::with_capacity(chunks) }
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.chunks.last_mut() {
            Some(Chunk::Text(last)) => last.extend_from_slice(bytes),
            _ => self.chunks.push(Chunk::Text(bytes.to_vec())),
        }
    }

    pub(crate) fn push_chunks(&mut self, chunks: &[Chunk]) {
        for chunk in chunks {
            match chunk {
                Chunk::Text(bytes) => self.push_bytes(bytes),
                Chunk::Secret(reference) => self.push_secret(reference.clone()),
            }
        }
    }

    pub(crate) fn push_secret(&mut self, reference: SecretReference) {
        self.chunks.push(Chunk::Secret(reference));
    }

    pub(crate) fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    pub(crate) fn into_value(mut self) -> Value {
        if self.chunks.iter().any(|chunk| matches!(chunk, Chunk::Secret(_))) {
            return Value::Fragments(self.chunks.into());
        }
        match self.chunks.pop() {
            Some(Chunk::Text(bytes)) => Value::bytes(bytes),
            _ => Value::bytes([]),
        }
    }
}
