//! Files of the command-line tool that read what users give it, as they are: the tool is a program and no library.
#![allow(dead_code, reason = "the program's own files; it uses the rest of them")]

#[path = "../../../host/cli/src/manifest_file.rs"]
pub(crate) mod manifest_file;
#[path = "../../../host/cli/src/commands/recovery_secret.rs"]
mod recovery_secret;
#[path = "../../../host/cli/src/token_file.rs"]
pub(crate) mod token_file;
#[path = "../../../host/cli/src/yaml_marks.rs"]
pub(crate) mod yaml_marks;

/// The secret in the clear that a file holds, and how many ciphertexts it may be instead.
pub(crate) fn recovery_secret(content: &[u8]) -> (Option<carrara_types::secret::SecretBytes>, usize) {
    match recovery_secret::held(zeroize::Zeroizing::new(content.to_vec())) {
        recovery_secret::Held::Plain(secret) => (Some(secret), 0),
        recovery_secret::Held::Encrypted(ciphertexts) => (None, ciphertexts.len()),
    }
}
