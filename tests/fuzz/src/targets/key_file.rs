//! The file with the wrapped data key.

use carrara_store::fuzzing::{key_file, keys_opened};

pub(super) fn run(input: &[u8]) {
    if let Some(written) = key_file(input) {
        assert_eq!(key_file(&written), Some(written.clone()), "what was written reads");
        assert_eq!(keys_opened(input), 0, "a foreign sealing key opens it");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
