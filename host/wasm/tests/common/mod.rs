//! Makes components of WAT and asks them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)] // shared by several test binaries

pub mod sets;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carrara_core::ports::SecretCatalog;
use carrara_types::decision::{
    AuthorizationRequest, Context, Part, Principal, Scope, SecretInfo, Target, Template,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// When this is the question's time, hostile guests misbehave.
pub const MISBEHAVE: u64 = 666;

pub fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// A component of a core module, for a world of the package in `wit`.
pub fn component_of(wit: &Path, world: &str, fields: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {fields})")).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}

pub fn authorizer(misbehave: &str) -> Vec<u8> {
    let prelude = include_str!("../../../../tests/hostile/authorizer.prelude.wat");
    component_of(&wit(), "role-authorization", &format!("{prelude}{misbehave}"))
}

pub fn renderer(misbehave: &str) -> Vec<u8> {
    let prelude = include_str!("../../../../tests/hostile/renderer.prelude.wat");
    component_of(&wit(), "secret-rendering", &format!("{prelude}{misbehave}"))
}

pub fn context(now: u64) -> Context {
    Context { now, revision: 1, facts: Vec::new() }
}

pub fn request(now: u64) -> AuthorizationRequest {
    AuthorizationRequest {
        context: context(now),
        principal: Principal { name: "alice".to_owned(), certificate_sha256: [7; 32], roles: Vec::new() },
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
    }
}

pub fn template(text: &str) -> Template {
    Template { name: "/etc/config".to_owned(), target: Target::File, text: text.as_bytes().to_vec() }
}

/// One secret, `.Secrets.key`.
pub struct OneKey;

impl SecretCatalog for OneKey {
    fn names(&self, scope: Scope) -> Vec<String> {
        if scope == Scope::Current { vec!["key".to_owned()] } else { Vec::new() }
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        (scope == Scope::Current && name == "key").then(|| SecretInfo {
            name: "key".into(),
            kind: "symmetric-key".to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 0,
            parts: vec![Part::Public, Part::Private],
        })
    }
}

pub fn one_key() -> Arc<dyn SecretCatalog> {
    Arc::new(OneKey)
}

/// What `work` writes to the log.
pub fn logged(work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
