//! Tells the true coordinator from a false one, where its root certificate is known beforehand.
//!
//! The mesh port presents the marble root, which is not known beforehand (G-10). But its key is also certified by the
//! coordinator's root, in the intermediate certificate that comes with the Marble's own chain (G-48). So after the
//! call we ask: does the Marble's new chain lead to the pinned root, and is the intermediate's key the one that
//! signed our TLS handshake? A false coordinator can copy every certificate but cannot hold that key.
//!
//! The check comes before anything of the answer is used. It protects the service from a false configuration; what
//! the Marble sent (its type, names and quote) is no secret. In an enclave the host can unset the environment
//! variable that switches this on: bind the pin to the measured image there.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::activate::Activation;
use crate::identity::CERTIFICATE_CHAIN;

/// Why the answer is not the pinned coordinator's.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The pinned certificate cannot be a trust anchor.
    #[error("the pinned root certificate is unusable")]
    Root(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer has no usable certificate chain.
    #[error("the answer holds no certificate chain for this Marble")]
    NoChain,
    /// The chain leads elsewhere.
    #[error("the Marble's certificate chain does not lead to the pinned root")]
    OtherRoot(#[source] rustls::Error),
    /// The peer does not hold the intermediate's key.
    #[error("the server does not hold the key that the pinned root certified")]
    OtherKey,
}

/// Checks that `activation` came from the holder of `root` over a connection whose server presented `server`.
pub(crate) fn check(
    root: &CertificateDer<'static>,
    server: &CertificateDer<'_>,
    activation: &Activation,
) -> Result<(), PinError> {
    let chain = activation.env.get(CERTIFICATE_CHAIN).ok_or(PinError::NoChain)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.expose())
        .collect::<Result<_, _>>()
        .map_err(|_| PinError::NoChain)?;
    let (leaf, intermediates) = chain.split_first().ok_or(PinError::NoChain)?;
    let intermediate = intermediates.first().ok_or(PinError::NoChain)?;

    let mut anchors = RootCertStore::empty();
    anchors.add(root.clone()).map_err(|error| PinError::Root(Box::new(error)))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider)
        .build()
        .map_err(|error| PinError::Root(Box::new(error)))?
        .verify_client_cert(leaf, intermediates, UnixTime::now())
        .map_err(PinError::OtherRoot)?;
    if public_key(intermediate)? != public_key(server)? {
        return Err(PinError::OtherKey);
    }
    Ok(())
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, PinError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| PinError::NoChain)?;
    Ok(parsed.public_key().raw.to_vec())
}

#[cfg(test)]
mod tests {
    use carrara_types::secret::SecretBytes;

    use super::*;
    use crate::identity::tests::{Authority, authority};

    fn activation(authority: &Authority) -> Activation {
        let mut activation = Activation::default();
        let chain = authority.leaf_chain_pem.clone().into_bytes();
        activation.env.insert(CERTIFICATE_CHAIN.to_owned(), SecretBytes::new("chain", chain));
        activation
    }

    #[test]
    fn the_answer_of_the_pinned_coordinator_is_accepted() {
        let coordinator = authority();
        check(&coordinator.root, &coordinator.marble_root, &activation(&coordinator)).unwrap();
    }

    #[test]
    fn an_answer_with_a_chain_of_another_root_is_refused() {
        let (coordinator, other) = (authority(), authority());
        let result = check(&coordinator.root, &other.marble_root, &activation(&other));
        assert!(matches!(result, Err(PinError::OtherRoot(_))), "{result:?}");
    }

    #[test]
    fn a_copied_chain_without_the_intermediate_key_is_refused() {
        let (coordinator, other) = (authority(), authority());
        let result = check(&coordinator.root, &other.marble_root, &activation(&coordinator));
        assert!(matches!(result, Err(PinError::OtherKey)), "{result:?}");
    }

    #[test]
    fn an_answer_without_a_chain_is_refused() {
        let coordinator = authority();
        let result = check(&coordinator.root, &coordinator.marble_root, &Activation::default());
        assert!(matches!(result, Err(PinError::NoChain)), "{result:?}");
    }
}
