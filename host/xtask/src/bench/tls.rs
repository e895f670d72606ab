//! TLS of the load clients: as cheap as it gets, since only the server is measured.
//!
//! The server's certificate and its signature are not looked at: both ends are ours and on the loopback interface.
//! Never to be used for anything but measuring.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client certificate and its key.
pub(crate) struct Identity {
    /// DER.
    pub(crate) certificate: CertificateDer<'static>,
    /// Its key.
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Opens connections to one address.
#[derive(Clone)]
pub(crate) struct Connector {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Connector {
    /// For this ALPN protocol, with a client certificate or without.
    pub(crate) fn new(
        address: SocketAddr,
        protocol: &str,
        identity: Option<&Identity>,
    ) -> anyhow::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("setting up TLS")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Nobody(schemes)));
        let mut config = match identity {
            Some(Identity { certificate, key }) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .context("using the client certificate")?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        // Every new connection shall cost what a first one costs.
        config.resumption = Resumption::disabled();
        Ok(Self { address, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// `IP:PORT`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its ALPN protocol.
    pub(crate) fn protocol(&self) -> &str {
        let protocol = self.tls.config().alpn_protocols.first();
        protocol.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// Whether it has a client certificate.
    pub(crate) fn presents_certificate(&self) -> bool {
        self.tls.config().client_auth_cert_resolver.has_certs()
    }

    /// A new connection, its handshake done.
    pub(crate) async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.context("connecting")?;
        // Small frames would wait for acknowledgements otherwise.
        stream.set_nodelay(true).context("connecting")?;
        let name = ServerName::IpAddress(self.address.ip().into());
        self.tls.connect(name, stream).await.context("TLS handshake")
    }
}

/// Verifies nothing.
#[derive(Debug)]
struct Nobody(Vec<SignatureScheme>);

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
