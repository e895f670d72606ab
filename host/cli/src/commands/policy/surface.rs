//! What a component asks of its host and offers, for people.

use anstyle::Style;
use anyhow::Result;
use carrara_author::inspect::{Inspection, Interface};

use crate::color;
use crate::output::Output;

/// In one line: `carrara:policy/host@1.0.0 (log)`.
pub(super) fn in_words(interfaces: &[Interface]) -> String {
    let word = |interface: &Interface| match interface.functions.len() {
        0 => format!("{} (words only)", interface.name),
        _ => format!("{} ({})", interface.name, interface.functions.join(", ")),
    };
    let words: Vec<_> = interfaces.iter().map(word).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// What its imports let a component do, one sentence each; what no policy may have is marked.
pub(super) fn show_capabilities(inspection: &Inspection, output: &mut Output) -> Result<()> {
    if inspection.imports.iter().all(|import| import.functions.is_empty()) {
        output.line("  may      nothing but answer")?;
    }
    for import in &inspection.imports {
        for function in &import.functions {
            let (text, style) = match capability(&import.name, function) {
                Some(text) => (text.to_owned(), Style::new()),
                None => (format!("{}: {function}, which no policy may import", import.name), color::BAD),
            };
            output.styled(&[("  may      ", Style::new()), (&text, style)])?;
        }
    }
    Ok(())
}

/// What a function of the host lets a policy do.
fn capability(interface: &str, function: &str) -> Option<&'static str> {
    let interface = interface.split('@').next().unwrap_or_default();
    match (interface.strip_prefix("carrara:policy/")?, function) {
        ("host", "log") => Some("write bounded lines to the coordinator's log"),
        ("host", _) => Some("ask its host (a function that this program does not know)"),
        ("secrets", "names") => Some("read the names of a Marble's secrets"),
        ("secrets", "lookup") => Some("look a secret up by its name"),
        ("secrets", "[method]secret.info") => Some("read a secret's declaration, never its bytes"),
        ("secrets", "[method]secret.encode") => Some("say where a secret goes and how it is encoded, unseen"),
        ("secrets", _) => Some("place secrets that it cannot see"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_shown_with_the_functions_that_are_used() {
        let interface = |name: &str, functions: &[&str]| Interface {
            name: name.to_owned(),
            functions: functions.iter().map(|&function| function.to_owned()).collect(),
        };
        assert_eq!(in_words(&[]), "nothing");
        assert_eq!(in_words(&[interface("a", &["f", "g"]), interface("b", &[])]), "a (f, g), b (words only)");
    }

    #[test]
    fn only_what_this_package_offers_is_a_capability() {
        assert!(capability("carrara:policy/host@1.0.0", "log").is_some());
        assert!(capability("carrara:policy/secrets@1.2.0", "lookup").is_some());
        assert_eq!(capability("wasi:cli/exit@0.2.0", "exit"), None);
        assert_eq!(capability("carrara:policy/network@1.0.0", "send"), None);
    }
}
