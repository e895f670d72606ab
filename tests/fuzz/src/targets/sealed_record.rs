//! A sealed record of the store: nothing opens that was not sealed.

use carrara_store::fuzzing::{frame, opens, sealed};

const CLEAR: &[u8] = b"clear text";

pub(super) fn run(input: &[u8]) {
    match frame(input) {
        Some((revision, written)) => {
            assert_eq!(written, input);
            let genuine = sealed(revision, CLEAR).expect("it seals");
            assert_eq!(opens(input, CLEAR), (input == genuine).then_some(true));
        }
        None => assert_eq!(opens(input, CLEAR), None),
    }
    let own = sealed(input.len() as u64, input).expect("it seals");
    assert_eq!(opens(&own, input), Some(true));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![sealed(7, CLEAR).expect("it seals"), sealed(0, CLEAR).expect("it seals"), vec![1; 37], vec![1; 36]]
}
