//! The body of an upload of secrets, in both versions' forms.

use carrara_server::fuzzing;

pub(super) fn run(input: &[u8]) {
    for version_1 in [true, false] {
        match fuzzing::secret_uploads(version_1, input) {
            Ok(uploads) => {
                let names: Vec<&str> = uploads.iter().map(|upload| upload.name.as_str()).collect();
                assert!(names.is_sorted(), "{names:?}");
                assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
                let bytes = |upload: &carrara_core::outcome::SecretUpload| {
                    let length = |part: &Option<carrara_types::secret::SecretBytes>| {
                        part.as_ref().map_or(0, |bytes| bytes.len())
                    };
                    length(&upload.private) + length(&upload.key)
                };
                assert!(uploads.iter().map(bytes).sum::<usize>() <= input.len());
            }
            Err(text) => assert!(!text.is_empty() && !text.contains("aHVudGVyMg"), "{text}"),
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let certificate = pem::parse(crate::world::ADMIN).expect("a fixture").into_contents();
    let certificate = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(certificate)
    };
    let texts = [
        r#"{"token":{"Key":"AQID"},"upload":{"Key":[1,2,3]}}"#.to_owned(),
        r#"{"secrets":{"token":{"Key":"AQID"},"x":null,"y":{}}}"#.to_owned(),
        format!(r#"{{"certificate":{{"Cert":"{certificate}","Private":"AQ=="}}}}"#),
        format!(r#"{{"Secrets":{{"certificate":{{"cert":"{certificate}","private":[1]}}}}}}"#),
        r#"{"certificate":{"Cert":{"Subject":{}},"Private":"aHVudGVyMg=="}}"#.to_owned(),
        String::new(),
    ];
    texts.map(String::into_bytes).to_vec()
}
