//! World `secret-rendering`: how does a secret get into a file?
//!
//! The guest sees names, declarations and which parts are set, and places handles. What it can observe depends on
//! nothing else: `encode` decides by the declaration alone, and no secret byte is anywhere near this crate.

use std::sync::Arc;

use carrara_core::ports::SecretCatalog;
use carrara_types::decision::{
    Chunk, Context, Encoding, Part, RenderError, Scope, SecretInfo, SecretReference, Target, Template,
};
use slab::Slab;
use wasmtime::component::Resource;

use super::words;
use crate::call::Nonsense;
use crate::text::{MAX_MESSAGE_BYTES, clean, clean_hint};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "secret-rendering",
        imports: { default: trappable },
        with: {
            "carrara:policy/types@1.0.0": super::super::words::types,
            "carrara:policy/host@1.0.0": super::super::words::host,
            "carrara:policy/secrets.secret": super::super::rendering::SecretHandle,
            "carrara:policy/secrets.fragment": super::super::rendering::Fragment,
        },
    });
}

pub(crate) use bindings::SecretRenderingPre;
pub(crate) use bindings::carrara::policy::secrets as wit;
use bindings::exports::carrara::policy::secret_renderer as guest;

/// A certificate's private key or a bare symmetric key has no PEM form of its own.
const NO_PEM: &str = "invalid secret type for pem encoding";
/// The template function `string` (secrets-and-templates.md section 5).
const NO_TEXT: &str =
    "only secrets of type plain are allowed to use string encoding for environment variables";

/// A secret that a guest has looked up.
pub struct SecretHandle {
    scope: Scope,
    info: SecretInfo,
}

/// A secret that a guest has encoded, without anybody having looked at it.
pub struct Fragment(SecretReference);

/// What one call of a renderer may know and holds. The engine keeps guests from naming what is not theirs.
pub(crate) struct SecretDesk {
    catalog: Arc<dyn SecretCatalog>,
    secrets: Slab<SecretHandle>,
    fragments: Slab<Fragment>,
    most: usize,
}

impl SecretDesk {
    /// `most`: handles of both kinds that a guest may hold.
    pub(crate) fn new(catalog: Arc<dyn SecretCatalog>, most: usize) -> Self {
        Self { catalog, secrets: Slab::new(), fragments: Slab::new(), most }
    }

    fn has_room(&self) -> wasmtime::Result<()> {
        if self.secrets.len() + self.fragments.len() < self.most {
            return Ok(());
        }
        let most = self.most;
        Err(wasmtime::Error::msg(format!(
            "it holds more handles of secrets and fragments than it may (limit {most})"
        )))
    }

    fn secret(&self, secret: &Resource<SecretHandle>) -> wasmtime::Result<&SecretHandle> {
        key(secret).and_then(|key| self.secrets.get(key)).ok_or_else(not_held)
    }

    fn take(&mut self, fragment: &Resource<Fragment>) -> Option<Fragment> {
        self.fragments.try_remove(key(fragment)?)
    }

    /// Reads the guest's answer: as many results as templates, and fragments of this call only, each used once.
    pub(crate) fn chunks(
        &mut self,
        templates: usize,
        answer: Result<Vec<Vec<guest::Chunk>>, guest::RenderError>,
    ) -> Result<Result<Vec<Vec<Chunk>>, RenderError>, Nonsense> {
        let results = match answer {
            Ok(results) => results,
            Err(error) => return render_error(templates, error).map(Err),
        };
        if results.len() != templates {
            let answered = results.len();
            return Err(Nonsense(format!("it answered {answered} results for {templates} templates")));
        }
        let chunks =
            results.into_iter().map(|chunks| chunks.into_iter().map(|chunk| self.chunk(chunk)).collect());
        chunks.collect::<Result<_, _>>().map(Ok)
    }

    fn chunk(&mut self, chunk: guest::Chunk) -> Result<Chunk, Nonsense> {
        match chunk {
            guest::Chunk::Text(text) => Ok(Chunk::Text(text)),
            guest::Chunk::Fragment(fragment) => match self.take(&fragment) {
                Some(Fragment(reference)) => Ok(Chunk::Secret(reference)),
                None => Err(Nonsense("it answered a fragment that is not of this call".to_owned())),
            },
        }
    }
}

/// The templates as the guest reads them.
pub(crate) fn question(
    context: &Context,
    settings: &str,
    templates: &[Template],
) -> (words::types::Context, Vec<guest::Template>) {
    let template = |template: &Template| guest::Template {
        name: template.name.clone(),
        target: match template.target {
            Target::File => guest::Target::File,
            Target::Env => guest::Target::Env,
        },
        text: template.text.clone(),
    };
    (words::context(context, settings), templates.iter().map(template).collect())
}

fn render_error(templates: usize, error: guest::RenderError) -> Result<RenderError, Nonsense> {
    if usize::try_from(error.template).is_ok_and(|index| index >= templates) {
        return Err(Nonsense(format!("it answered an error in template {} of {templates}", error.template)));
    }
    Ok(RenderError {
        template: error.template,
        line: error.line,
        column: error.column,
        message: clean(&error.message, MAX_MESSAGE_BYTES),
        hint: clean_hint(error.hint),
    })
}

impl wit::Host for SecretDesk {
    fn names(&mut self, scope: wit::Scope) -> wasmtime::Result<Vec<String>> {
        Ok(self.catalog.names(host_scope(scope)))
    }

    fn lookup(
        &mut self,
        scope: wit::Scope,
        name: String,
    ) -> wasmtime::Result<Result<Resource<SecretHandle>, wit::AccessError>> {
        let scope = host_scope(scope);
        match self.catalog.lookup(scope, &name) {
            Some(info) => {
                self.has_room()?;
                Ok(Ok(handle(self.secrets.insert(SecretHandle { scope, info }))?))
            }
            None => Ok(Err(wit::AccessError::NoSuchSecret)),
        }
    }
}

impl wit::HostSecret for SecretDesk {
    fn info(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<wit::Info> {
        let info = &self.secret(&secret)?.info;
        Ok(wit::Info {
            name: info.name.to_string(),
            kind: info.kind.clone(),
            size: info.size,
            shared: info.shared,
            user_defined: info.user_defined,
            valid_for: info.valid_for,
            parts: info.parts.iter().copied().map(guest_part).collect(),
        })
    }

    fn encode(
        &mut self,
        secret: Resource<SecretHandle>,
        part: wit::Part,
        encoding: wit::Encoding,
    ) -> wasmtime::Result<Result<Resource<Fragment>, wit::AccessError>> {
        let SecretHandle { scope, info } = self.secret(&secret)?;
        let (part, encoding) = (host_part(part), host_encoding(encoding));
        if let Err(refusal) = may_encode(info, part, encoding) {
            return Ok(Err(refusal));
        }
        let name = Arc::clone(&info.name);
        let fragment = Fragment(SecretReference { scope: *scope, name, part, encoding });
        self.has_room()?;
        Ok(Ok(handle(self.fragments.insert(fragment))?))
    }

    fn drop(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<()> {
        key(&secret).and_then(|key| self.secrets.try_remove(key)).map(drop).ok_or_else(not_held)
    }
}

impl wit::HostFragment for SecretDesk {
    fn drop(&mut self, fragment: Resource<Fragment>) -> wasmtime::Result<()> {
        self.take(&fragment).map(drop).ok_or_else(not_held)
    }
}

/// Where a slab holds what a handle stands for.
fn key<T: 'static>(handle: &Resource<T>) -> Option<usize> {
    usize::try_from(handle.rep()).ok()
}

/// The handle of what a slab holds there.
fn handle<T: 'static>(key: usize) -> wasmtime::Result<Resource<T>> {
    let key = u32::try_from(key).map_err(|_| wasmtime::Error::msg("it holds too many handles"))?;
    Ok(Resource::new_own(key))
}

fn not_held() -> wasmtime::Error {
    wasmtime::Error::msg("it used a handle that it does not hold")
}

/// Decides by the declaration and the set parts alone.
fn may_encode(info: &SecretInfo, part: Part, encoding: Encoding) -> Result<(), wit::AccessError> {
    match (encoding, part) {
        (Encoding::Text, _) if info.kind != "plain" || part != Part::Whole => {
            return Err(wit::AccessError::WrongKind(NO_TEXT.to_owned()));
        }
        (Encoding::Pem, Part::Whole) if !info.kind.starts_with("cert-") => {
            return Err(wit::AccessError::WrongKind(NO_PEM.to_owned()));
        }
        _ => {}
    }
    // A bare secret stands for its public bytes; as PEM, which only certificates have, for its certificate.
    let needed = match part {
        Part::Whole if encoding == Encoding::Pem => Part::Certificate,
        Part::Whole => Part::Public,
        other => other,
    };
    if info.parts.contains(&needed) { Ok(()) } else { Err(wit::AccessError::Empty) }
}

fn host_scope(scope: wit::Scope) -> Scope {
    match scope {
        wit::Scope::Current => Scope::Current,
        wit::Scope::Previous => Scope::Previous,
        wit::Scope::Reserved => Scope::Reserved,
    }
}

fn host_part(part: wit::Part) -> Part {
    match part {
        wit::Part::Whole => Part::Whole,
        wit::Part::Public => Part::Public,
        wit::Part::Private => Part::Private,
        wit::Part::Certificate => Part::Certificate,
    }
}

fn guest_part(part: Part) -> wit::Part {
    match part {
        Part::Whole => wit::Part::Whole,
        Part::Public => wit::Part::Public,
        Part::Private => wit::Part::Private,
        Part::Certificate => wit::Part::Certificate,
    }
}

fn host_encoding(encoding: wit::Encoding) -> Encoding {
    match encoding {
        wit::Encoding::Raw => Encoding::Raw,
        wit::Encoding::Hex => Encoding::Hex,
        wit::Encoding::Base64 => Encoding::Base64,
        wit::Encoding::Pem => Encoding::Pem,
        wit::Encoding::Text => Encoding::Text,
    }
}

#[cfg(test)]
mod tests;
