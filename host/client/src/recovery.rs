//! What a holder of a recovery key does with it: decrypt her part of the recovery data, sign what she decrypted, and encrypt
//! it for its way to the coordinator (lifecycle.md L-44, rest-api.md ).
//!
//! RSA-OAEP and PKCS #1 v1.5, both with SHA-256. The private key is read from PEM, or stays on a token.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use carrara_types::secret::SecretBytes;
use zeroize::Zeroizing;

#[cfg(feature = "pkcs11")]
use crate::pkcs11::{ObjectChoice, Token, TokenError, TokenRecoveryKey};

/// Lengths of recovery secrets in the clear: data keys of old states, data keys and XOR shares, Shamir shares.
pub const PLAIN_SECRET_LENGTHS: [usize; 3] = [16, 32, 33];

/// Why a recovery key cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryKeyError {
    /// No key.
    #[error(
        "the file holds no unencrypted PEM block with an RSA private key (PRIVATE KEY or RSA PRIVATE KEY); decrypt or \
         convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    NotAKey,
    /// R-43, L-44: the ciphertext is another key's, or no ciphertext.
    #[error("it was not encrypted for this recovery key, or with something else than RSA-OAEP with SHA-256")]
    Decrypt,
    /// The library refuses.
    #[error("signing with the recovery key")]
    Sign,
    /// The coordinator's key.
    #[error("the coordinator's recovery public key is no RSA public key")]
    PublicKey,
    /// The token.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A recovery key: whoever has it can decrypt one part of the recovery data.
pub struct RecoveryKey(Kind);

enum Kind {
    File {
        decrypting: OaepPrivateDecryptingKey,
        signing: RsaKeyPair,
    },
    #[cfg(feature = "pkcs11")]
    Token(TokenRecoveryKey),
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey")
    }
}

impl RecoveryKey {
    /// Reads the first private key of a PEM text: PKCS#8, or the older form that openssl calls traditional.
    ///
    /// # Errors
    /// [`RecoveryKeyError::NotAKey`].
    pub fn from_pem(text: &[u8]) -> Result<Self, RecoveryKeyError> {
        let blocks = pem::parse_many(text).map_err(|_| RecoveryKeyError::NotAKey)?;
        let key = blocks.into_iter().find_map(|block| {
            let tag = block.tag().to_owned();
            let der = Zeroizing::new(block.into_contents());
            match tag.as_str() {
                "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der).ok(),
                "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok(),
                _ => None,
            }
        });
        let signing = key.ok_or(RecoveryKeyError::NotAKey)?;
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> =
            signing.as_der().map_err(|_| RecoveryKeyError::NotAKey)?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref())
            .map_err(|_| RecoveryKeyError::NotAKey)
            .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(|_| RecoveryKeyError::NotAKey))?;
        Ok(Self(Kind::File { decrypting, signing }))
    }

    /// A key that stays on its token.
    ///
    /// # Errors
    /// See [`TokenError`].
    #[cfg(feature = "pkcs11")]
    pub fn from_token(token: Token, key: &ObjectChoice) -> Result<Self, RecoveryKeyError> {
        Ok(Self(Kind::Token(TokenRecoveryKey::open(token, key)?)))
    }

    /// What was encrypted for this key when the manifest was set.
    ///
    /// # Errors
    /// [`RecoveryKeyError::Decrypt`], or the token's.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<SecretBytes, RecoveryKeyError> {
        let plain = match &self.0 {
            Kind::File { decrypting, .. } => {
                let mut buffer = Zeroizing::new(vec![0; decrypting.min_output_size()]);
                let plain = decrypting.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut buffer, None);
                plain.map_err(|_| RecoveryKeyError::Decrypt)?.to_vec()
            }
            #[cfg(feature = "pkcs11")]
            Kind::Token(key) => key.decrypt(ciphertext)?.ok_or(RecoveryKeyError::Decrypt)?,
        };
        Ok(SecretBytes::new("recovery secret", plain))
    }

    /// The signature that proves that the key's holder had this secret (L-45).
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, secret: &SecretBytes) -> Result<Vec<u8>, RecoveryKeyError> {
        match &self.0 {
            Kind::File { signing, .. } => {
                let mut signature = vec![0; signing.public_modulus_len()];
                signing
                    .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), secret.expose(), &mut signature)
                    .map_err(|_| RecoveryKeyError::Sign)?;
                Ok(signature)
            }
            #[cfg(feature = "pkcs11")]
            Kind::Token(key) => Ok(key.sign(secret.expose())?),
        }
    }
}

/// Encrypts a secret with the coordinator's recovery public key (SubjectPublicKeyInfo DER; ).
///
/// # Errors
/// [`RecoveryKeyError::PublicKey`].
pub fn encrypt_recovery_secret(public_key: &[u8], secret: &SecretBytes) -> Result<Vec<u8>, RecoveryKeyError> {
    let failed = |_| RecoveryKeyError::PublicKey;
    let key = PublicEncryptingKey::from_der(public_key).map_err(|_| RecoveryKeyError::PublicKey)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(failed)?;
    let mut buffer = vec![0; key.ciphertext_size()];
    let ciphertext =
        key.encrypt(&OAEP_SHA256_MGF1SHA256, secret.expose(), &mut buffer, None).map_err(failed)?;
    Ok(ciphertext.to_vec())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs a line of openssl in a folder.
    fn openssl(folder: &std::path::Path, line: &str) {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    const OAEP: &str = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256";

    // L-44, R-42, R-43: both directions against openssl, in both forms of a key
    #[test]
    fn keys_of_openssl_decrypt_and_sign_and_openssl_decrypts_and_verifies() {
        for form in ["genpkey -algorithm RSA -out key", "genrsa -traditional -out key 2048"] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            openssl(folder.path(), form);
            openssl(folder.path(), "pkey -in key -pubout -out pub");
            openssl(folder.path(), "pkey -in key -pubout -outform DER -out pub.der");
            std::fs::write(path("plain"), [7; 33]).unwrap();
            openssl(folder.path(), &format!("pkeyutl -encrypt -pubin -inkey pub {OAEP} -in plain -out blob"));

            let key = RecoveryKey::from_pem(&std::fs::read(path("key")).unwrap()).unwrap();
            let secret = key.decrypt(&std::fs::read(path("blob")).unwrap()).unwrap();
            assert!(secret.equals(&[7; 33]));
            std::fs::write(path("signature"), key.sign(&secret).unwrap()).unwrap();
            openssl(folder.path(), "dgst -sha256 -verify pub -signature signature plain");
            let public = std::fs::read(path("pub.der")).unwrap();
            std::fs::write(path("sent"), encrypt_recovery_secret(&public, &secret).unwrap()).unwrap();
            openssl(folder.path(), &format!("pkeyutl -decrypt -inkey key {OAEP} -in sent -out back"));
            assert_eq!(std::fs::read(path("back")).unwrap(), [7; 33]);
        }
    }

    fn made() -> RecoveryKey {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        RecoveryKey::from_pem(key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn what_another_key_decrypts_is_refused() {
        let key = made();
        for ciphertext in [&[][..], &[1; 32], &[1; 256]] {
            assert!(matches!(key.decrypt(ciphertext), Err(RecoveryKeyError::Decrypt)));
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_and_nothing_of_it_is_shown() {
        let ec = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned();
        let public = ec.replace("PRIVATE KEY", "PUBLIC KEY");
        for text in [String::new(), ec, broken, public] {
            let error = RecoveryKey::from_pem(text.as_bytes()).unwrap_err();
            assert!(matches!(error, RecoveryKeyError::NotAKey));
        }
        assert_eq!(format!("{:?}", made()), "RecoveryKey");
        let secret = SecretBytes::new("recovery secret", vec![1; 32]);
        assert!(matches!(encrypt_recovery_secret(&[1], &secret), Err(RecoveryKeyError::PublicKey)));
    }
}
