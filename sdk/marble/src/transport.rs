//! One HTTP/2 connection over TLS to the coordinator's mesh port.
//!
//! The server's certificate is not verified here (G-12): it is the self-signed marble root (G-10), a CA certificate
//! used as a server's, which is new after every manifest set and update, so that a Marble cannot know it beforehand.
//! The handshake's signature is verified, so that the certificate we report back is the one whose key the peer holds:
//! [`crate::pin`] builds on that.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::Address;
use crate::credentials::Credentials;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("{0:?} is no host name")]
    Name(String),
    #[error("connecting")]
    Connect(#[source] std::io::Error),
    #[error("setting up TLS")]
    Configuration(#[source] TlsError),
    #[error("TLS handshake")]
    Handshake(#[source] std::io::Error),
    #[error("HTTP/2 handshake")]
    Http(#[source] hyper::Error),
}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) requests: SendRequest<tonic::body::Body>,
    /// What the server presented and proved to hold the key of.
    pub(crate) server_certificate: CertificateDer<'static>,
}

/// Connects with the Marble's certificate.
pub(crate) async fn connect(
    address: &Address,
    credentials: &Credentials,
) -> Result<Connection, TransportError> {
    let name =
        ServerName::try_from(address.host.clone()).map_err(|_| TransportError::Name(address.host.clone()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyServer::new(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TransportError::Configuration)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_client_auth_cert(vec![credentials.certificate.clone()], credentials.key.clone_key())
        .map_err(TransportError::Configuration)?;
    config.alpn_protocols = vec![b"h2".to_vec()];

    let stream =
        TcpStream::connect((address.host.as_str(), address.port)).await.map_err(TransportError::Connect)?;
    // Small frames would wait for acknowledgements otherwise.
    stream.set_nodelay(true).map_err(TransportError::Connect)?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(TransportError::Handshake)?;
    let server_certificate = verifier.presented();
    let (requests, connection) = Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .map_err(TransportError::Http)?;
    // Ends with the last holder of `requests`; a failure shows in the pending request.
    tokio::spawn(connection);
    Ok(Connection { requests, server_certificate })
}

/// Takes any server certificate whose key signed the handshake, and remembers it.
#[derive(Debug)]
struct AnyServer {
    provider: Arc<CryptoProvider>,
    presented: Mutex<Option<CertificateDer<'static>>>,
}

impl AnyServer {
    fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, presented: Mutex::new(None) }
    }

    fn presented(&self) -> CertificateDer<'static> {
        let presented = self.presented.lock().unwrap_or_else(PoisonError::into_inner);
        presented.clone().unwrap_or_else(|| CertificateDer::from(Vec::new()))
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let mut presented = self.presented.lock().unwrap_or_else(PoisonError::into_inner);
        *presented = Some(end_entity.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

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
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
