//! The coordinator's certificates as `/quote` gives them: PEM intermediate followed by PEM root.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA384;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a text is no chain of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No PEM certificates.
    #[error("it holds no PEM certificate")]
    Empty,
    /// More than intermediate and root.
    #[error("it holds {0} certificates instead of an intermediate and a root")]
    Count(usize),
    /// A certificate that cannot be read.
    #[error("it holds a certificate that cannot be read")]
    Malformed,
    /// The root did not sign the intermediate.
    #[error("its intermediate certificate is not signed by its root certificate")]
    Unrelated,
}

/// The coordinator's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    intermediate: Option<CertificateDer<'static>>,
    root: CertificateDer<'static>,
}

impl Chain {
    /// Reads intermediate and root, in this order; a root alone is enough for trusting a server. The root must have
    /// signed the intermediate, since only the root is attested (C-2).
    ///
    /// # Errors
    /// See [`ChainError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, ChainError> {
        let mut certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|_| ChainError::Malformed)?;
        if certificates.len() > 2 {
            return Err(ChainError::Count(certificates.len()));
        }
        let root = certificates.pop().ok_or(ChainError::Empty)?;
        let intermediate = certificates.pop();
        read(&root)?;
        if let Some(intermediate) = &intermediate {
            verify_signature(intermediate, &root)?;
        }
        Ok(Self { intermediate, root })
    }

    /// The coordinator's root.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// PEM of the root.
    #[must_use]
    pub fn root_pem(&self) -> String {
        to_pem(&self.root)
    }

    /// PEM of the intermediate, if there is one.
    #[must_use]
    pub fn intermediate_pem(&self) -> Option<String> {
        self.intermediate.as_ref().map(to_pem)
    }

    /// PEM of both, intermediate first.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.intermediate_pem().unwrap_or_default() + &self.root_pem()
    }
}

/// A certificate, all of the bytes.
fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ChainError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(ChainError::Malformed),
    }
}

/// Coordinators sign with ECDSA P-384 and SHA-384 only.
fn verify_signature(signed: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Result<(), ChainError> {
    let (signed, issuer) = (read(signed)?, read(issuer)?);
    if signed.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA384
        || signed.issuer() != issuer.subject()
    {
        return Err(ChainError::Unrelated);
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, issuer.public_key().subject_public_key.data.as_ref())
        .verify(signed.tbs_certificate.as_ref(), signed.signature_value.data.as_ref())
        .map_err(|_| ChainError::Unrelated)
}

fn to_pem(certificate: &CertificateDer<'static>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::authority;

    // C-1
    #[test]
    fn intermediate_and_root_are_read_in_this_order() {
        let made = authority();
        let chain = Chain::from_pem(made.chain_pem.as_bytes()).unwrap();
        assert_eq!(chain.root(), &made.root);
        assert_eq!(Chain::from_pem(chain.to_pem().as_bytes()).unwrap(), chain);
        assert_eq!(Chain::from_pem(chain.root_pem().as_bytes()).unwrap().intermediate_pem(), None);
    }

    #[test]
    fn an_intermediate_that_the_root_did_not_sign_is_refused() {
        let (ours, theirs) = (authority(), authority());
        let ours = Chain::from_pem(ours.chain_pem.as_bytes()).unwrap();
        let theirs = Chain::from_pem(theirs.chain_pem.as_bytes()).unwrap();
        let mixed = theirs.intermediate_pem().unwrap() + &ours.root_pem();
        assert_eq!(Chain::from_pem(mixed.as_bytes()), Err(ChainError::Unrelated));
        let swapped = ours.root_pem() + &ours.intermediate_pem().unwrap();
        assert_eq!(Chain::from_pem(swapped.as_bytes()), Err(ChainError::Unrelated));
    }

    // C-2: the nonce is hashed right behind the root, so that what stands behind it could be the nonce's
    #[test]
    fn a_certificate_with_something_behind_it_is_refused() {
        let made = authority();
        let chain = Chain::from_pem(made.chain_pem.as_bytes()).unwrap();
        for behind in [&[0][..], b"nonce"] {
            let longer = CertificateDer::from([made.root.as_ref(), behind].concat());
            assert_eq!(Chain::from_pem(to_pem(&longer).as_bytes()), Err(ChainError::Malformed));
            let both = chain.intermediate_pem().unwrap() + &to_pem(&longer);
            assert_eq!(Chain::from_pem(both.as_bytes()), Err(ChainError::Malformed));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!(Chain::from_pem(b""), Err(ChainError::Empty));
        assert_eq!(Chain::from_pem(b"text"), Err(ChainError::Empty));
        let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(Chain::from_pem(junk), Err(ChainError::Malformed));
        let pem = authority().chain_pem;
        assert_eq!(Chain::from_pem(format!("{pem}{pem}").as_bytes()), Err(ChainError::Count(4)));
    }
}
