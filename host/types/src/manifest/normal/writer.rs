//! Writes JSON: compact, fields with default values left out.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use crate::encoding::encode_base64;

/// A JSON text that grows.
#[derive(Default)]
pub(in crate::manifest) struct Writer {
    out: String,
}

impl Writer {
    pub(in crate::manifest) fn finish(self) -> String {
        self.out
    }

    pub(in crate::manifest) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.out.push('{');
        members(self);
        self.out.push('}');
    }

    pub(in crate::manifest) fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        // Runs of characters that stand for themselves; what is escaped is one byte long.
        while let Some(length) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f)) {
            let (plain, tail) = rest.split_at(length);
            self.out.push_str(plain);
            let (special, tail) = tail.split_at(1);
            match special {
                "\"" => self.out.push_str("\\\""),
                "\\" => self.out.push_str("\\\\"),
                "\n" => self.out.push_str("\\n"),
                "\r" => self.out.push_str("\\r"),
                "\t" => self.out.push_str("\\t"),
                other => other.bytes().for_each(|byte| self.display(format_args!("\\u{byte:04x}"))),
            }
            rest = tail;
        }
        self.out.push_str(rest);
        self.out.push('"');
    }

    /// A number, or another text that needs no quotes.
    pub(in crate::manifest) fn display(&mut self, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    pub(in crate::manifest) fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.comma();
        self.string(name);
        self.out.push(':');
        value(self);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.field(name, |w| w.string(text));
        }
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.field(name, |w| w.display(value));
        }
    }

    pub(super) fn unsigned(&mut self, name: &str, value: u64) {
        self.optional(name, (value != 0).then_some(value));
    }

    pub(super) fn integer(&mut self, name: &str, value: i64) {
        self.optional(name, (value != 0).then_some(value));
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(name, |w| w.display(value));
        }
    }

    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &encode_base64(bytes));
    }

    /// A list; left out where it is empty.
    pub(super) fn list<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.optional_list(name, (!items.is_empty()).then_some(items), write);
    }

    /// A list; left out where it is none, but not where it is empty.
    pub(super) fn optional_list<T>(
        &mut self,
        name: &str,
        items: Option<&[T]>,
        write: impl Fn(&mut Self, &T),
    ) {
        if let Some(items) = items {
            self.field(name, |w| w.items(items, write));
        }
    }

    /// A list without a name.
    pub(in crate::manifest) fn items<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push('[');
        for item in items {
            self.comma();
            write(self, item);
        }
        self.out.push(']');
    }

    pub(super) fn texts(&mut self, name: &str, texts: &[String]) {
        self.list(name, texts, |w, text| w.string(text));
    }

    pub(super) fn map<T>(&mut self, name: &str, map: &BTreeMap<String, T>, write: impl Fn(&mut Self, &T)) {
        if map.is_empty() {
            return;
        }
        self.field(name, |w| {
            w.object(|w| {
                for (key, value) in map {
                    w.field(key, |w| write(w, value));
                }
            });
        });
    }

    /// Separates from what stands before in the same object or list; a value never ends with an opening bracket.
    fn comma(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }
}
