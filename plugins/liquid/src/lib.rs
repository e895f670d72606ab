//! The built-in renderer `liquid`: the Liquid language over secrets that it never sees.
//!
//! `{{ Secrets.k.Private | base64 }}` says where a secret goes and how it is written; the result is text and places,
//! and the host puts the bytes in after this has ended. The objects are those of go-template without the leading dot;
//! the filters `pem`, `hex`, `base64`, `raw` (files) and `string` (environment variables) make places, and the standard
//! filters refuse secrets. `date` cannot tell the time: it refuses `now` and `today`.
//!
//! In the engine a secret and its place are marks in a text ([`mark`]): a comparison or `.size` of one sees the mark,
//! which depends on the secret's name alone.

mod catalogue;
mod comment;
mod elements;
mod failure;
mod filters;
#[cfg(target_arch = "wasm32")]
mod guest;
mod mark;
mod trace;

pub use carrara_plugin_support::Failure;

use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::{Chunk, Target};
use catalogue::Root;
use mark::Marks;

/// Renders one template. Data without `{{` and `{%` is returned as it is, and no secret is asked for.
pub fn render(text: &[u8], target: Target, secrets: &dyn Secrets) -> Result<Vec<Chunk>, Failure> {
    if !text.windows(2).any(|pair| pair == b"{{" || pair == b"{%") {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Chunk::Text(text.to_vec())] });
    }
    let marks = Marks::absent_from(text).ok_or_else(failure::no_mark)?;
    let text = marks.carry(text);
    let elements = elements::elements(&text);
    elements::check_nesting(&elements)?;
    elements::check_numbers(&elements)?;
    let fail = |error: &liquid::Error| failure::of_engine(error, &marks);
    let parser = filters::builder(target, &marks).build().map_err(|error| fail(&error))?;
    check_syntax(&parser, &text, &marks)?;
    let template = parser.parse(&text).map_err(|error| fail(&error))?;
    let root = Root::new(secrets, &marks);
    let mut rendered = Vec::new();
    if let Err(error) = template.render_to(&mut rendered, &root) {
        let failure =
            root.missing().map_or_else(|| fail(&error), |name| failure::missing(&marks.erase(&name)));
        return Err(match trace::failing(&text, target, &marks, secrets, &error) {
            Some(offset) => failure::at(failure, &marks.restore(text.get(..offset).unwrap_or_default())),
            None => failure,
        });
    }
    let rendered = String::from_utf8(rendered).map_err(|_| failure::broken())?;
    marks.split(&rendered, secrets)
}

/// To explain a mistake the engine reads the template again from the beginning of the line, cut by characters where bytes are
/// meant. With a value that spans lines, or a letter beyond ASCII, it may then find no mistake, and panics. Such a template
/// is read in one line and in ASCII first, which is right or wrong just as it is.
fn check_syntax(parser: &liquid::Parser, text: &str, marks: &Marks) -> Result<(), Failure> {
    if text.is_ascii() && !elements::span_lines(text) {
        return Ok(());
    }
    let plain = |c: char| match c {
        '\n' | '\r' => ' ',
        ascii if ascii.is_ascii() => ascii,
        _ => '\u{1}',
    };
    let line: String = text.chars().map(plain).collect();
    parser.parse(&line).map(drop).map_err(|error| failure::in_one_line(&error, marks, text))
}

#[cfg(test)]
mod tests;
