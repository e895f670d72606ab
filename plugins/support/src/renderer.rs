//! Glue between the world `secret-rendering` and a [`Renderer`]: secrets become handles, places become fragments.

use std::cell::RefCell;
use std::collections::HashMap;

use bindings::carrara::policy::secrets as host;
use bindings::exports::carrara::policy::configuration::{Guest as Configuration, SettingsError};
use bindings::exports::carrara::policy::secret_renderer as wit;
pub use carrara_types::decision::{Chunk, Target};

use crate::Failure;
use crate::secrets::{AccessError, Encoding, Part, Scope, SecretInfo, SecretReference, Secrets};

/// What `wit-bindgen` generates from the world.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated: the ABI needs raw memory"
)]
pub mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "secret-rendering", pub_export_macro: true });
}

/// A policy that renders templates; it has all exports of the world.
pub trait Renderer {
    /// The policy's name.
    const NAME: &'static str;

    /// Renders one template.
    ///
    /// # Errors
    /// The template's first error.
    fn render(text: &[u8], target: Target, secrets: &dyn Secrets) -> Result<Vec<Chunk>, Failure>;
}

impl<R: Renderer> Configuration for R {
    fn check(settings: String) -> Result<(), Vec<SettingsError>> {
        crate::check_settings(R::NAME, &settings).map_err(|message| {
            let hint = Some(crate::SETTINGS_HINT.to_owned());
            vec![SettingsError { line: 1, column: 1, message, hint }]
        })
    }
}

impl<R: Renderer> wit::Guest for R {
    fn render(
        _context: wit::Context,
        templates: Vec<wit::Template>,
    ) -> Result<Vec<Vec<wit::Chunk>>, wit::RenderError> {
        let secrets = HostSecrets::default();
        let mut rendered = Vec::with_capacity(templates.len());
        for (index, template) in templates.iter().enumerate() {
            let target = match template.target {
                wit::Target::File => Target::File,
                wit::Target::Env => Target::Env,
            };
            let chunks = R::render(&template.text, target, &secrets)
                .and_then(|chunks| secrets.place(chunks))
                .map_err(|failure| wit::RenderError {
                    template: u32::try_from(index).unwrap_or(u32::MAX),
                    line: failure.line,
                    column: failure.column,
                    message: failure.message,
                    hint: None,
                })?;
            rendered.push(chunks);
        }
        Ok(rendered)
    }
}

/// The host's secrets, each looked up once.
#[derive(Default)]
struct HostSecrets {
    found: RefCell<HashMap<(Scope, String), Option<host::Secret>>>,
    /// Fragments that were made when a place was checked and not used yet: each is good for one place.
    unused: RefCell<HashMap<SecretReference, host::Fragment>>,
}

impl HostSecrets {
    fn with<T>(&self, scope: Scope, name: &str, use_secret: impl FnOnce(&host::Secret) -> T) -> Option<T> {
        let mut found = self.found.borrow_mut();
        let secret = found
            .entry((scope, name.to_owned()))
            .or_insert_with(|| host::lookup(to_host_scope(scope), name).ok());
        secret.as_ref().map(use_secret)
    }

    fn fragment(&self, reference: &SecretReference) -> Result<host::Fragment, AccessError> {
        let (part, encoding) = (to_host_part(reference.part), to_host_encoding(reference.encoding));
        self.with(reference.scope, &reference.name, |secret| secret.encode(part, encoding))
            .ok_or(AccessError::NoSuchSecret)?
            .map_err(|error| match error {
                host::AccessError::NoSuchSecret => AccessError::NoSuchSecret,
                host::AccessError::NoSuchPart => AccessError::NoSuchPart,
                host::AccessError::Empty => AccessError::Empty,
                host::AccessError::WrongKind(why) => AccessError::WrongKind(why),
            })
    }

    /// Gives every place its fragment. What the host allowed a moment ago it allows again.
    fn place(&self, chunks: Vec<Chunk>) -> Result<Vec<wit::Chunk>, Failure> {
        let place = |chunk| match chunk {
            Chunk::Text(bytes) => Ok(wit::Chunk::Text(bytes)),
            Chunk::Secret(reference) => {
                let unused = self.unused.borrow_mut().remove(&reference);
                let fragment = unused.map_or_else(|| self.fragment(&reference), Ok);
                fragment.map(wit::Chunk::Fragment).map_err(|_| Failure {
                    line: 0,
                    column: 0,
                    message: "a secret changed while the template was rendered".to_owned(),
                })
            }
        };
        chunks.into_iter().map(place).collect()
    }
}

impl Secrets for HostSecrets {
    fn names(&self, scope: Scope) -> Vec<String> {
        host::names(to_host_scope(scope))
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        self.with(scope, name, |secret| {
            let info = secret.info();
            SecretInfo {
                name: name.to_owned(),
                kind: info.kind,
                size: info.size,
                shared: info.shared,
                user_defined: info.user_defined,
                valid_for: info.valid_for,
                parts: info.parts.into_iter().map(to_part).collect(),
            }
        })
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        if self.unused.borrow().contains_key(reference) {
            return Ok(());
        }
        let fragment = self.fragment(reference)?;
        self.unused.borrow_mut().insert(reference.clone(), fragment);
        Ok(())
    }
}

fn to_host_scope(scope: Scope) -> host::Scope {
    match scope {
        Scope::Current => host::Scope::Current,
        Scope::Previous => host::Scope::Previous,
        Scope::Reserved => host::Scope::Reserved,
    }
}

fn to_host_part(part: Part) -> host::Part {
    match part {
        Part::Whole => host::Part::Whole,
        Part::Public => host::Part::Public,
        Part::Private => host::Part::Private,
        Part::Certificate => host::Part::Certificate,
    }
}

fn to_part(part: host::Part) -> Part {
    match part {
        host::Part::Whole => Part::Whole,
        host::Part::Public => Part::Public,
        host::Part::Private => Part::Private,
        host::Part::Certificate => Part::Certificate,
    }
}

fn to_host_encoding(encoding: Encoding) -> host::Encoding {
    match encoding {
        Encoding::Raw => host::Encoding::Raw,
        Encoding::Hex => host::Encoding::Hex,
        Encoding::Base64 => host::Encoding::Base64,
        Encoding::Pem => host::Encoding::Pem,
        Encoding::Text => host::Encoding::Text,
    }
}
