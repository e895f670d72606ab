//! Reads JSON by the rules M-1..M-10 and X-9, keeping positions.
//!
//! The result is a list that borrows from the text: each value stands before what it contains, so that one allocation holds
//! them all. It keeps duplicate members and the order of members, so that who reads it can refuse duplicates. It judges no
//! meaning: that is `fields`. Nesting is read with a stack of its own, so that no input exhausts the thread's.

use std::borrow::Cow;

use super::text::Scanner;

/// How deep objects and arrays may be nested; M-6a demands at least 201.
pub const MAX_DEPTH: usize = 512;

/// How many values a text may hold. Each takes 32 bytes, as does a member's key, and half as much again while the list grows; anybody may
/// upload a text, and a manifest with ten thousand secrets has about fifty thousand.
pub const MAX_VALUES: usize = 500_000;

/// Bytes of text for which one node is set aside at first: manifests have somewhat fewer nodes.
const BYTES_PER_NODE: usize = 8;

/// A value, or a member's key, and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'t> {
    /// Byte offset of its first character.
    pub offset: usize,
    /// What it is.
    pub value: Value<'t>,
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it is written.
    Number(&'t str),
    /// Unescaped.
    String(Cow<'t, str>),
    /// `[...]`, with the number of nodes within it, which follow.
    Array(usize),
    /// `{...}`, likewise: each member's key, a string, and its value, in order, with duplicates.
    Object(usize),
}

/// A whole text that was read.
#[derive(Debug)]
pub struct Document<'t> {
    nodes: Vec<Node<'t>>,
}

/// A value with all that it contains.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// The value itself.
    pub node: &'a Node<'a>,
    contents: &'a [Node<'a>],
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Byte offset of the key.
    pub offset: usize,
    /// The key, unescaped.
    pub key: &'a str,
    /// Its value.
    pub value: Tree<'a>,
}

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Starts like Go's text for the same mistake.
    pub message: String,
    /// Byte offset of the first wrong character, or the text's length.
    pub offset: usize,
}

impl Document<'_> {
    /// The value that is the whole text.
    #[must_use]
    pub fn root(&self) -> Tree<'_> {
        const NULL: Node<'_> = Node { offset: 0, value: Value::Null };
        // A text that was read has a value.
        Trees { rest: &self.nodes }.next().unwrap_or(Tree { node: &NULL, contents: &[] })
    }
}

impl<'a> Tree<'a> {
    /// An array's items.
    pub fn items(self) -> impl Iterator<Item = Tree<'a>> + Clone {
        Trees { rest: self.contents }
    }

    /// An object's members.
    pub fn members(self) -> impl Iterator<Item = Member<'a>> + Clone {
        Members { rest: Trees { rest: self.contents } }
    }
}

/// Values that stand one after the other.
#[derive(Clone)]
struct Trees<'a> {
    rest: &'a [Node<'a>],
}

impl<'a> Iterator for Trees<'a> {
    type Item = Tree<'a>;

    fn next(&mut self) -> Option<Tree<'a>> {
        let (node, rest) = self.rest.split_first()?;
        let within = match node.value {
            Value::Array(within) | Value::Object(within) => within,
            _ => 0,
        };
        let (contents, rest) = rest.split_at_checked(within)?;
        self.rest = rest;
        Some(Tree { node, contents })
    }
}

#[derive(Clone)]
struct Members<'a> {
    rest: Trees<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let Node { offset, value: Value::String(key) } = self.rest.next()?.node else { return None };
        Some(Member { offset: *offset, key, value: self.rest.next()? })
    }
}

/// Reads one JSON value that is the whole text.
///
/// # Errors
/// The first place where the text is no JSON, nested deeper than [`MAX_DEPTH`] or holds more than [`MAX_VALUES`].
pub fn parse(bytes: &[u8]) -> Result<Document<'_>, SyntaxError> {
    let mut scanner = Scanner::new(bytes);
    let mut nodes = Vec::with_capacity((bytes.len() / BYTES_PER_NODE + 1).min(MAX_VALUES));
    let mut open: Vec<Open> = Vec::new();
    let mut values = 0_usize;
    loop {
        scanner.skip_space();
        values += 1;
        if values > MAX_VALUES {
            return Err(scanner.error(format!("more than {MAX_VALUES} values")));
        }
        if open.len() >= MAX_DEPTH && matches!(scanner.peek(), Some(b'{' | b'[')) {
            return Err(scanner.error(format!("exceeded max depth of {MAX_DEPTH} levels")));
        }
        if let Some(container) = begin(&mut scanner, &mut nodes)? {
            open.push(container);
        } else if end(&mut scanner, &mut open, &mut nodes)? {
            return Ok(Document { nodes });
        }
    }
}

/// An array or object whose end has not been read: where its node stands.
enum Open {
    Array(usize),
    Object(usize),
}

/// Reads a scalar or an empty container whole, of other containers the opening bracket and the first key.
fn begin<'t>(scanner: &mut Scanner<'t>, nodes: &mut Vec<Node<'t>>) -> Result<Option<Open>, SyntaxError> {
    let (offset, at) = (scanner.offset(), nodes.len());
    let value = match scanner.peek() {
        Some(b'{') => {
            scanner.bump();
            scanner.skip_space();
            nodes.push(Node { offset, value: Value::Object(0) });
            if scanner.take(b'}') {
                return Ok(None);
            }
            nodes.push(key(scanner)?);
            return Ok(Some(Open::Object(at)));
        }
        Some(b'[') => {
            scanner.bump();
            scanner.skip_space();
            nodes.push(Node { offset, value: Value::Array(0) });
            return Ok((!scanner.take(b']')).then_some(Open::Array(at)));
        }
        Some(b'"') => Value::String(scanner.string()?),
        Some(b'-' | b'0'..=b'9') => Value::Number(scanner.number()?),
        Some(b't') => scanner.literal("true").map(|()| Value::Bool(true))?,
        Some(b'f') => scanner.literal("false").map(|()| Value::Bool(false))?,
        Some(b'n') => scanner.literal("null").map(|()| Value::Null)?,
        _ => return Err(scanner.unexpected("looking for beginning of value")),
    };
    nodes.push(Node { offset, value });
    Ok(None)
}

/// After a value: goes on to the next of its container, or closes what ends here. Whether the text ends, too.
fn end<'t>(
    scanner: &mut Scanner<'t>,
    open: &mut Vec<Open>,
    nodes: &mut Vec<Node<'t>>,
) -> Result<bool, SyntaxError> {
    scanner.skip_space();
    while let Some(container) = open.last() {
        match (container, scanner.peek()) {
            (Open::Array(_), Some(b',')) => {
                scanner.bump();
                return Ok(false);
            }
            (Open::Object(_), Some(b',')) => {
                scanner.bump();
                scanner.skip_space();
                nodes.push(key(scanner)?);
                return Ok(false);
            }
            (Open::Array(at), Some(b']')) | (Open::Object(at), Some(b'}')) => close(nodes, *at),
            (Open::Array(_), _) => return Err(scanner.unexpected("after array element")),
            (Open::Object(_), _) => return Err(scanner.unexpected("after object key:value pair")),
        }
        scanner.bump();
        scanner.skip_space();
        open.pop();
    }
    if scanner.peek().is_some() {
        return Err(scanner.unexpected("after top-level value"));
    }
    Ok(true)
}

#[inline(always)]
fn key<'t>(scanner: &mut Scanner<'t>) -> Result<Node<'t>, SyntaxError> {
    let (offset, key) = scanner.key()?;
    Ok(Node { offset, value: Value::String(key) })
}

/// What stands behind the container's node is within it.
fn close(nodes: &mut [Node<'_>], at: usize) {
    if let Some([container, contents @ ..]) = nodes.get_mut(at..)
        && let Value::Array(within) | Value::Object(within) = &mut container.value
    {
        *within = contents.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_million_values_are_read_and_not_one_more() {
        let list = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
        assert!(parse(list(MAX_VALUES).as_bytes()).is_ok());
        let error = parse(list(MAX_VALUES + 1).as_bytes()).unwrap_err();
        assert_eq!(error.message, "more than 500000 values");
    }

    fn refusal(text: &[u8]) -> (String, usize) {
        let error = parse(text).unwrap_err();
        (error.message, error.offset)
    }

    fn string(text: &[u8]) -> String {
        match &parse(text).unwrap().root().node.value {
            Value::String(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_keep_their_offsets_and_members_their_order() {
        let document = parse(b" {\"b\": [1, -2.5e3, true], \"a\": null, \"b\": \"x\"} ").unwrap();
        let members: Vec<_> = document.root().members().collect();
        let keys: Vec<_> = members.iter().map(|member| (member.key, member.offset)).collect();
        assert_eq!(keys, [("b", 2), ("a", 26), ("b", 37)]);
        let items: Vec<_> = members[0].value.items().map(|item| item.node.clone()).collect();
        assert_eq!(items[1], Node { offset: 11, value: Value::Number("-2.5e3") });
        assert_eq!(items.len(), 3);
        assert_eq!(members[1].value.node.value, Value::Null);
    }

    // manifest.md section 7
    #[test]
    fn an_empty_or_cut_text_is_an_unexpected_end() {
        for text in [
            "",
            " \n",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "[",
            "[1,",
            "\"a",
            "tru",
            "-",
            "1.",
            "1e",
        ] {
            assert_eq!(
                refusal(text.as_bytes()),
                ("unexpected end of JSON input".to_owned(), text.len()),
                "{text}"
            );
        }
        assert_eq!(refusal(b"\"\\u12").0, "unexpected end of JSON input");
        assert_eq!(refusal(b"\"\\").0, "unexpected end of JSON input");
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_goes_wrong() {
        let cases: &[(&str, &str, usize)] = &[
            ("[1,]", "invalid character ']' looking for beginning of value", 3),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string", 7),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string", 1),
            ("{\"a\" 1}", "invalid character '1' after object key", 5),
            ("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair", 7),
            ("[1 2]", "invalid character '2' after array element", 3),
            ("[1}", "invalid character '}' after array element", 2),
            ("truE", "invalid character 'E' in literal true (expecting 'e')", 3),
            ("01", "invalid character '1' after top-level value", 1),
            ("+1", "invalid character '+' looking for beginning of value", 0),
            ("-a", "invalid character 'a' in numeric literal", 1),
            ("1.a", "invalid character 'a' after decimal point in numeric literal", 2),
            ("1ea", "invalid character 'a' in exponent of numeric literal", 2),
            ("\"\\x\"", "invalid character 'x' in string escape code", 2),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape", 5),
            ("\"a\nb\"", "invalid character '\\n' in string literal", 2),
            ("NaN", "invalid character 'N' looking for beginning of value", 0),
            ("// x", "invalid character '/' looking for beginning of value", 0),
        ];
        for (text, message, offset) in cases {
            assert_eq!(refusal(text.as_bytes()), ((*message).to_owned(), *offset), "{text}");
        }
    }

    // M-6
    #[test]
    fn trailing_bytes_and_a_byte_order_mark_are_refused_but_white_space_is_not() {
        assert!(parse(b"{} \r\n\t").is_ok());
        assert_eq!(refusal(b"{} x"), ("invalid character 'x' after top-level value".to_owned(), 3));
        assert_eq!(refusal(b"{}{}").1, 2);
        assert_eq!(refusal(b"{}\0").1, 2);
        let (message, offset) = refusal(b"\xEF\xBB\xBF{}");
        assert!(message.contains("byte order mark"), "{message}");
        assert_eq!(offset, 0);
    }

    // M-6a
    #[test]
    fn nesting_is_read_up_to_the_limit_and_not_beyond() {
        let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        for levels in [1, 201, MAX_DEPTH] {
            assert!(parse(&nested(levels)).is_ok(), "{levels}");
        }
        let (message, offset) = refusal(&nested(MAX_DEPTH + 1));
        assert!(message.starts_with("exceeded max depth"), "{message}");
        assert_eq!(offset, MAX_DEPTH);
        let objects = "{\"a\":".repeat(201) + "1" + &"}".repeat(201);
        assert!(parse(objects.as_bytes()).is_ok());
        assert!(parse(&vec![b'['; 1 << 20]).is_err());
    }

    // M-7
    #[test]
    fn what_is_not_unicode_becomes_replacement_characters() {
        assert_eq!(string(b"\"a\xFFb\""), "a\u{FFFD}b");
        assert_eq!(string(b"\"\xE2\x82x\""), "\u{FFFD}\u{FFFD}x");
        assert_eq!(string(b"\"\xE2\x82\""), "\u{FFFD}\u{FFFD}");
        assert_eq!(string(b"\"\\ud800\""), "\u{FFFD}");
        assert_eq!(string(b"\"\\udc00x\""), "\u{FFFD}x");
        assert_eq!(string(b"\"\\ud800\\u0041\""), "\u{FFFD}A");
        assert_eq!(string(b"\"\\ud800\\ud83d\\ude00\""), "\u{FFFD}\u{1F600}");
        assert_eq!(string(b"\"\\ud83d\\ude00\xFF\\n\""), "\u{1F600}\u{FFFD}\n");
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(string(br#""\"\\\/\b\f\n\r\t\u00e9""#), "\"\\/\u{8}\u{c}\n\r\t\u{e9}");
        assert_eq!(string("\"\u{e9}\u{7f}\"".as_bytes()), "\u{e9}\u{7f}");
    }
}
