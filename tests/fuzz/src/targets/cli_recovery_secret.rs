//! The file of a recovery secret: bytes, text, or the recovery data as it was saved.

use crate::cli::recovery_secret;

pub(super) fn run(input: &[u8]) {
    let (plain, ciphertexts) = recovery_secret(input);
    match plain {
        // In the clear it is of a known length (R-43).
        Some(secret) => {
            assert!([16, 32, 33].contains(&secret.len()), "{}", secret.len());
            assert_eq!(ciphertexts, 0);
        }
        None => assert!(ciphertexts <= input.len() + 1),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"RecoverySecrets":{"a":"AQIDBA==","b":"BQYHCA=="}}"#,
        r#"{"recoverySecrets":{"a":"*"}}"#,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "AQID\r\nBAUG\r\n",
        "000102030405060708090a0b0c0d0e0f",
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.extend([16, 32, 33, 256].map(|length| vec![7; length]));
    seeds
}
