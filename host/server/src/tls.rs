//! TLS for both ports: who we are, and what a client certificate proves.
//!
//! A client certificate proves possession of its key and nothing else: it is never chain-verified and its dates are
//! ignored (R-2, G-11); what it means is decided by the use cases. Sessions are never resumed, since a resumed one
//! would skip that proof. The server's certificate is asked for at every handshake, because recoveries and updates
//! change it (R-1, G-10).

mod groups;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use carrara_core::outcome::{TlsIdentity, TlsPort};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
    version,
};
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::prelude::X509Certificate;

/// The TLS library refuses our configuration.
#[derive(Debug, thiserror::Error)]
#[error("configuring TLS")]
pub struct TlsError(#[from] Error);

/// Whether the validated cryptographic module was asked for.
const FIPS: bool = cfg!(feature = "fips");

/// Where a port's identity comes from.
pub(crate) type IdentitySource = Arc<dyn Fn() -> Arc<TlsIdentity> + Send + Sync>;

/// The configurations of a port: which one a client gets depends on what it knows.
pub(crate) struct Configurations {
    any: Arc<ServerConfig>,
    hybrid: Arc<ServerConfig>,
}

impl Configurations {
    /// Both, with the same certificate.
    pub(crate) fn new(port: TlsPort, identity: IdentitySource) -> Result<Self, TlsError> {
        let any = config(port, Arc::clone(&identity), groups::any())?;
        Ok(Self { any, hybrid: config(port, identity, groups::hybrid())? })
    }

    /// The configuration for a client that says this.
    pub(crate) fn of(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let hybrid = groups::knows_hybrid(hello.named_groups());
        Arc::clone(if hybrid { &self.hybrid } else { &self.any })
    }
}

fn config(
    port: TlsPort,
    identity: IdentitySource,
    kx_groups: Vec<&'static dyn SupportedKxGroup>,
) -> Result<Arc<ServerConfig>, TlsError> {
    // A build with the validated module offers what that module is validated for, and nothing else.
    let kx_groups = kx_groups.into_iter().filter(|group| !FIPS || group.fips()).collect();
    // All suites of rustls are AEAD.
    let provider = Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() });
    let verifier = AnyCertificate { mandatory: port == TlsPort::Mesh, provider: Arc::clone(&provider) };
    let certificates = CurrentIdentity { identity, cached: Mutex::new(None) };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(certificates));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = match port {
        TlsPort::Rest => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        TlsPort::Mesh => vec![b"h2".to_vec()],
    };
    if FIPS && !config.fips() {
        return Err(Error::General("not everything is done by the validated module".to_owned()).into());
    }
    Ok(Arc::new(config))
}

/// Presents the certificate that the coordinator has now. The parsed key is kept until the coordinator changes it.
struct CurrentIdentity {
    identity: IdentitySource,
    cached: Mutex<Option<(Arc<TlsIdentity>, Arc<CertifiedKey>)>>,
}

impl ResolvesServerCert for CurrentIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = (self.identity)();
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = cached.as_ref()
            && Arc::ptr_eq(known, &identity)
        {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(load(&identity).ok()?);
        *cached = Some((identity, Arc::clone(&key)));
        Some(key)
    }
}

fn load(identity: &TlsIdentity) -> Result<CertifiedKey, Error> {
    // Borrowed: rustls wipes no copy.
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.expose()));
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    Ok(CertifiedKey::new(vec![CertificateDer::from(identity.certificate.clone())], key))
}

impl fmt::Debug for CurrentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentIdentity")
    }
}

/// Accepts any certificate whose key the peer holds. rustls's own helpers refuse X.509 v1 and unknown critical
/// extensions, which clients of this protocol may have, so the key is taken out here.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

/// RFC 8446 section 4.2.3: what may sign a TLS 1.3 handshake. Each scheme binds its curve.
const TLS13_SCHEMES: [SignatureScheme; 7] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
];

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        PublicKey::of(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // TLS 1.2 leaves the curve open: every algorithm of the scheme that fits the key is tried.
        self.verify(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !TLS13_SCHEMES.contains(&signature.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verify_bound(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl AnyCertificate {
    fn verify(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_with(usize::MAX, message, cert, signature)
    }

    fn verify_bound(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // rustls lists the algorithm with the scheme's own curve first.
        self.verify_with(1, message, cert, signature)
    }

    fn verify_with(
        &self,
        candidates: usize,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = PublicKey::of(cert)?;
        let schemes = self.provider.signature_verification_algorithms.mapping;
        let known = schemes.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let (_, algorithms) = known.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        algorithms
            .iter()
            .take(candidates)
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .find(|algorithm| algorithm.verify_signature(&key.bits, message, signature.signature()).is_ok())
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }
}

/// A certificate's SubjectPublicKeyInfo (RFC 5280 section 4.1): the contents of its AlgorithmIdentifier, and its bits.
struct PublicKey {
    algorithm: Vec<u8>,
    bits: Vec<u8>,
}

impl PublicKey {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        Self::read(certificate).ok_or_else(|| CertificateError::BadEncoding.into())
    }

    fn read(certificate: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
        let info = certificate.public_key();
        let (_, sequence) = Any::from_der(info.raw).ok()?;
        let (_, algorithm) = Any::from_der(sequence.data).ok()?;
        rest.is_empty()
            .then(|| Self { algorithm: algorithm.data.to_vec(), bits: info.subject_public_key.data.to_vec() })
    }
}

#[cfg(test)]
mod tests;
