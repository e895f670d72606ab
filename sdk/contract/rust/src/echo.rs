//! The echo text: every field of a request in the order of `wit/`.

use std::fmt::Write as _;

use carrara_policy::admission::Evidence;
use carrara_policy::validation::PackageVersion;
use carrara_policy::{Context, Fact, Principal, Role, Value};

/// `<...>`, control characters as `\x` and two hex digits.
#[must_use]
pub fn text(text: &str) -> String {
    let mut shown = String::from("<");
    for character in text.chars() {
        if character < ' ' || character == '\u{7f}' {
            let _ = write!(shown, "\\x{:02x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown.push('>');
    shown
}

/// `[a,b]`.
pub fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
}

/// `none` or `some(...)`.
pub fn option<T>(item: Option<&T>, show: impl Fn(&T) -> String) -> String {
    item.map_or_else(|| "none".to_owned(), |item| format!("some({})", show(item)))
}

/// A fact's value with its kind.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Text(shown) => format!("text{}", text(shown)),
        Value::Number(number) => format!("number {number}"),
        Value::Truth(truth) => format!("truth {truth}"),
        Value::Bytes(bytes) => format!("bytes {}", hex(bytes)),
        Value::Texts(texts) => format!("texts{}", names(texts)),
    }
}

/// A fact.
#[must_use]
pub fn fact(fact: &Fact) -> String {
    format!("{}={}", text(&fact.name), value(&fact.value))
}

/// The context.
#[must_use]
pub fn context(context: &Context) -> String {
    let (settings, facts) = (text(&context.settings), list(&context.facts, fact));
    format!("settings{settings} now {} revision {} facts{facts}", context.now, context.revision)
}

/// A principal with the roles.
#[must_use]
pub fn principal(principal: &Principal) -> String {
    let digest = hex(&principal.certificate_sha256);
    format!("{} {digest} {}", text(&principal.name), list(&principal.roles, role))
}

/// Evidence.
#[must_use]
pub fn evidence(evidence: &Evidence) -> String {
    let (tee, status) = (text(&evidence.tee), text(&evidence.tcb_status));
    let (advisories, identity) = (names(&evidence.advisories), list(&evidence.identity, fact));
    format!("{tee} debug {} {status} {advisories} {identity}", evidence.debug)
}

/// A package's version.
#[must_use]
pub fn version(version: &PackageVersion) -> String {
    format!("{} {}", text(&version.name), version.security_version)
}

fn role(role: &Role) -> String {
    let (name, kind) = (text(&role.name), text(&role.resource_type));
    format!("{name} {kind} {} {}", names(&role.resource_names), names(&role.actions))
}

/// A list of texts.
#[must_use]
pub fn names(names: &[String]) -> String {
    list(names, |name| text(name))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
