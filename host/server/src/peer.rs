//! Who is at the other end of a connection, as TLS proved it.

use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;

/// The other end of a connection; travels in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// For the log.
    pub(crate) address: SocketAddr,
    /// The leaf certificate: the only one whose key the handshake proved. Certificates sent along with it prove
    /// nothing and are dropped.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// Reads the finished handshake.
    pub(crate) fn of(connection: &rustls::ServerConnection, address: SocketAddr) -> Self {
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        Self { address, certificate: leaf.map(|leaf| leaf.clone().into_owned()) }
    }

    /// The certificate's DER.
    pub(crate) fn der(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }
}
