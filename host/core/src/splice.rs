//! Puts secret bytes where a renderer said that they go, after the renderer has ended.
//!
//! Private secrets are made here, when a reference asks for one: what no template uses costs nothing. All checks that
//! look at bytes (emptiness, NUL) happen here and nowhere a policy could observe them. Synchronous: RSA keys take
//! long, so an activation runs this off the async workers when it needs one.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_types::decision::{Chunk, Encoding, Part, Scope, SecretReference};
use carrara_types::manifest::{Marble, SecretDefinition, SecretKind};
use carrara_types::secret::SecretBytes;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::authority::MarbleIdentity;
use crate::error::Cause;
use crate::generate::{self, SecretValue, Source};
use crate::pem_text::pem;
use crate::ports::{Entropy, Snapshot};
use crate::records;
use crate::ttls::Credentials;
use crate::view::View;

/// The secrets of one activation.
pub(crate) struct Vault {
    pub(crate) view: View,
    pub(crate) identity: MarbleIdentity,
    pub(crate) marble_type: String,
    pub(crate) uuid: String,
    pub(crate) now: OffsetDateTime,
    pub(crate) entropy: Arc<dyn Entropy>,
    values: HashMap<(Scope, String), SecretValue>,
}

impl Vault {
    pub(crate) fn new(
        view: View,
        identity: MarbleIdentity,
        marble_type: String,
        uuid: String,
        now: OffsetDateTime,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { view, identity, marble_type, uuid, now, entropy, values: HashMap::new() }
    }

    /// Joins the chunks of one template.
    ///
    /// # Errors
    /// What a template engine would say of the secret: `tried to parse secret with empty value`, ...
    pub(crate) fn splice(&mut self, chunks: Vec<Chunk>) -> Result<SecretBytes, Cause> {
        if let [Chunk::Text(text)] = chunks.as_slice() {
            return Ok(SecretBytes::new("parameter", text.clone()));
        }
        let mut pieces = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            pieces.push(match chunk {
                Chunk::Text(text) => Zeroizing::new(text),
                Chunk::Secret(reference) => self.encoded(&reference)?,
            });
        }
        // Exact capacity: growing would leave copies of the secrets behind.
        let mut bytes = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        for piece in &pieces {
            bytes.extend_from_slice(piece);
        }
        Ok(SecretBytes::new("parameter", bytes))
    }

    /// A secret's certificate and private key as PEM, for TTLS.
    ///
    /// # Errors
    /// One of them is missing.
    pub(crate) fn certificate_and_key(&mut self, name: &str) -> Result<Credentials, Cause> {
        let pem = |part| SecretReference {
            scope: Scope::Current,
            name: name.into(),
            part,
            encoding: Encoding::Pem,
        };
        // PEM is ASCII.
        let text = |mut bytes: Zeroizing<Vec<u8>>| {
            Zeroizing::new(String::from_utf8(std::mem::take(&mut *bytes)).unwrap_or_default())
        };
        let certificate = text(self.encoded(&pem(Part::Certificate))?);
        Ok(Credentials { certificate, key: text(self.encoded(&pem(Part::Private))?) })
    }

    fn encoded(&mut self, reference: &SecretReference) -> Result<Zeroizing<Vec<u8>>, Cause> {
        let kind = self.kind(reference)?;
        let part = effective_part(reference, &kind);
        let value = self.value(reference.scope, &reference.name)?;
        Ok(encode(referenced(value, reference, &kind)?, part, reference.encoding))
    }

    fn kind(&self, reference: &SecretReference) -> Result<SecretKind, Cause> {
        match reference.scope {
            Scope::Reserved => Ok(SecretKind::CertEcdsa),
            Scope::Current | Scope::Previous => {
                self.definition(&reference.name).map(|definition| definition.kind.clone())
            }
        }
    }

    fn definition(&self, name: &str) -> Result<&SecretDefinition, Cause> {
        self.view.epoch.manifest.secrets.get(name).ok_or_else(|| Cause("secret does not exist".to_owned()))
    }

    fn marble(&self) -> Result<&Marble, Cause> {
        let marble = self.view.epoch.manifest.marbles.get(&self.marble_type);
        marble.ok_or_else(|| Cause("unknown marble type requested".to_owned()))
    }

    fn value(&mut self, scope: Scope, name: &str) -> Result<&SecretValue, Cause> {
        let key = (scope, name.to_owned());
        if !self.values.contains_key(&key) {
            let made = self.make(scope, name)?;
            self.values.insert(key.clone(), made);
        }
        self.values.get(&key).ok_or_else(|| Cause("secret does not exist".to_owned()))
    }

    fn make(&self, scope: Scope, name: &str) -> Result<SecretValue, Cause> {
        if scope == Scope::Reserved {
            return self.reserved(name);
        }
        let definition = self.definition(name)?;
        if definition.user_defined || definition.shared {
            return stored(self.view.snapshot.as_ref(), scope, name, definition);
        }
        let root_record =
            if scope == Scope::Previous { records::PREVIOUS_ROOT_SECRET } else { records::ROOT_SECRET };
        let root_secret = records::required(self.view.snapshot.as_ref(), root_record).map_err(unreadable)?;
        let marble_type = (!self.marble()?.disable_secret_binding).then_some(self.marble_type.as_str());
        let source = Source::Private { root_secret: &root_secret, uuid: &self.uuid, marble_type };
        let authority = &self.view.epoch.live.authority;
        generate::generate(name, definition, source, authority, self.now, self.entropy.as_ref())
    }

    fn reserved(&self, name: &str) -> Result<SecretValue, Cause> {
        let authority = &self.view.epoch.live.authority;
        let certificate_only = |der: &[u8]| SecretValue {
            certificate: Some(der.to_vec()),
            private: None,
            public: None,
            valid_for: 0,
        };
        match name {
            "RootCA" => Ok(certificate_only(authority.marble_root_der())),
            "CoordinatorRoot" => Ok(certificate_only(authority.root_der())),
            "CoordinatorIntermediate" => Ok(certificate_only(authority.intermediate_der())),
            "MarbleCert" => Ok(SecretValue {
                certificate: Some(self.identity.leaf_der.clone()),
                private: Some(self.identity.key_pkcs8.duplicate()),
                public: Some(SecretBytes::new("marble public key", self.identity.public_spki.clone())),
                valid_for: 0,
            }),
            _ => Err(Cause("secret does not exist".to_owned())),
        }
    }
}

/// Whether making the secret takes so long that it must not run on an async worker.
pub(crate) fn is_slow(definition: &SecretDefinition) -> bool {
    definition.kind == SecretKind::CertRsa && !definition.shared && !definition.user_defined
}

/// A shared or user-defined secret. Where no previous value is stored, it is the current one (S-40); a user-defined one
/// has none then (S-57).
fn stored(
    snapshot: &dyn Snapshot,
    scope: Scope,
    name: &str,
    definition: &SecretDefinition,
) -> Result<SecretValue, Cause> {
    let empty = || SecretValue { certificate: None, private: None, public: None, valid_for: 0 };
    if scope == Scope::Previous {
        let previous = records::read_secret(snapshot, &records::previous_secret(name)).map_err(unreadable)?;
        if previous.is_some() || definition.user_defined {
            return Ok(previous.unwrap_or_else(empty));
        }
    }
    let current = records::read_secret(snapshot, &records::secret(name)).map_err(unreadable)?;
    Ok(current.unwrap_or_else(empty))
}

fn unreadable(error: crate::ports::StoreError) -> Cause {
    Cause(error.to_string())
}

/// The bytes that a reference means.
///
/// # Errors
/// What a template engine would say of them: there are none, or a zero byte stands where text must.
pub(crate) fn referenced<'v>(
    value: &'v SecretValue,
    reference: &SecretReference,
    kind: &SecretKind,
) -> Result<&'v [u8], Cause> {
    let frame =
        |text: &str| Cause(format!("template: data: error calling {}: {text}", function(reference.encoding)));
    let bytes = match effective_part(reference, kind) {
        Part::Certificate => value.certificate.as_deref(),
        Part::Private => value.private.as_ref().map(SecretBytes::expose),
        Part::Public | Part::Whole => value.public.as_ref().map(SecretBytes::expose),
    };
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| frame("tried to parse secret with empty value"))?;
    if reference.encoding == Encoding::Text && bytes.contains(&0) {
        return Err(frame("secret contains null bytes"));
    }
    Ok(bytes)
}

/// Which part a reference means: the bare secret is its public part, but for `pem`, where a bare certificate secret
/// is its certificate (deviations, `{{ pem .Secrets.c }}`).
fn effective_part(reference: &SecretReference, kind: &SecretKind) -> Part {
    match reference.part {
        Part::Whole if reference.encoding == Encoding::Pem && kind.is_certificate() => Part::Certificate,
        Part::Whole => Part::Public,
        part => part,
    }
}

/// Every arm allocates once, at the final length.
fn encode(bytes: &[u8], part: Part, encoding: Encoding) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match encoding {
        Encoding::Raw | Encoding::Text => bytes.to_vec(),
        Encoding::Hex => hex::encode(bytes).into_bytes(),
        Encoding::Base64 => STANDARD.encode(bytes).into_bytes(),
        Encoding::Pem => {
            let label = match part {
                Part::Certificate => "CERTIFICATE",
                Part::Private => "PRIVATE KEY",
                Part::Public | Part::Whole => "PUBLIC KEY",
            };
            std::mem::take(&mut *pem(label, bytes)).into_bytes()
        }
    })
}

fn function(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
        Encoding::Pem => "pem",
        Encoding::Text => "string",
    }
}
