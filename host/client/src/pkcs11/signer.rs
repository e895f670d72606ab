//! Signs TLS handshakes on the token. What is signed is hashed here: tokens differ in which hashes they make.

use std::fmt;
use std::sync::{Arc, Mutex};

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::SubjectPublicKeyInfo;
use x509_parser::public_key::PublicKey;

/// A private key on a token.
pub(super) struct TokenKey {
    pub(super) session: Arc<Mutex<Session>>,
    pub(super) handle: ObjectHandle,
    pub(super) kind: Kind,
}

/// What the key can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
}

/// One signature's scheme.
struct TokenSigner {
    session: Arc<Mutex<Session>>,
    handle: ObjectHandle,
    scheme: SignatureScheme,
}

/// The kind of a certificate's key; `None` for those that cannot be used.
pub(super) fn kind(key: &SubjectPublicKeyInfo<'_>) -> Option<Kind> {
    match key.parsed().ok()? {
        PublicKey::RSA(_) => Some(Kind::Rsa),
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(Kind::P256),
            384 => Some(Kind::P384),
            _ => None,
        },
        _ => None,
    }
}

impl Kind {
    /// Best first. PKCS #1 v1.5 is for TLS 1.2 alone.
    fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Self::Rsa => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
            ],
            Self::P256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            Self::P384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({:?})", self.kind)
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({:?})", self.scheme)
    }
}

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.kind.schemes().iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(TokenSigner { session: Arc::clone(&self.session), handle: self.handle, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            Kind::Rsa => SignatureAlgorithm::RSA,
            Kind::P256 | Kind::P384 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for TokenSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let failed = |why: String| rustls::Error::General(format!("signing on the token: {why}"));
        let (mechanism, input) =
            question(self.scheme, message).ok_or_else(|| failed("no scheme".to_owned()))?;
        let session = self.session.lock().map_err(|_| failed("it is in use".to_owned()))?;
        let signature =
            session.sign(&mechanism, self.handle, &input).map_err(|error| failed(error.to_string()))?;
        match mechanism {
            Mechanism::Ecdsa => der(&signature).ok_or_else(|| failed("it gave no signature".to_owned())),
            _ => Ok(signature),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// The mechanism, and what it is given.
fn question(scheme: SignatureScheme, message: &[u8]) -> Option<(Mechanism<'static>, Vec<u8>)> {
    let pss = |hash_alg, mgf, length: u64| {
        Some(Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: length.into() }))
    };
    let sha256 = || Sha256::digest(message).to_vec();
    let sha384 = || Sha384::digest(message).to_vec();
    let asked = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => (Mechanism::Ecdsa, sha256()),
        SignatureScheme::ECDSA_NISTP384_SHA384 => (Mechanism::Ecdsa, sha384()),
        SignatureScheme::RSA_PSS_SHA256 => {
            (pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32)?, sha256())
        }
        SignatureScheme::RSA_PSS_SHA384 => {
            (pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48)?, sha384())
        }
        SignatureScheme::RSA_PSS_SHA512 => {
            (pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64)?, Sha512::digest(message).to_vec())
        }
        SignatureScheme::RSA_PKCS1_SHA256 => (Mechanism::Sha256RsaPkcs, message.to_vec()),
        _ => return None,
    };
    Some(asked)
}

/// Tokens give r and s side by side, TLS wants them as a DER sequence of two integers (RFC 3279 section 2.2.3).
fn der(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    let content = [integer(r)?, integer(s)?].concat();
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[0x30, length], content.as_slice()].concat())
}

/// A non-negative INTEGER with as few bytes as can be.
fn integer(bytes: &[u8]) -> Option<Vec<u8>> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().checked_sub(1)?);
    let digits = bytes.get(first..)?;
    let sign: &[u8] = if digits.first()? & 0x80 != 0 { &[0] } else { &[] };
    let length = u8::try_from(sign.len() + digits.len()).ok()?;
    Some([&[0x02, length], sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_become_a_der_sequence_with_as_few_bytes_as_can_be() {
        assert_eq!(der(&[0, 1, 0x80, 0]).unwrap(), [0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 0]);
        assert_eq!(der(&[0, 0, 0, 5]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 5]);
        assert_eq!(der(&[0xff; 96]).unwrap().len(), 2 + 2 * (2 + 49));
        assert_eq!((der(&[]), der(&[1, 2, 3])), (None, None));
    }

    // RFC 8446 section 4.2.3: the hash goes with the curve, the salt is as long as the hash
    #[test]
    fn each_scheme_has_its_hash() {
        for kind in [Kind::Rsa, Kind::P256, Kind::P384] {
            for scheme in kind.schemes() {
                let (mechanism, input) = question(*scheme, b"message").unwrap();
                let expected = match scheme {
                    SignatureScheme::RSA_PKCS1_SHA256 => 7,
                    SignatureScheme::ECDSA_NISTP384_SHA384 | SignatureScheme::RSA_PSS_SHA384 => 48,
                    SignatureScheme::RSA_PSS_SHA512 => 64,
                    _ => 32,
                };
                assert_eq!(input.len(), expected, "{scheme:?}");
                if let Mechanism::RsaPkcsPss(params) = mechanism {
                    assert_eq!(u64::from(params.s_len), input.len() as u64);
                }
            }
        }
        assert!(question(SignatureScheme::ED25519, b"").is_none());
    }
}
