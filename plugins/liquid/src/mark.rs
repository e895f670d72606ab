//! Secrets as marks in a text.
//!
//! The engine knows strings only. A secret is `MARK payload MARK`, where MARK is a character that the template's text
//! does not contain and the payload says which secret, which part and, once a filter has said so, how it is written.
//! Bytes that are not UTF-8 are carried through the engine as characters that the text does not contain either.

use std::sync::Arc;

use carrara_plugin_support::secrets::{AccessError, Secrets};
use carrara_types::decision::{Chunk, Encoding, Part, Scope, SecretReference};

use crate::{Failure, failure};

/// Characters of Unicode's private planes, tried in blocks of [`BLOCK`].
const PRIVATE: std::ops::Range<u32> = 0xF_0000..0xF_FF00;
/// One mark, one key, and one character for each byte.
const BLOCK: u32 = 0x200;
const FIRST_BYTE: u32 = 0x100;

const SCOPES: [(char, Scope); 3] = [('s', Scope::Current), ('p', Scope::Previous), ('m', Scope::Reserved)];
const PARTS: [(char, Part); 4] =
    [('w', Part::Whole), ('u', Part::Public), ('r', Part::Private), ('c', Part::Certificate)];
const ENCODINGS: [(char, Encoding); 5] = [
    ('r', Encoding::Raw),
    ('h', Encoding::Hex),
    ('b', Encoding::Base64),
    ('p', Encoding::Pem),
    ('t', Encoding::Text),
];
/// In place of an encoding: no filter has said how to write it.
const HANDLE: char = '-';
/// The payload of what is not one secret but many.
const FOLDER: &str = "folder";

/// A secret or a part of it; a place once `encoding` is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) scope: Scope,
    pub(crate) name: Arc<str>,
    pub(crate) part: Part,
    pub(crate) encoding: Option<Encoding>,
}

/// The characters that one rendering uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    base: u32,
}

impl Marks {
    /// Marks that do not occur in `text`; `None` where there are none left.
    pub(crate) fn absent_from(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let used: Vec<u32> = text.chars().map(u32::from).filter(|c| PRIVATE.contains(c)).collect();
        let blocks = PRIVATE.step_by(usize::try_from(BLOCK).ok()?);
        let mut free = blocks.filter(|base| !used.iter().any(|c| (*base..*base + BLOCK).contains(c)));
        free.next().map(|base| Self { base })
    }

    fn mark(self) -> char {
        char::from_u32(self.base).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// The key under which an object keeps its mark.
    pub(crate) fn key(self) -> String {
        char::from_u32(self.base + 1).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
    }

    /// The text with bytes that are not UTF-8 as characters.
    pub(crate) fn carry(self, text: &[u8]) -> String {
        let mut out = String::with_capacity(text.len());
        for chunk in text.utf8_chunks() {
            out.push_str(chunk.valid());
            let carried = chunk.invalid().iter().map(|byte| self.base + FIRST_BYTE + u32::from(*byte));
            out.extend(carried.filter_map(char::from_u32));
        }
        out
    }

    /// The bytes that [`Self::carry`] took.
    pub(crate) fn restore(self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            let byte =
                u32::from(c).checked_sub(self.base + FIRST_BYTE).and_then(|byte| u8::try_from(byte).ok());
            match byte {
                Some(byte) => out.push(byte),
                None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out
    }

    /// Whether a text holds a mark.
    pub(crate) fn is_in(self, text: &str) -> bool {
        text.contains(self.mark())
    }

    /// The mark of what is not one secret but many.
    pub(crate) fn folder(self) -> String {
        format!("{0}{FOLDER}{0}", self.mark())
    }

    /// The text of a mark.
    pub(crate) fn write(self, mark: &Mark) -> String {
        let scope = letter(&SCOPES, mark.scope);
        let part = letter(&PARTS, mark.part);
        let encoding = mark.encoding.map_or(HANDLE, |encoding| letter(&ENCODINGS, encoding));
        let name: String = mark.name.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{0}{scope}{part}{encoding}{name}{0}", self.mark())
    }

    /// The mark that is the whole text.
    pub(crate) fn read(self, text: &str) -> Option<Mark> {
        read_payload(text.strip_prefix(self.mark())?.strip_suffix(self.mark())?)
    }

    /// An error's text with marks left out.
    pub(crate) fn erase(self, text: &str) -> String {
        let text = text.replace(&self.key(), "");
        let parts = text.split(self.mark()).enumerate();
        parts.map(|(index, part)| if index % 2 == 0 { part } else { "secret" }).collect()
    }

    /// The chunks of a rendered text. A secret that no filter has written is refused, and so is a broken mark.
    pub(crate) fn split(self, text: &str, secrets: &dyn Secrets) -> Result<Vec<Chunk>, Failure> {
        let mut chunks = Vec::new();
        let mut parts = text.split(self.mark());
        loop {
            let Some(part) = parts.next() else {
                return Ok(chunks);
            };
            if !part.is_empty() {
                chunks.push(Chunk::Text(self.restore(part)));
            }
            let Some(payload) = parts.next() else {
                return Ok(chunks);
            };
            chunks.push(Chunk::Secret(place(payload, secrets)?));
            // What follows a payload is text, so a mark without its end is broken.
            if parts.clone().next().is_none() {
                return Err(failure::broken());
            }
        }
    }
}

fn place(payload: &str, secrets: &dyn Secrets) -> Result<SecretReference, Failure> {
    if payload == FOLDER {
        return Err(failure::inspected());
    }
    let mark = read_payload(payload).ok_or_else(failure::broken)?;
    let encoding = mark.encoding.ok_or_else(failure::inspected)?;
    let reference = SecretReference { scope: mark.scope, name: mark.name, part: mark.part, encoding };
    match secrets.encode(&reference) {
        Ok(()) => Ok(reference),
        Err(AccessError::NoSuchSecret) => Err(failure::missing(&reference.name)),
        Err(AccessError::NoSuchPart | AccessError::Empty) => Err(failure::without_place(&format!(
            "tried to parse secret with empty value: {}",
            reference.name
        ))),
        Err(AccessError::WrongKind(why)) => Err(failure::without_place(&why)),
    }
}

fn read_payload(payload: &str) -> Option<Mark> {
    let mut letters = payload.chars();
    let scope = word(&SCOPES, letters.next()?)?;
    let part = word(&PARTS, letters.next()?)?;
    let encoding = match letters.next()? {
        HANDLE => None,
        letter => Some(word(&ENCODINGS, letter)?),
    };
    let digits = letters.as_str().as_bytes();
    let mut name = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        name.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    Some(Mark { scope, name: String::from_utf8(name).ok()?.into(), part, encoding })
}

fn letter<T: PartialEq + Copy>(table: &[(char, T)], word: T) -> char {
    table.iter().find(|(_, known)| *known == word).map_or(HANDLE, |(letter, _)| *letter)
}

fn word<T: Copy>(table: &[(char, T)], letter: char) -> Option<T> {
    table.iter().find(|(known, _)| *known == letter).map(|(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_was_written() {
        let marks = Marks::absent_from(b"").unwrap();
        for encoding in [None, Some(Encoding::Text)] {
            let mark =
                Mark { scope: Scope::Previous, name: "my-\u{e9}".into(), part: Part::Private, encoding };
            assert_eq!(marks.read(&marks.write(&mark)), Some(mark));
        }
        assert_eq!(marks.read("text"), None);
        assert_eq!(marks.read(&marks.folder()), None);
    }

    #[test]
    fn marks_never_occur_in_the_text() {
        let first = Marks::absent_from(b"").unwrap();
        let second = Marks::absent_from(first.key().as_bytes()).unwrap();
        assert!(!second.is_in(&first.key()));
        let all: String = PRIVATE.filter_map(char::from_u32).collect();
        assert!(Marks::absent_from(all.as_bytes()).is_none());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_carried_and_restored() {
        let text = b"a\xff\x80\xc3(\xe2\x82b\xf0";
        let marks = Marks::absent_from(text).unwrap();
        assert_eq!(marks.restore(&marks.carry(text)), text);
    }
}
