//! Places in the uploaded text: of errors, and of what a pointer names.

use std::sync::{Arc, OnceLock};

use super::json::{self, Tree, Value};

/// A place in the uploaded text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset.
    #[must_use]
    pub fn of(text: &[u8], offset: usize) -> Self {
        let mut walk = Walk::new(text);
        walk.advance(offset)
    }
}

/// The uploaded text, and the places in it once somebody asked for one. It is no part of what a manifest says.
#[derive(Clone, Default)]
pub(super) struct Source {
    text: Arc<[u8]>,
    places: OnceLock<Option<Place>>,
}

impl Source {
    pub(super) fn new(text: &[u8]) -> Self {
        Self { text: text.into(), places: OnceLock::new() }
    }

    /// Where the pointer's target stands; of its ancestors the nearest that the text has, where it is a default.
    pub(super) fn locate(&self, pointer: &str) -> Option<Position> {
        let mut place = self.places.get_or_init(|| Place::read(&self.text)).as_ref()?;
        for token in pointer.split('/').skip(1) {
            let Some(child) = place.child(&unescape(token)) else { break };
            place = child;
        }
        Some(place.position)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({} bytes)", self.text.len())
    }
}

/// One token of a pointer (RFC 6901) as it is written.
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// One token of a pointer (RFC 6901) as it is meant.
pub(super) fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// How field names are compared (M-2): ASCII letters and the two other characters that fold to one.
pub(super) fn fold(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '\u{17F}' => 's',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// A value's place and its members', sorted by folded key.
#[derive(Clone)]
struct Place {
    position: Position,
    children: Vec<(String, String, Place)>,
}

impl Place {
    fn read(text: &[u8]) -> Option<Self> {
        let document = json::parse(text).ok()?;
        let root = document.root();
        Some(Self::of(root, root.node.offset, &mut Walk::new(text)))
    }

    /// Visits the tree in the text's order, so that lines are counted once.
    fn of(tree: Tree<'_>, offset: usize, walk: &mut Walk<'_>) -> Self {
        let position = walk.advance(offset);
        let mut children: Vec<(String, String, Self)> = match tree.node.value {
            Value::Object(_) => tree
                .members()
                .map(|member| {
                    let place = Self::of(member.value, member.offset, walk);
                    (fold(member.key), member.key.to_owned(), place)
                })
                .collect(),
            Value::Array(_) => tree
                .items()
                .enumerate()
                .map(|(index, item)| {
                    (index.to_string(), String::new(), Self::of(item, item.node.offset, walk))
                })
                .collect(),
            _ => Vec::new(),
        };
        children.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Self { position, children }
    }

    /// The member of exactly this name, else one that differs by case.
    fn child(&self, token: &str) -> Option<&Self> {
        let folded = fold(token);
        let start = self.children.partition_point(|(key, ..)| *key < folded);
        let alike = self.children.get(start..)?.iter().take_while(|(key, ..)| *key == folded);
        let mut first = None;
        for (_, name, place) in alike {
            if name == token {
                return Some(place);
            }
            first = first.or(Some(place));
        }
        first
    }
}

/// Counts lines and columns forward.
struct Walk<'t> {
    text: &'t [u8],
    at: usize,
    position: Position,
}

impl<'t> Walk<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, position: Position { line: 1, column: 1 } }
    }

    fn advance(&mut self, offset: usize) -> Position {
        for byte in self.text.get(self.at..offset).unwrap_or_default() {
            match byte {
                b'\n' => self.position = Position { line: self.position.line + 1, column: 1 },
                // A continuation byte belongs to the character before it.
                0x80..0xC0 => {}
                _ => self.position.column += 1,
            }
        }
        self.at = self.at.max(offset);
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let text = "{\n \"\u{e9}\u{1F600}\": 1}".as_bytes();
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 3), Position { line: 2, column: 2 });
        assert_eq!(Position::of(text, text.len() - 2), Position { line: 2, column: 8 });
        assert_eq!(Position::of(text, text.len() + 9), Position { line: 1, column: 1 });
    }

    #[test]
    fn a_pointer_is_found_whatever_the_case_of_its_fields() {
        let source =
            Source::new(b"{\"packages\": {\n \"a\": {},\n \"A\": {\"debug\": 1},\n \"x/~\": [7, 8]}}");
        let at = |pointer| source.locate(pointer).map(|p| (p.line, p.column)).unwrap();
        assert_eq!(at(""), (1, 1));
        assert_eq!(at("/Packages"), (1, 2));
        assert_eq!(at("/Packages/a"), (2, 2));
        assert_eq!(at("/Packages/A/Debug"), (3, 8));
        assert_eq!(at("/Packages/x~1~0/1"), (4, 13));
    }

    #[test]
    fn what_the_text_does_not_have_is_located_at_its_nearest_ancestor() {
        let source = Source::new(b"{\"Packages\":\n{\"a\": {}}}");
        assert_eq!(source.locate("/Packages/a/SignerID"), Some(Position { line: 2, column: 2 }));
        assert_eq!(source.locate("/Marbles/m"), Some(Position { line: 1, column: 1 }));
        assert_eq!(Source::default().locate("/Packages"), None);
    }
}
