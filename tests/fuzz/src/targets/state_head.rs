//! The head of a state: one way to write each.

use carrara_store::fuzzing::head;

pub(super) fn run(input: &[u8]) {
    if let Some(written) = head(input) {
        assert_eq!(head(&written), Some(written.clone()), "what was written reads");
        assert!(written.len() <= 512, "{}", written.len());
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
