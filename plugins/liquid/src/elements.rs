//! Finds the values and tags of a template before the engine parses it: to bound how deep they nest, and to tell where
//! the engine was when it failed. It accepts more than the language does; what is no Liquid the engine refuses.

use crate::{Failure, failure};

/// How deep blocks, branches, indexes and conditions may nest: the engine recurses for each, and the stack of a guest is
/// small. Real templates stay below 10.
const MAX_DEPTH: usize = 64;

/// Digits of a number that an error shows.
const SHOWN_DIGITS: usize = 40;

/// A `{{ value }}` or `{% tag %}`.
pub(crate) struct Element<'a> {
    /// Where its braces open, in bytes.
    pub(crate) start: usize,
    /// The tag's name; nothing for a value.
    pub(crate) tag: Option<&'a str>,
    inner: &'a str,
    end: usize,
}

impl Element<'_> {
    /// Whether another tag may stand before it: what continues or ends a block belongs to the block.
    pub(crate) fn starts_something(&self) -> bool {
        self.tag.is_none_or(|tag| !is_branch(tag) && !tag.starts_with("end"))
    }
}

/// All elements outside of `raw` and `comment`.
pub(crate) fn elements(text: &str) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    let mut pos = 0;
    while let Some(element) = next(text, pos) {
        pos = element.end;
        let tag = element.tag;
        found.push(element);
        if let Some(tag @ ("raw" | "comment")) = tag {
            pos = skip(text, pos, tag);
        }
    }
    found
}

/// Whether a value or tag spans lines, in `raw` and `comment`, too.
pub(crate) fn span_lines(text: &str) -> bool {
    let mut pos = 0;
    while let Some(element) = next(text, pos) {
        if text.get(element.start..element.end).is_none_or(|element| element.contains('\n')) {
            return true;
        }
        pos = element.end;
    }
    false
}

/// Refuses a number that the engine takes for an integer and cannot hold; it would panic.
pub(crate) fn check_numbers(elements: &[Element<'_>]) -> Result<(), Failure> {
    let digits = |element: &Element<'_>| {
        let runs = element.inner.split(|c: char| !c.is_ascii_digit());
        runs.filter(|run| !run.is_empty()).find(|run| run.parse::<i64>().is_err()).map(str::to_owned)
    };
    match elements.iter().find_map(digits) {
        Some(run) => {
            let shown: String = run.chars().take(SHOWN_DIGITS).collect();
            Err(failure::without_place(&format!("a number is too large: {shown}")))
        }
        None => Ok(()),
    }
}

/// Refuses a template that nests too deep.
pub(crate) fn check_nesting(elements: &[Element<'_>]) -> Result<(), Failure> {
    // For each open block, how many levels it takes: `elsif` opens one that the block's end closes.
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0;
    for element in elements {
        match element.tag {
            Some("if" | "unless" | "case" | "for" | "tablerow" | "capture" | "ifchanged") => {
                open.push(1);
                depth += 1;
            }
            Some("elsif") => {
                if let Some(levels) = open.last_mut() {
                    *levels += 1;
                }
                depth += 1;
            }
            Some(tag) if tag.starts_with("end") => depth -= open.pop().unwrap_or(0),
            _ => {}
        }
        if depth > MAX_DEPTH || indexes(element.inner) > MAX_DEPTH || conditions(element.inner) > MAX_DEPTH {
            return Err(failure::without_place(&format!(
                "blocks, branches or indexes nested more than {MAX_DEPTH} deep"
            )));
        }
    }
    Ok(())
}

fn is_branch(tag: &str) -> bool {
    matches!(tag, "else" | "elsif" | "when")
}

fn next(text: &str, from: usize) -> Option<Element<'_>> {
    let mut pos = from;
    loop {
        pos += text.get(pos..)?.find('{')?;
        let close = match text.as_bytes().get(pos + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            _ => {
                pos += 1;
                continue;
            }
        };
        let body = text.get(pos + 2..)?;
        let length = closing(body, close).unwrap_or(body.len());
        let inner = body.get(..length)?.trim_start_matches('-').trim();
        let word = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        let tag = word.filter(|_| close == "%}");
        let end = (pos + 2 + length + close.len()).min(text.len());
        return Some(Element { start: pos, tag, inner, end });
    }
}

/// Where `close` stands outside of quotes.
fn closing(body: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in body.bytes().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, _) if body.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(close.as_bytes())) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

/// Where the block `tag` ends.
fn skip(text: &str, from: usize, tag: &str) -> usize {
    let end = format!("end{tag}");
    let mut pos = from;
    while let Some(found) = text.get(pos..).and_then(|rest| rest.find("{%")) {
        pos += found;
        let rest = text.get(pos + 2..).unwrap_or_default().trim_start_matches('-').trim_start();
        if rest.starts_with(&end) {
            return pos;
        }
        pos += 2;
    }
    text.len()
}

/// How deep `a[b[c]]` goes.
fn indexes(inner: &str) -> usize {
    let (mut depth, mut deepest, mut quote) = (0_usize, 0, None);
    for byte in inner.bytes() {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'[' | b'(') => depth += 1,
            (None, b']' | b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn conditions(inner: &str) -> usize {
    inner.split_ascii_whitespace().filter(|word| matches!(*word, "and" | "or")).count()
}
