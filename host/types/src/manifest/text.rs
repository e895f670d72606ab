//! The tokens of JSON: strings, numbers, literals; the lower half of `json`.
//!
//! Every error is made here, in Go's words.

use std::borrow::Cow;

use super::json::SyntaxError;

/// Walks over the text, byte by byte.
pub(super) struct Scanner<'t> {
    bytes: &'t [u8],
    /// The same if it is UTF-8, as it nearly always is: judged once instead of string by string.
    text: Option<&'t str>,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        Self { bytes, text: std::str::from_utf8(bytes).ok(), at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// The character here is wrong, or the text ends here.
    pub(super) fn unexpected(&self, context: &str) -> SyntaxError {
        let Some(byte) = self.peek() else {
            return SyntaxError {
                message: "unexpected end of JSON input".to_owned(),
                offset: self.bytes.len(),
            };
        };
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            other => format!("'{}'", char::from(other).escape_debug()),
        };
        let mut message = format!("invalid character {shown} {context}");
        if self.at == 0 && self.bytes.starts_with(b"\xEF\xBB\xBF") {
            message.push_str(" (a byte order mark: save the text as UTF-8 without one)");
        }
        SyntaxError { message, offset: self.at }
    }

    /// An error about what comes next.
    pub(super) fn error(&self, message: String) -> SyntaxError {
        SyntaxError { message, offset: self.at }
    }

    /// A key with its colon.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<(usize, Cow<'t, str>), SyntaxError> {
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.take(b':') { Ok((offset, key)) } else { Err(self.unexpected("after object key")) }
    }

    pub(super) fn literal(&mut self, word: &str) -> Result<(), SyntaxError> {
        for expected in word.bytes() {
            if !self.take(expected) {
                let expected = char::from(expected);
                return Err(self.unexpected(&format!("in literal {word} (expecting '{expected}')")));
            }
        }
        Ok(())
    }

    /// A number by JSON's grammar, as written.
    pub(super) fn number(&mut self) -> Result<&'t str, SyntaxError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits("in numeric literal")?;
        }
        if self.take(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits("in exponent of numeric literal")?;
        }
        Ok(self.since(start).unwrap_or_default())
    }

    fn digits(&mut self, context: &str) -> Result<(), SyntaxError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected(context));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }

    /// A string, unescaped; borrowed where nothing had to be changed. Inlined, as what else is done for each token: a call
    /// costs a policy more than the token.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>, SyntaxError> {
        self.bump();
        let start = self.at;
        self.plain();
        if self.peek() == Some(b'"')
            && let Some(text) = self.since(start)
        {
            self.bump();
            return Ok(Cow::Borrowed(text));
        }
        self.changed(start)
    }

    /// The string from `start` on, of which a part was read: with escapes, or bytes that are not UTF-8.
    #[cold]
    fn changed(&mut self, start: usize) -> Result<Cow<'t, str>, SyntaxError> {
        let mut text = String::with_capacity((self.at - start) * 2);
        self.push_since(start, &mut text);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.bump();
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.bump();
                    self.escape(&mut text)?;
                }
                _ => return Err(self.unexpected("in string literal")),
            }
            let start = self.at;
            self.plain();
            self.push_since(start, &mut text);
        }
    }

    /// Appends what was read from `start` on; each byte that is not part of UTF-8 becomes U+FFFD (M-7).
    fn push_since(&self, start: usize, text: &mut String) {
        if let Some(valid) = self.since(start) {
            return text.push_str(valid);
        }
        for chunk in self.bytes.get(start..self.at).unwrap_or_default().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
    }

    /// What was read from `start` on, if it is UTF-8.
    fn since(&self, start: usize) -> Option<&'t str> {
        match self.text {
            Some(text) => text.get(start..self.at),
            None => std::str::from_utf8(self.bytes.get(start..self.at)?).ok(),
        }
    }

    /// The bytes up to the next quote, backslash or control character.
    #[inline(always)]
    fn plain(&mut self) -> &'t [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        // Whole words first: most of a manifest are strings.
        let (words, tail) = rest.as_chunks::<8>();
        let in_words = words.iter().enumerate().find_map(|(index, word)| {
            let ends = string_ends(*word);
            (ends != 0).then(|| index * 8 + (ends.trailing_zeros() / 8) as usize)
        });
        let length = in_words.unwrap_or_else(|| {
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            words.len() * 8 + tail.iter().position(ends).unwrap_or(tail.len())
        });
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn escape(&mut self, text: &mut String) -> Result<(), SyntaxError> {
        let escaped = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.bump();
                let unit = self.hex4()?;
                text.push(self.code_point(unit));
                return Ok(());
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.bump();
        text.push(escaped);
        Ok(())
    }

    /// The character of a UTF-16 unit, joined with the next escape where both are a pair (M-7).
    fn code_point(&mut self, unit: u16) -> char {
        if (0xD800..0xDC00).contains(&unit)
            && let Some(&[b'\\', b'u', ref low @ ..]) = self.bytes.get(self.at..self.at + 6)
            && let Some(low) = unit_of(low)
            && let Some(Ok(joined)) = char::decode_utf16([unit, low]).next()
        {
            self.at += 6;
            return joined;
        }
        char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u16, SyntaxError> {
        let start = self.at;
        for _ in 0..4 {
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            }
            self.bump();
        }
        Ok(self.bytes.get(start..self.at).and_then(unit_of).unwrap_or_default())
    }
}

/// Where a quote, a backslash or a control character is among the bytes: the lowest bit that is set is the highest of the
/// first one. Subtracting 1 (or 0x20) from each byte borrows into its highest bit where it was 0 (or less than 0x20); a
/// borrow from a neighbour only follows a true one.
fn string_ends(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(word);
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7)
}

/// Four hex digits as a number.
fn unit_of(digits: &[u8]) -> Option<u16> {
    let text =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_the_first_quote_backslash_or_control_character_wherever_it_stands() {
        for special in (0..=u8::MAX).filter(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            for at in 0..20 {
                // Neighbours that could carry into the wrong byte.
                for other in [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa0, 0xff] {
                    let mut bytes = [other; 24];
                    assert_eq!(Scanner::new(&bytes).plain(), bytes, "{other}");
                    bytes[at] = special;
                    assert_eq!(Scanner::new(&bytes).plain().len(), at, "{special} after {other}");
                }
            }
        }
    }
}
