//! Small deterministic mutations: the same seed gives the same inputs, on every machine.

/// SplitMix64; good enough to choose where to break an input.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Another sequence for another seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// One of them, if there are any.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// What is put into inputs: words of the formats, and numbers at which lengths go wrong.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\x80",
    b"\x30\x84\xff\xff\xff\xff",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"9223372036854775808",
    b"0.5",
    b",",
    b":",
    b"{}",
    b"[]",
    b"\n",
    b"\r\n",
    b" ",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    "\u{2028}".as_bytes(),
    b"%",
    b"%00",
    b"&",
    b"=",
    b"=====",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"{{ range $i, $e := . }}",
    b"{{ end }}",
    b"{% for x in (1..999999999) %}",
    b"{% endfor %}",
    b".Secrets",
    b"Secrets",
    b"| printf \"%999999d\"",
    b"(((((((((((((((((((((((((((((((((",
    b"&a [*a, *a]",
    b"*a",
];

/// The longest input that mutation makes; a seed may be longer.
const MAX_BYTES: usize = 1 << 16;

/// Changes an input in one to four places; `others` are what pieces are taken from.
#[must_use]
pub fn mutated(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, others, random);
    }
    bytes.truncate(MAX_BYTES.max(input.len()));
    bytes
}

fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let until = at + random.below(bytes.len() - at + 1).min(1 << random.below(12));
    match random.below(9) {
        0 => flip(bytes, at, |byte| byte ^ (1 << (at % 8))),
        1 => {
            let value = random.byte();
            flip(bytes, at, |_| value);
        }
        2 => flip(
            bytes,
            at,
            |byte| if at.is_multiple_of(2) { byte.wrapping_add(1) } else { byte.wrapping_sub(1) },
        ),
        3 => drop(bytes.drain(at..until)),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..until].to_vec();
            insert(bytes, at, &piece);
        }
        6 => {
            let piece = bytes[at..until].repeat(1 + random.below(64));
            insert(bytes, until, &piece);
        }
        7 => {
            let word = random.choose(WORDS).copied().unwrap_or_default();
            insert(bytes, at, word);
        }
        _ => {
            let other = random.choose(others).map(Vec::as_slice).unwrap_or_default();
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            bytes.splice(at..until, other[from..to].iter().copied());
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let piece = &piece[..piece.len().min(MAX_BYTES)];
    bytes.splice(at..at, piece.iter().copied());
}
