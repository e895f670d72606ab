//! The file of `carrara secret set`. What the client takes, the coordinator can read, but for its own limits.

use carrara_client::SecretUploads;
use carrara_server::fuzzing;

pub(super) fn run(input: &[u8]) {
    match SecretUploads::from_json(input) {
        Ok(uploads) => {
            assert_eq!(uploads.as_json(), input);
            let names = uploads.names();
            assert!(!names.is_empty());
            if let Ok(read) = fuzzing::secret_uploads(true, input) {
                assert_eq!(read.into_iter().map(|upload| upload.name).collect::<Vec<_>>(), names);
            }
            assert_eq!(format!("{uploads:?}"), "SecretUploads", "a secret in a log");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":{"Key":"AQ=="},"b":{"Cert":"AQ==","Private":[1,2]},"c":null}"#,
        r#"{"a\"b":{"Key":""},"":{"Key":"AQID"}}"#,
        r#"{"a":1}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
