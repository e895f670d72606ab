//! Quotes in the framing of Open Enclave, and without it.

use carrara_attest::framing::{frame, framed, is_raw_sgx_quote, unframe};

pub(super) fn run(input: &[u8]) {
    if let Ok(quote) = unframe(input) {
        assert_eq!(frame(quote), input, "a frame says more than its quote");
        assert!(!is_raw_sgx_quote(input), "a frame passes for a quote");
    }
    assert_eq!(unframe(&frame(input)), Ok(input));
    let once = framed(input);
    assert_eq!(framed(&once), once, "framed twice");
    if is_raw_sgx_quote(input) {
        assert_eq!(unframe(&once), Ok(input));
    } else {
        assert_eq!(once, input);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut raw = vec![0; 436];
    (raw[0], raw[2], raw[8], raw[11]) = (3, 2, 1, 1);
    vec![frame(&raw), raw, frame(b""), frame(b"quote"), vec![0; 16]]
}
