//! A user's client certificate and key.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate and key make no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate.
    #[error("the certificate file holds no PEM block CERTIFICATE with an X.509 certificate")]
    Certificate,
    /// No key.
    #[error(
        "the key file holds no unencrypted PEM block with a private key (PRIVATE KEY, EC or RSA PRIVATE KEY)"
    )]
    Key,
    /// A key that TLS cannot use.
    #[error(
        "the private key is of a kind that TLS cannot use; use RSA, ECDSA (P-256, P-384, P-521) or Ed25519"
    )]
    Unsupported,
    /// They do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

/// A client certificate with its key.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

impl ClientIdentity {
    /// Reads PEM texts. Users' certificates may be of any form that TLS can carry (no extensions, expired): what
    /// counts is that the manifest lists them.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::Key)?;
        let key = any_supported_type(&key).map_err(|_| IdentityError::Unsupported)?;

        let leaf = chain.first().ok_or(IdentityError::Certificate)?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| IdentityError::Certificate)?;
        let public = key.public_key().ok_or(IdentityError::Unsupported)?;
        if public.as_ref() != leaf.public_key().raw {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    #[cfg(feature = "pkcs11")]
    pub(crate) fn of(key: CertifiedKey) -> Self {
        Self(Arc::new(key))
    }

    /// The user's certificate, DER: what the manifest lists.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |leaf| leaf.as_ref())
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["user".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_read() {
        let (certificate, key) = made();
        let identity = ClientIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "ClientIdentity");
        assert_eq!(identity.certificate(), pem::parse(&certificate).unwrap().contents());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let ((certificate, key), (_, other)) = (made(), made());
        let refused = |certificate: &str, key: &str| {
            ClientIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err()
        };
        assert_eq!(refused(&certificate, &other), IdentityError::Mismatch);
        assert_eq!(refused(&key, &key), IdentityError::Certificate);
        assert_eq!(refused("", &key), IdentityError::Certificate);
        assert_eq!(refused(&certificate, &certificate), IdentityError::Key);
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(refused(&certificate, broken), IdentityError::Unsupported);
    }
}
