//! Which server we talk to.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, SignatureScheme};

/// Whom a [`crate::Client`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Anybody: whoever is on the way can read and change everything. For simulation, and for fetching what is
    /// verified by other means (C-1, C-6).
    Insecure,
    /// Only the holder of this coordinator root certificate's key, under a name or address in the certificate (C-5).
    Root(CertificateDer<'static>),
}

/// Why a server is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It presents another certificate.
    #[error(
        "it presents another root certificate than the trusted one; the coordinator was recovered or reset, or this \
         is another server: verify it again (`carrara manifest verify`)"
    )]
    OtherRoot,
    /// The certificate is for other names.
    #[error(
        "its certificate is not valid for this host name; use one of the coordinator's configured DNS names"
    )]
    OtherName,
    /// The root certificate cannot be read.
    #[error("its certificate cannot be read")]
    Malformed,
}

/// Verifies a server by its [`Trust`]. One per connection: it remembers why it refused.
///
/// webpki refuses a CA certificate as a server's, so the pinned certificate is compared byte by byte and its
/// names are checked here. Its dates are not: the pin, not the certificate's life, is what is trusted.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    refusal: Mutex<Option<TrustError>>,
}

impl Verifier {
    pub(crate) fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Self {
        Self { trust, provider, refusal: Mutex::new(None) }
    }

    /// Why the server was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<TrustError> {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, presented: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), TrustError> {
        let Trust::Root(root) = &self.trust else { return Ok(()) };
        if presented != root {
            return Err(TrustError::OtherRoot);
        }
        let parsed = ParsedCertificate::try_from(presented).map_err(|_| TrustError::Malformed)?;
        verify_server_name(&parsed, name).map_err(|_| TrustError::OtherName)
    }

    /// Whether the server holds the certificate's key, where that counts.
    fn proved(
        &self,
        by: impl FnOnce(&WebPkiSupportedAlgorithms) -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.trust {
            // rustls cannot read every certificate there is, and here the key behind it proves nothing.
            Trust::Insecure => Ok(HandshakeSignatureValid::assertion()),
            Trust::Root(_) => by(&self.provider.signature_verification_algorithms),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.judge(end_entity, server_name).map(|()| ServerCertVerified::assertion()).map_err(|refusal| {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
            TlsError::InvalidCertificate(match refusal {
                TrustError::OtherRoot => CertificateError::UnknownIssuer,
                TrustError::OtherName => CertificateError::NotValidForName,
                TrustError::Malformed => CertificateError::BadEncoding,
            })
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.proved(|algorithms| verify_tls12_signature(message, cert, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.proved(|algorithms| verify_tls13_signature(message, cert, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
