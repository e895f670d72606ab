//! Splits a template into tokens, as Go's text/template does: text outside `{{` and `}}`, words inside.
//!
//! Works on bytes: data that is not UTF-8 passes unchanged. Tokens hold positions, never text, so that positions in
//! errors are exact. The first lexical error ends the list; the parser reports it when it gets there.

use crate::text::{char_at, describe_char, is_alphanumeric, is_space, quote};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A lexical error; [`Tokens`] has its text.
    Error,
    Bool,
    /// A character that is punctuation in an action, such as `,`.
    Char,
    CharConstant,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    String,
    Text,
    Variable,
    Dot,
    Nil,
    Keyword(Keyword),
}

/// The words that control the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A token: `start..end` in the template's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Whether white space is before it, within an action.
    pub(crate) spaced: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// Whether it is a field of what stands right before it.
    pub(crate) fn follows_as_field(self) -> bool {
        self.kind == Kind::Field && !self.spaced
    }
}

/// All tokens of a template.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// The last one is `Eof` or `Error`.
    pub(crate) list: Vec<Token>,
    /// The text of the lexical error that the list ends with, if it does.
    pub(crate) error: String,
}

/// Splits a template.
pub(crate) fn tokens(input: &[u8]) -> Tokens {
    // An action has about one token for every three bytes; a text without any has one in all.
    let list = Vec::with_capacity((input.len() / 3).min(FIRST_TOKENS));
    let mut lexer = Lexer {
        input,
        pos: 0,
        start: 0,
        spaced: false,
        depth: 0,
        tokens: Tokens { list, error: String::new() },
    };
    lexer.run();
    lexer.tokens
}

/// Room for so many tokens at first.
const FIRST_TOKENS: usize = 128;

const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";

/// Where the lexer is.
enum State {
    Text,
    Inside,
    End,
}

struct Lexer<'a> {
    input: &'a [u8],
    pos: usize,
    start: usize,
    /// White space was skipped since the last token.
    spaced: bool,
    depth: usize,
    tokens: Tokens,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        let mut state = State::Text;
        loop {
            state = match state {
                State::Text => self.text(),
                State::Inside => self.inside(),
                State::End => return,
            };
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn word(&self) -> &'a [u8] {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    fn emit(&mut self, kind: Kind) {
        let spaced = std::mem::take(&mut self.spaced);
        self.tokens.list.push(Token { kind, spaced, start: self.start, end: self.pos });
        self.start = self.pos;
    }

    fn fail(&mut self, message: impl Into<String>) -> State {
        self.emit(Kind::Error);
        self.tokens.error = message.into();
        State::End
    }

    fn peek(&self) -> Option<char> {
        char_at(self.input, self.pos).map(|(c, _)| c)
    }

    fn next(&mut self) -> Option<char> {
        let (c, width) = char_at(self.input, self.pos)?;
        self.pos += width;
        Some(c)
    }

    fn text(&mut self) -> State {
        let Some(offset) = self.rest().windows(2).position(|pair| matches!(pair, [b'{', b'{'])) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.emit(Kind::Text);
            }
            self.emit(Kind::Eof);
            return State::End;
        };
        let delim = self.pos + offset;
        let after = self.input.get(delim + LEFT.len()..).unwrap_or_default();
        let trims = matches!(after, [b'-', space, ..] if is_space(*space));
        self.pos = delim;
        if trims {
            while self.pos > self.start && self.input.get(self.pos - 1).is_some_and(|last| is_space(*last)) {
                self.pos -= 1;
            }
        }
        if self.pos > self.start {
            self.emit(Kind::Text);
        }
        self.pos = delim;
        self.start = delim;
        self.left_delim(trims)
    }

    fn left_delim(&mut self, trims: bool) -> State {
        let marker = if trims { 2 } else { 0 };
        self.pos += LEFT.len();
        if self.input.get(self.pos + marker..).unwrap_or_default().starts_with(b"/*") {
            self.pos += marker;
            self.start = self.pos;
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.pos += marker;
        self.start = self.pos;
        self.depth = 0;
        State::Inside
    }

    fn comment(&mut self) -> State {
        self.pos += 2;
        let Some(end) = self.rest().windows(2).position(|pair| matches!(pair, [b'*', b'/'])) else {
            return self.fail("unclosed comment");
        };
        self.pos += end + 2;
        match self.right_delim() {
            None => self.fail("comment ends before closing delimiter"),
            Some(trims) => {
                self.pos += RIGHT.len() + if trims { 2 } else { 0 };
                self.skip_trimmed(trims);
                State::Text
            }
        }
    }

    /// Whether a closing delimiter starts here, and whether it trims.
    fn right_delim(&self) -> Option<bool> {
        match self.rest() {
            [space, b'-', b'}', b'}', ..] if is_space(*space) => Some(true),
            [b'}', b'}', ..] => Some(false),
            _ => None,
        }
    }

    fn skip_trimmed(&mut self, trims: bool) {
        while trims && self.input.get(self.pos).is_some_and(|next| is_space(*next)) {
            self.pos += 1;
        }
        self.start = self.pos;
    }

    fn close_action(&mut self, trims: bool) -> State {
        if trims {
            self.pos += 2;
            self.start = self.pos;
        }
        self.pos += RIGHT.len();
        self.emit(Kind::RightDelim);
        self.skip_trimmed(trims);
        State::Text
    }

    fn inside(&mut self) -> State {
        match self.rest() {
            [b'}', b'}', ..] => self.end_action(false),
            [b' ' | b'\t' | b'\r' | b'\n', b'-', b'}', b'}', ..] => self.end_action(true),
            [b' ' | b'\t' | b'\r' | b'\n', ..] => self.space(),
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => self.identifier(),
            [b'.', b'0'..=b'9', ..] | [b'+' | b'-' | b'0'..=b'9', ..] => self.number(),
            [b'.', ..] => self.field_or_variable(Kind::Field),
            [b'$', ..] => self.field_or_variable(Kind::Variable),
            [b'|', ..] => self.one(Kind::Pipe, 1),
            [b'=', ..] => self.one(Kind::Assign, 1),
            [b':', b'=', ..] => self.one(Kind::Declare, 2),
            [b'"', ..] => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            [b'\'', ..] => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            [b'`', ..] => self.raw_quoted(),
            [b'(', ..] => {
                self.depth += 1;
                self.one(Kind::LeftParen, 1)
            }
            [b')', ..] => match self.depth.checked_sub(1) {
                None => self.bad("unexpected right paren"),
                Some(depth) => {
                    self.depth = depth;
                    self.one(Kind::RightParen, 1)
                }
            },
            _ => self.other(),
        }
    }

    /// What is rarely there, or wrong.
    fn other(&mut self) -> State {
        match self.peek() {
            None => self.fail("unclosed action"),
            Some(':') => self.bad("expected :="),
            Some(c) if is_alphanumeric(c) => self.identifier(),
            Some(c) if c.is_ascii_graphic() => self.one(Kind::Char, 1),
            Some(c) => self.bad(format!("unrecognized character in action: {}", describe_char(c))),
        }
    }

    /// The next character is wrong.
    fn bad(&mut self, message: impl Into<String>) -> State {
        self.next();
        self.fail(message)
    }

    /// At the delimiter that closes an action.
    fn end_action(&mut self, trims: bool) -> State {
        if self.depth == 0 { self.close_action(trims) } else { self.fail("unclosed left paren") }
    }

    /// A token of `length` bytes more.
    fn one(&mut self, kind: Kind, length: usize) -> State {
        self.pos += length;
        self.emit(kind);
        State::Inside
    }

    /// A run of white space; its last one belongs to a trimming delimiter that follows.
    fn space(&mut self) -> State {
        while self.input.get(self.pos).is_some_and(|next| is_space(*next)) {
            self.pos += 1;
        }
        if self.rest().starts_with(b"-}}") {
            self.pos -= 1;
            if self.pos == self.start {
                return State::Inside;
            }
        }
        self.spaced = true;
        self.start = self.pos;
        State::Inside
    }

    fn at_terminator(&self) -> bool {
        match self.rest() {
            [b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(', ..] => true,
            rest => rest.is_empty() || rest.starts_with(RIGHT),
        }
    }

    fn bad_character(&mut self) -> State {
        let message = self.peek().map(|c| format!("bad character {}", describe_char(c)));
        self.fail(message.unwrap_or_default())
    }

    fn skip_word(&mut self) {
        loop {
            match self.rest() {
                [b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_', ..] => self.pos += 1,
                [first, ..] if !first.is_ascii() && self.peek().is_some_and(is_alphanumeric) => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn field_or_variable(&mut self, kind: Kind) -> State {
        self.pos += 1;
        if self.at_terminator() {
            return self.one(if kind == Kind::Field { Kind::Dot } else { kind }, 0);
        }
        self.skip_word();
        if self.at_terminator() { self.one(kind, 0) } else { self.bad_character() }
    }

    fn identifier(&mut self) -> State {
        self.skip_word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match self.word() {
            b"true" | b"false" => Kind::Bool,
            b"nil" => Kind::Nil,
            b"block" => Kind::Keyword(Keyword::Block),
            b"break" => Kind::Keyword(Keyword::Break),
            b"continue" => Kind::Keyword(Keyword::Continue),
            b"define" => Kind::Keyword(Keyword::Define),
            b"else" => Kind::Keyword(Keyword::Else),
            b"end" => Kind::Keyword(Keyword::End),
            b"if" => Kind::Keyword(Keyword::If),
            b"range" => Kind::Keyword(Keyword::Range),
            b"template" => Kind::Keyword(Keyword::Template),
            b"with" => Kind::Keyword(Keyword::With),
            _ => Kind::Identifier,
        };
        self.one(kind, 0)
    }

    fn quoted(&mut self, end: u8, kind: Kind, unterminated: &str) -> State {
        self.next();
        loop {
            match self.next() {
                Some('\\') if !matches!(self.peek(), None | Some('\n')) => {
                    self.next();
                }
                None | Some('\n' | '\\') => return self.fail(unterminated),
                Some(c) if c == char::from(end) => return self.one(kind, 0),
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> State {
        self.next();
        loop {
            match self.next() {
                None => return self.fail("unterminated raw quoted string"),
                Some('`') => return self.one(Kind::RawString, 0),
                Some(_) => {}
            }
        }
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.peek().is_some_and(|c| valid.contains(c));
        if accepted {
            self.pos += 1;
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn number(&mut self) -> State {
        let mut well_formed = self.scan_number();
        // A sign here would start a complex number, which this language does not have.
        if well_formed && matches!(self.peek(), Some('+' | '-')) {
            self.scan_number();
            well_formed = false;
        }
        if !well_formed {
            let message = format!("bad number syntax: {}", quote(self.word()));
            return self.fail(message);
        }
        self.one(Kind::Number, 0)
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        let goes_on = self.peek().is_some_and(is_alphanumeric);
        if goes_on {
            self.next();
        }
        !goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text.as_bytes()).list.into_iter().map(|token| token.kind).collect()
    }

    /// The text of the lexical error that ends the tokens.
    fn error(text: &str) -> String {
        let tokens = tokens(text.as_bytes());
        assert_eq!(tokens.list.last().map(|token| token.kind), Some(Kind::Error), "{text}");
        tokens.error
    }

    fn texts(text: &str) -> Vec<&str> {
        let texts = tokens(text.as_bytes()).list.into_iter().filter(|token| token.kind == Kind::Text);
        texts.map(|token| &text[token.start..token.end]).collect()
    }

    // S-70
    #[test]
    fn trim_markers_remove_adjacent_white_space() {
        assert_eq!(texts("a \n\t{{- .X -}} \r\n b"), ["a", "b"]);
        assert_eq!(texts("a {{- /* c */ -}} b"), ["a", "b"]);
        assert_eq!(texts("a {{ .X }} b"), ["a ", " b"]);
    }

    // S-70: a marker needs a space between the dash and the content.
    #[test]
    fn a_dash_without_a_space_is_no_trim_marker() {
        assert_eq!(texts("a {{-3}} b"), ["a ", " b"]);
    }

    // S-72
    #[test]
    fn a_name_with_a_dash_is_a_bad_character() {
        assert_eq!(error("{{ .my-key }}"), "bad character U+002D '-'");
    }

    // S-72
    #[test]
    fn underscores_and_unicode_letters_are_part_of_names() {
        let expected = [Kind::LeftDelim, Kind::Field, Kind::RightDelim, Kind::Eof];
        assert_eq!(kinds("{{ ._schlüssel_1 }}"), expected);
    }

    // S-76
    #[test]
    fn an_unclosed_action_is_an_error_and_closing_braces_alone_are_text() {
        assert_eq!(error("{{ .x"), "unclosed action");
        assert_eq!(kinds("a }} b"), [Kind::Text, Kind::Eof]);
    }
}
