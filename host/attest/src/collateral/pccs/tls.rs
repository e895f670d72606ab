//! Whom a PCCS may be. What it says is signed by Intel: TLS keeps others from seeing which platforms attest, and from
//! withholding what it answers.
//!
//! Most of them have a certificate that they signed themselves, and Intel's own script makes one of X.509 version 1 without any name,
//! which no TLS library accepts as a root. A certificate of the file that the server presents byte for byte is therefore
//! enough, whatever its name and dates; any other one must lead to one of the file's, or the system's, with the right name.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Systems have a few hundred.
const MOST_CERTIFICATES: usize = 4096;

/// Whose certificates a PCCS may have.
#[derive(Clone)]
pub struct PccsTrust {
    config: Arc<ClientConfig>,
}

/// Why nobody could be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The file is something else.
    #[error("it holds no certificates in PEM")]
    NoCertificates,
    /// More than any system has.
    #[error("it holds more than {MOST_CERTIFICATES} certificates")]
    TooMany,
    /// Such as in an image without a package of certificates.
    #[error("the system has no root certificates; name a PEM file with the PCCS's")]
    NoSystem,
    /// The library of TLS refused its own settings.
    #[error("TLS cannot be configured")]
    Configuration,
}

impl std::fmt::Debug for PccsTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PccsTrust").finish_non_exhaustive()
    }
}

impl PccsTrust {
    /// Those of a PEM file: the PCCS's own, or of CAs.
    ///
    /// # Errors
    /// There are none.
    pub fn pem(text: &[u8]) -> Result<Self, TrustError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
            .take(MOST_CERTIFICATES + 1)
            .collect::<Result<_, _>>()
            .map_err(|_| TrustError::NoCertificates)?;
        match certificates.len() {
            0 => Err(TrustError::NoCertificates),
            more if more > MOST_CERTIFICATES => Err(TrustError::TooMany),
            _ => Self::of(certificates.clone(), certificates),
        }
    }

    /// Those of the system.
    ///
    /// # Errors
    /// It has none.
    pub fn system() -> Result<Self, TrustError> {
        let roots = rustls_native_certs::load_native_certs().certs;
        if roots.is_empty() { Err(TrustError::NoSystem) } else { Self::of(Vec::new(), roots) }
    }

    /// Nobody's: for a PCCS of this machine that is asked without TLS.
    ///
    /// # Errors
    /// None that is known.
    pub fn nobody() -> Result<Self, TrustError> {
        Self::of(Vec::new(), Vec::new())
    }

    fn of(
        pinned: Vec<CertificateDer<'static>>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build().ok();
        let verifier = Arc::new(Verifier { pinned, authorities, provider: Arc::clone(&provider) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TrustError::Configuration)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// Accepts what is pinned, and what the authorities vouch for.
#[derive(Debug)]
struct Verifier {
    pinned: Vec<CertificateDer<'static>>,
    /// None if there is no certificate that could be one.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    /// Only for certificates that webpki can read, which those of version 1 are not: they need TLS 1.3.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let (_, certificate) =
            X509Certificate::from_der(cert).map_err(|_| TlsError::from(CertificateError::BadEncoding))?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_trusts_nobody() {
        for text in [&b""[..], b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(PccsTrust::pem(text).err(), Some(TrustError::NoCertificates));
        }
    }
}
