//! Values of records: waiting updates and secrets.

use carrara_core::fuzzing::{pending, secret_record};

pub(super) fn run(input: &[u8]) {
    for read in [pending, secret_record] {
        if let Some(written) = read(input) {
            assert_eq!(read(&written), Some(written.clone()), "what was written reads");
            assert!(written.len() <= 2 * input.len() + 256, "it grows");
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let pending = br#"{"manifest":"e30=","proposer":"a","required":{"a":true,"b":false},"needed":2}"#;
    let secret = [&[1][..], &30_u64.to_le_bytes(), &[1, 2, 0, 0, 0, 9, 9], &[0], &[1, 1, 0, 0, 0, 7]].concat();
    vec![[&[1], pending.as_slice()].concat(), secret, vec![1; 40], vec![0]]
}
