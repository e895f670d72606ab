//! What targets of template text share. Every text is rendered for a file and for an environment variable.

use carrara_plugin_support::Failure;
use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::{Chunk, Target};

use crate::world::catalog;

/// No template makes more of what it writes than the memory of a guest holds.
const MAX_OUTPUT_BYTES: usize = 256 << 20;

/// A renderer, natively.
type Render = fn(&[u8], Target, &dyn Secrets) -> Result<Vec<Chunk>, Failure>;

pub(super) fn run(input: &[u8], render: Render) {
    if is_a_bomb(input) {
        return;
    }
    let secrets = catalog();
    for target in [Target::File, Target::Env] {
        let rendered = render(input, target, &secrets);
        match &rendered {
            Ok(chunks) => check(input, chunks, &secrets),
            Err(failure) => assert!(!failure.message.is_empty(), "a failure says why"),
        }
        assert_eq!(rendered, render(input, target, &secrets), "equal templates, unequal results");
    }
}

fn check(input: &[u8], chunks: &[Chunk], secrets: &dyn Secrets) {
    let mut length = 0;
    for chunk in chunks {
        match chunk {
            Chunk::Text(text) => length += text.len(),
            Chunk::Secret(place) => {
                assert!(secrets.encode(place).is_ok(), "{place:?} was never allowed");
                assert!(input.windows(2).any(|pair| pair == b"{{" || pair == b"{%"));
            }
        }
    }
    assert!(length <= MAX_OUTPUT_BYTES, "{length} bytes");
}

/// Loops without end and widths without measure are what the limits of a guest's time and memory are for: natively
/// nothing ends them. Anything with a number of four digits is left to the tests of the limits.
fn is_a_bomb(input: &[u8]) -> bool {
    input.len() > 4096
        || input.windows(4).any(|window| window.iter().all(u8::is_ascii_digit))
        || count(input, b"range") + count(input, b"for") + count(input, b"define") + count(input, b"tablerow")
            > 3
}

fn count(input: &[u8], word: &[u8]) -> usize {
    input.windows(word.len()).filter(|window| *window == word).count()
}
