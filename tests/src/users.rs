//! Users with client certificates, and recovery keys, made by openssl: not by our own code.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{secrets, succeed};

/// A user's certificate and key.
#[derive(Debug, Clone)]
pub struct User {
    /// PEM.
    pub certificate: String,
    /// Path of the PEM certificate.
    pub certificate_file: PathBuf,
    /// Path of the PEM key.
    pub key_file: PathBuf,
}

impl User {
    /// A self-signed P-256 certificate in `folder`.
    ///
    /// # Panics
    /// If openssl fails.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        let (certificate_file, key_file) =
            (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
        ]);
        openssl
            .args(["-subj", &format!("/CN={name}"), "-out"])
            .arg(&certificate_file)
            .arg("-keyout")
            .arg(&key_file);
        succeed(&mut openssl);
        let certificate = std::fs::read_to_string(&certificate_file).expect("reading the certificate");
        secrets::used_keys_in(&std::fs::read_to_string(&key_file).expect("reading the key"));
        Self { certificate, certificate_file, key_file }
    }
}

/// An RSA recovery key pair.
#[derive(Debug, Clone)]
pub struct RecoveryKey {
    /// PEM `PUBLIC KEY`.
    pub public: String,
    /// Path of the PEM private key.
    pub private_file: PathBuf,
}

impl RecoveryKey {
    /// A new RSA-2048 key in `folder`.
    ///
    /// # Panics
    /// If openssl fails.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        let private_file = folder.join(format!("{name}.pem"));
        let mut generate = Command::new("openssl");
        generate
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
            .arg(&private_file);
        succeed(&mut generate);
        secrets::used_keys_in(&std::fs::read_to_string(&private_file).expect("reading the key"));
        let public = succeed(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private_file));
        Self { public, private_file }
    }

    /// Decrypts RSA-OAEP with SHA-256 and an empty label.
    ///
    /// # Panics
    /// If openssl fails.
    #[must_use]
    pub fn decrypt(&self, ciphertext: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("making a folder");
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, ciphertext).expect("writing the ciphertext");
        let mut openssl = Command::new("openssl");
        openssl.args([
            "pkeyutl",
            "-decrypt",
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            "rsa_oaep_md:sha256",
        ]);
        openssl.arg("-inkey").arg(&self.private_file).arg("-in").arg(&input).arg("-out").arg(&output);
        succeed(&mut openssl);
        let plain = std::fs::read(&output).expect("reading the plain text");
        secrets::used(&plain);
        plain
    }
    /// Signs with RSA PKCS#1 v1.5 and SHA-256.
    ///
    /// # Panics
    /// If openssl fails.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("making a folder");
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, message).expect("writing the message");
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-sign"]).arg(&self.private_file);
        succeed(openssl.arg("-out").arg(&output).arg(&input));
        std::fs::read(&output).expect("reading the signature")
    }
}

/// Encrypts with RSA-OAEP, SHA-256 and an empty label to a public key in DER.
///
/// # Panics
/// If openssl fails.
#[must_use]
pub fn encrypt_to(public: &[u8], plain: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("making a folder");
    let [key, input, output] = ["key", "in", "out"].map(|name| folder.path().join(name));
    std::fs::write(&key, public).expect("writing the key");
    std::fs::write(&input, plain).expect("writing the plain text");
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER"]);
    openssl.args(["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"]);
    openssl.arg("-inkey").arg(&key).arg("-in").arg(&input).arg("-out").arg(&output);
    succeed(&mut openssl);
    std::fs::read(&output).expect("reading the ciphertext")
}
