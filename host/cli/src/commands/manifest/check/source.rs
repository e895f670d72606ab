//! The manifest as it was read from its file, and where things stand in that file.

use carrara_types::manifest::{ManifestError, ParsedManifest};

use super::findings::Found;
use crate::manifest_file;
use crate::yaml_marks::{Marks, Place};

/// A manifest that could be read.
pub(super) struct Source {
    /// What a coordinator would be sent.
    pub(super) bytes: Vec<u8>,
    /// What it would read.
    pub(super) manifest: ParsedManifest,
    /// Where the file is YAML.
    marks: Option<Marks>,
}

impl Source {
    /// Reads a file's content; an error is a finding.
    pub(super) fn read(content: &[u8]) -> Result<Self, Box<Found>> {
        let is_json =
            content.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|first| *first == b'{');
        if is_json {
            let manifest = ParsedManifest::parse(content).map_err(|error| in_json(&error))?;
            return Ok(Self { bytes: content.to_vec(), manifest, marks: None });
        }
        let bytes = manifest_file::to_json(content).map_err(|error| {
            let place = serde_saphyr::from_slice::<serde_json::Value>(content)
                .err()
                .and_then(|error| error.location())
                .map_or((1, 1), |location| (location.line().max(1), location.column().max(1)));
            Box::new(Found::unreadable(place, String::new(), format!("{error:#}")))
        })?;
        let marks = Marks::read(content);
        match ParsedManifest::parse(&bytes) {
            Ok(manifest) => Ok(Self { bytes, manifest, marks }),
            Err(error) => Err(in_yaml(&error, marks.as_ref())),
        }
    }

    /// Line and column of what a pointer names.
    pub(super) fn locate(&self, pointer: &str) -> Place {
        if let Some(marks) = &self.marks {
            return marks.locate(pointer);
        }
        let position = self.manifest.locate(pointer);
        position.map_or((1, 1), |position| (position.line as u64, position.column as u64))
    }
}

fn in_json(error: &ManifestError) -> Box<Found> {
    let place = error.position.map_or((1, 1), |position| (position.line as u64, position.column as u64));
    let (message, pointer) = without_place(&error.message);
    Box::new(Found::unreadable(place, pointer.to_owned(), message.to_owned()))
}

/// The error's line and column are those of the converted text.
fn in_yaml(error: &ManifestError, marks: Option<&Marks>) -> Box<Found> {
    let (message, pointer) = without_place(&error.message);
    let place = marks.map_or((1, 1), |marks| marks.locate(pointer));
    Box::new(Found::unreadable(place, pointer.to_owned(), message.to_owned()))
}

/// `MESSAGE (at POINTER, line 1, column 2)` or `MESSAGE (line 1, column 2)`: the message and the pointer.
fn without_place(message: &str) -> (&str, &str) {
    let numbers = |text: &str| {
        let text = text.trim_end_matches(')');
        text.chars().all(|character| character.is_ascii_digit() || ", column".contains(character))
    };
    if let Some((message, _)) = message.rsplit_once(" (line ").filter(|(_, rest)| numbers(rest)) {
        return (message, "");
    }
    let place = message.rsplit_once(", line ").filter(|(_, rest)| numbers(rest));
    match place.and_then(|(front, _)| front.rsplit_once(" (at ")) {
        Some((message, pointer)) => (message, if pointer.starts_with('/') { pointer } else { "" }),
        None => (message, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_own_place_is_taken_out_of_its_text() {
        let cases = [
            ("bad thing (at /a/b, line 3, column 4)", ("bad thing", "/a/b")),
            ("bad thing (at the manifest itself, line 1, column 1)", ("bad thing", "")),
            ("bad (at all) line (line 3, column 4)", ("bad (at all) line", "")),
            ("no place", ("no place", "")),
        ];
        for (text, expected) in cases {
            assert_eq!(without_place(text), expected, "{text}");
        }
    }

    // The texts come from the manifest's reader: they must keep the form that is taken apart here.
    #[test]
    fn the_readers_errors_have_that_form() {
        let error = ParsedManifest::parse(br#"{"Packages": {"a": {"Debug": 1}}}"#).unwrap_err();
        assert_eq!(without_place(&error.message).1, "/Packages/a/Debug", "{error}");
        let error = ParsedManifest::parse(b"{,}").unwrap_err();
        assert!(!without_place(&error.message).0.contains("line 1"), "{error}");
    }
}
