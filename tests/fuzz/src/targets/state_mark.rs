//! The clear mark of a state.

use carrara_store::fuzzing::mark;

pub(super) fn run(input: &[u8]) {
    if let Some(written) = mark(input) {
        assert_eq!(mark(&written), Some(written.clone()), "what was written reads");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
