//! What the language does, rule by rule, over secrets that are made up.

mod errors;
mod golden;
mod inspection;
mod language;
mod places;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use carrara_plugin_support::secrets::{
    AccessError, Encoding, Part, Scope, SecretInfo, SecretReference, Secrets,
};
use carrara_types::decision::{Chunk, Target};

use crate::render;

const BOTH: &[Part] = &[Part::Public, Part::Private];
const ALL: &[Part] = &[Part::Public, Part::Private, Part::Certificate];

/// A catalogue that counts what it is asked.
struct Fake {
    entries: Vec<(Scope, SecretInfo)>,
    names_asked: Cell<usize>,
    lookups: Cell<usize>,
}

impl Fake {
    fn new() -> Self {
        let mut fake = Self { entries: Vec::new(), names_asked: Cell::new(0), lookups: Cell::new(0) };
        for scope in [Scope::Current, Scope::Previous] {
            fake.add(scope, "k", "symmetric-key", BOTH);
            fake.add(scope, "my-key", "symmetric-key", BOTH);
            fake.add(scope, "c", "cert-ecdsa", ALL);
            fake.add(scope, "p", "plain", BOTH);
            fake.add(scope, "unset", "plain", &[]);
            fake.add(scope, "_schlüssel", "plain", BOTH);
        }
        fake.add(Scope::Reserved, "RootCA", "cert-ecdsa", &[Part::Certificate]);
        fake.add(Scope::Reserved, "MarbleCert", "cert-ecdsa", ALL);
        fake.add(Scope::Reserved, "CoordinatorRoot", "cert-ecdsa", &[Part::Certificate]);
        fake.add(Scope::Reserved, "CoordinatorIntermediate", "cert-ecdsa", &[Part::Certificate]);
        fake
    }

    fn add(&mut self, scope: Scope, name: &str, kind: &str, parts: &[Part]) {
        let info = SecretInfo {
            name: name.into(),
            kind: kind.to_owned(),
            size: 128,
            shared: true,
            user_defined: kind == "plain",
            valid_for: 365,
            parts: parts.to_vec(),
        };
        self.entries.push((scope, info));
    }

    fn entry(&self, scope: Scope, name: &str) -> Option<&SecretInfo> {
        self.entries.iter().find(|(known, info)| *known == scope && *info.name == *name).map(|(_, info)| info)
    }
}

impl Secrets for Fake {
    fn names(&self, scope: Scope) -> Vec<String> {
        self.names_asked.set(self.names_asked.get() + 1);
        self.entries
            .iter()
            .filter(|(known, _)| *known == scope)
            .map(|(_, info)| info.name.to_string())
            .collect()
    }

    fn find(&self, scope: Scope, name: &str) -> Option<Arc<str>> {
        self.lookups.set(self.lookups.get() + 1);
        self.entry(scope, name).map(|info| Arc::clone(&info.name))
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>> {
        self.lookups.set(self.lookups.get() + 1);
        self.entry(scope, name).cloned().map(Rc::new)
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        let info = self.entry(reference.scope, &reference.name).ok_or(AccessError::NoSuchSecret)?;
        let part = if reference.part == Part::Whole { Part::Public } else { reference.part };
        if info.parts.contains(&part) { Ok(()) } else { Err(AccessError::Empty) }
    }
}

/// The result with places written as `‹scope.name.part.encoding›`, or the error's text.
fn show(result: Result<Vec<Chunk>, crate::Failure>) -> String {
    let chunks = match result {
        Ok(chunks) => chunks,
        Err(failure) => return failure.message,
    };
    let show_chunk = |chunk| match chunk {
        Chunk::Text(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Chunk::Secret(place) => {
            let scope = match place.scope {
                Scope::Current => "",
                Scope::Previous => "previous.",
                Scope::Reserved => "reserved.",
            };
            format!("‹{scope}{}.{:?}.{:?}›", place.name, place.part, place.encoding)
        }
    };
    chunks.into_iter().map(show_chunk).collect()
}

fn file(template: &str) -> String {
    show(render(template.as_bytes(), Target::File, &Fake::new()))
}

fn env(template: &str) -> String {
    show(render(template.as_bytes(), Target::Env, &Fake::new()))
}

fn check_all(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(file(template), *expected, "{template}");
    }
}

#[test]
fn ten_thousand_secrets_cost_nothing_unless_a_template_ranges_over_them() {
    let mut fake = Fake::new();
    for index in 0..10_000 {
        fake.add(Scope::Current, &format!("s{index}"), "plain", BOTH);
    }
    let text = br#"{{ raw .Secrets.s5 }}{{ hex .Secrets.s5.Private }}{{ raw (index .Secrets "s6") }}"#;
    render(text, Target::File, &fake).unwrap();
    assert_eq!((fake.names_asked.get(), fake.lookups.get()), (0, 3));
    render(b"{{ range $n, $s := .Secrets }}{{ $n }}{{ end }}", Target::File, &fake).unwrap();
    assert_eq!(fake.names_asked.get(), 1);
}

#[test]
fn text_without_braces_is_returned_unchanged_and_asks_for_nothing() {
    let fake = Fake::new();
    let text = b"a\xff\x00 } }} { b".to_vec();
    assert_eq!(render(&text, Target::File, &fake).unwrap(), [Chunk::Text(text.clone())]);
    assert_eq!(render(b"", Target::File, &fake).unwrap(), []);
    assert_eq!((fake.names_asked.get(), fake.lookups.get()), (0, 0));
}

#[test]
fn bytes_that_are_not_utf8_pass_a_template_unchanged() {
    let chunks =
        render(b"\xff\x00{{ raw .Secrets.k }}\xfe{{ \"\xfd\" }}", Target::File, &Fake::new()).unwrap();
    let place = SecretReference {
        scope: Scope::Current,
        name: "k".into(),
        part: Part::Public,
        encoding: Encoding::Raw,
    };
    let expected =
        [Chunk::Text(b"\xff\x00".to_vec()), Chunk::Secret(place), Chunk::Text(b"\xfe\xfd".to_vec())];
    assert_eq!(chunks, expected);
}
