//! Glue between the world `secret-rendering` and a [`Renderer`]: secrets become handles, places become fragments.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bindings::carrara::policy::secrets as host;
use bindings::exports::carrara::policy::configuration::{Guest as Configuration, SettingsError};
use bindings::exports::carrara::policy::secret_renderer as wit;
pub use carrara_types::decision::{Chunk, Target};
use fnv::FnvHashMap;

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
    /// By scope and name; `None` for those that do not exist. The hash's key is known, but the names are those that the manifest's
    /// templates ask for: whoever makes them collide slows down his own Marbles, within the call's fuel.
    found: RefCell<[FnvHashMap<Arc<str>, Option<Rc<Known>>>; 3]>,
    /// What was found last: whoever has looked a secret up encodes it next.
    last: RefCell<Option<Rc<Known>>>,
    /// What the present template has encoded: its places mostly come in the same order.
    encoded: RefCell<VecDeque<Rc<Known>>>,
}

/// A secret that exists, and what the host says of it.
struct Known {
    scope: Scope,
    name: Arc<str>,
    secret: host::Secret,
    info: OnceCell<Rc<SecretInfo>>,
    /// Fragments that were made when a place was checked and not used yet: each is good for one place.
    unused: RefCell<Vec<(Part, Encoding, host::Fragment)>>,
}

impl Known {
    fn new(scope: Scope, name: Arc<str>, secret: host::Secret) -> Self {
        Self { scope, name, secret, info: OnceCell::new(), unused: RefCell::default() }
    }

    fn is_meant_by(&self, reference: &SecretReference) -> bool {
        self.scope == reference.scope && Arc::ptr_eq(&self.name, &reference.name)
    }

    /// Which of the unused fragments is that of a part and an encoding.
    fn unused(&self, part: Part, encoding: Encoding) -> Option<usize> {
        self.unused.borrow().iter().position(|unused| (unused.0, unused.1) == (part, encoding))
    }

    fn fragment(&self, part: Part, encoding: Encoding) -> Result<host::Fragment, AccessError> {
        self.secret.encode(to_host_part(part), to_host_encoding(encoding)).map_err(|error| match error {
            host::AccessError::NoSuchSecret => AccessError::NoSuchSecret,
            host::AccessError::NoSuchPart => AccessError::NoSuchPart,
            host::AccessError::Empty => AccessError::Empty,
            host::AccessError::WrongKind(why) => AccessError::WrongKind(why),
        })
    }
}

impl HostSecrets {
    /// A secret of which more will be asked.
    fn known(&self, scope: Scope, name: &str) -> Option<Rc<Known>> {
        let known = self.search(scope, name)?;
        *self.last.borrow_mut() = Some(Rc::clone(&known));
        Some(known)
    }

    /// What a reference means, if that is what was found last.
    fn found_last(&self, reference: &SecretReference) -> Option<Rc<Known>> {
        self.last.borrow().as_ref().filter(|known| known.is_meant_by(reference)).cloned()
    }

    fn search(&self, scope: Scope, name: &str) -> Option<Rc<Known>> {
        let [current, previous, reserved] = &mut *self.found.borrow_mut();
        let names = match scope {
            Scope::Current => current,
            Scope::Previous => previous,
            Scope::Reserved => reserved,
        };
        if let Some(known) = names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        let secret = host::lookup(to_host_scope(scope), &name).ok();
        let known = secret.map(|secret| Rc::new(Known::new(scope, Arc::clone(&name), secret)));
        names.insert(name, known.clone());
        known
    }

    /// Gives every place its fragment. What the host allowed a moment ago it allows again.
    fn place(&self, chunks: Vec<Chunk>) -> Result<Vec<wit::Chunk>, Failure> {
        let mut placed = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            placed.push(match chunk {
                Chunk::Text(bytes) => wit::Chunk::Text(bytes),
                Chunk::Secret(reference) => {
                    self.take(&reference).map(wit::Chunk::Fragment).map_err(|_| {
                        let message = "a secret changed while the template was rendered".to_owned();
                        Failure { line: 0, column: 0, message }
                    })?
                }
            });
        }
        self.encoded.borrow_mut().clear();
        Ok(placed)
    }

    fn take(&self, reference: &SecretReference) -> Result<host::Fragment, AccessError> {
        let &SecretReference { scope, ref name, part, encoding } = reference;
        let next = self.encoded.borrow_mut().pop_front().filter(|known| known.is_meant_by(reference));
        let known = next.or_else(|| self.search(scope, name)).ok_or(AccessError::NoSuchSecret)?;
        match known.unused(part, encoding) {
            Some(index) => Ok(known.unused.borrow_mut().swap_remove(index).2),
            None => known.fragment(part, encoding),
        }
    }
}

impl Secrets for HostSecrets {
    fn names(&self, scope: Scope) -> Vec<String> {
        host::names(to_host_scope(scope))
    }

    fn find(&self, scope: Scope, name: &str) -> Option<Arc<str>> {
        self.known(scope, name).map(|known| Arc::clone(&known.name))
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>> {
        let known = self.known(scope, name)?;
        Some(Rc::clone(known.info.get_or_init(|| Rc::new(from_host_info(known.secret.info())))))
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        let &SecretReference { scope, ref name, part, encoding } = reference;
        let found = self.found_last(reference).or_else(|| self.search(scope, name));
        let known = found.ok_or(AccessError::NoSuchSecret)?;
        if known.unused(part, encoding).is_none() {
            let fragment = known.fragment(part, encoding)?;
            known.unused.borrow_mut().push((part, encoding, fragment));
            self.encoded.borrow_mut().push_back(known);
        }
        Ok(())
    }
}

fn from_host_info(info: host::Info) -> SecretInfo {
    SecretInfo {
        name: info.name.into(),
        kind: info.kind,
        size: info.size,
        shared: info.shared,
        user_defined: info.user_defined,
        valid_for: info.valid_for,
        parts: info.parts.into_iter().map(to_part).collect(),
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
