//! The identity that a running service got from the coordinator (S-80), ready for rustls.
//!
//! Peers are verified by the ordinary rules (webpki): their chain must lead to the marble root or to the
//! coordinator's root. Marbles started before and after a manifest update have different marble roots but the same
//! coordinator root, so both are trust anchors here.
//!
//! Not for the coordinator's own ports: they present CA certificates as a server's, which webpki refuses; pin
//! the certificate there. Certificates of secrets default to the key usage certSign without being CAs: webpki
//! accepts them, strict verifiers may not.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use carrara_types::secret::SecretBytes;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// PEM leaf followed by PEM intermediate.
pub const CERTIFICATE_CHAIN: &str = "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN";
/// PEM PKCS#8 of the leaf's key.
pub const PRIVATE_KEY: &str = "MARBLE_PREDEFINED_PRIVATE_KEY";
/// PEM marble root, self-signed.
pub const ROOT_CA: &str = "MARBLE_PREDEFINED_ROOT_CA";
/// PEM coordinator root.
pub const COORDINATOR_ROOT_CA: &str = "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The variable is missing.
    #[error("environment variable {0} is not set: start the service through the premain")]
    Missing(&'static str),
    /// The variable does not hold what it should.
    #[error(
        "environment variable {0} does not hold the expected PEM data: start the service through the premain"
    )]
    Malformed(&'static str),
    /// rustls refuses.
    #[error("setting up TLS with the Marble's identity")]
    Tls(#[from] rustls::Error),
    /// rustls refuses the trust anchors.
    #[error("setting up the verification of TLS clients")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A Marble's certificates and key.
pub struct Identity {
    /// Leaf first, then the intermediate.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
    /// The marble root, under which Marbles of this manifest are certified.
    pub marble_root: CertificateDer<'static>,
    /// The coordinator's root, which outlives manifest updates. Older coordinators do not give it.
    pub coordinator_root: Option<CertificateDer<'static>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the variables that the coordinator set.
    ///
    /// # Errors
    /// One is missing or does not hold PEM data.
    pub fn from_env() -> Result<Self, IdentityError> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads the variables through `lookup`.
    ///
    /// # Errors
    /// As [`Identity::from_env`].
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, IdentityError> {
        let value = |name: &'static str| {
            let value = lookup(name).filter(|value| !value.is_empty());
            value.map(|value| SecretBytes::new(name, value.into_vec())).ok_or(IdentityError::Missing(name))
        };
        let chain = certificates(CERTIFICATE_CHAIN, &value(CERTIFICATE_CHAIN)?)?;
        let key = PrivateKeyDer::from_pem_slice(value(PRIVATE_KEY)?.expose());
        let coordinator_root = match value(COORDINATOR_ROOT_CA) {
            Ok(pem) => Some(certificate(COORDINATOR_ROOT_CA, &pem)?),
            Err(_) => None,
        };
        Ok(Self {
            chain,
            key: key.map_err(|_| IdentityError::Malformed(PRIVATE_KEY))?,
            marble_root: certificate(ROOT_CA, &value(ROOT_CA)?)?,
            coordinator_root,
        })
    }

    /// A server that only Marbles of the same coordinator can connect to.
    ///
    /// # Errors
    /// The certificates or the key are unusable.
    pub fn server_config(&self) -> Result<ServerConfig, IdentityError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.anchors()?), Arc::clone(&provider))
                .build()?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())?)
    }

    /// A client that connects only to Marbles of the same coordinator, under a name in their certificate.
    ///
    /// # Errors
    /// The certificates or the key are unusable.
    pub fn client_config(&self) -> Result<ClientConfig, IdentityError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.anchors()?)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?)
    }

    fn anchors(&self) -> Result<RootCertStore, IdentityError> {
        let mut anchors = RootCertStore::empty();
        anchors.add(self.marble_root.clone())?;
        if let Some(root) = &self.coordinator_root {
            anchors.add(root.clone())?;
        }
        Ok(anchors)
    }
}

fn certificates(
    name: &'static str,
    pem: &SecretBytes,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    parsed.ok().filter(|chain| !chain.is_empty()).ok_or(IdentityError::Malformed(name))
}

fn certificate(name: &'static str, pem: &SecretBytes) -> Result<CertificateDer<'static>, IdentityError> {
    certificates(name, pem)?.into_iter().next().ok_or(IdentityError::Malformed(name))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    };
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// Certificates as a coordinator makes them (G-10, G-40..G-48).
    pub(crate) struct Authority {
        pub(crate) root: CertificateDer<'static>,
        pub(crate) marble_root: CertificateDer<'static>,
        pub(crate) marble_root_key: Vec<u8>,
        pub(crate) leaf_chain_pem: String,
        pub(crate) env: HashMap<&'static str, OsString>,
    }

    fn ca(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params
    }

    pub(crate) fn authority() -> Authority {
        let new_key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let root = CertifiedIssuer::self_signed(ca("MarbleRun Coordinator"), new_key()).unwrap();
        let key = new_key();
        let marble_params = ca("MarbleRun Coordinator - Intermediate CA");
        let intermediate = marble_params.signed_by(&key, &root).unwrap();
        let marble_root_key = key.serialize_der();
        let marble_root = CertifiedIssuer::self_signed(marble_params, key).unwrap();
        let leaf_key = new_key();
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = leaf.signed_by(&leaf_key, &marble_root).unwrap();
        let leaf_chain_pem = leaf.pem() + &intermediate.pem();
        let env = HashMap::from([
            (CERTIFICATE_CHAIN, OsString::from(&leaf_chain_pem)),
            (PRIVATE_KEY, OsString::from(leaf_key.serialize_pem())),
            (ROOT_CA, OsString::from(marble_root.pem())),
            (COORDINATOR_ROOT_CA, OsString::from(root.pem())),
        ]);
        Authority {
            root: root.der().clone(),
            marble_root: marble_root.der().clone(),
            marble_root_key,
            leaf_chain_pem,
            env,
        }
    }

    fn identity(env: &HashMap<&'static str, OsString>) -> Result<Identity, IdentityError> {
        Identity::read(|name| env.get(name).cloned())
    }

    async fn handshake(server: &Identity, client: &Identity) -> std::io::Result<Vec<u8>> {
        let acceptor = TlsAcceptor::from(Arc::new(server.server_config().unwrap()));
        let connector = TlsConnector::from(Arc::new(client.client_config().unwrap()));
        let (near, far) = tokio::io::duplex(1 << 16);
        let served = async move {
            let mut stream = acceptor.accept(far).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        };
        let asked = async move {
            let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), near).await?;
            let mut text = Vec::new();
            stream.read_to_end(&mut text).await?;
            Ok(text)
        };
        let (_, text) = tokio::join!(served, asked);
        text
    }

    // marble-api.md section 10
    #[tokio::test]
    async fn two_marbles_of_one_coordinator_connect() {
        let env = authority().env;
        let text = handshake(&identity(&env).unwrap(), &identity(&env).unwrap()).await.unwrap();
        assert_eq!(text, b"hello");
    }

    // S-80: the marble root changes with an update, the coordinator's root does not.
    #[tokio::test]
    async fn marbles_connect_over_an_update_by_the_coordinator_root() {
        let before = authority();
        let mut env = before.env;
        env.insert(ROOT_CA, authority().env.remove(ROOT_CA).unwrap());
        let marble = identity(&env).unwrap();
        assert_eq!(handshake(&marble, &marble).await.unwrap(), b"hello");
        env.remove(COORDINATOR_ROOT_CA);
        let alone = identity(&env).unwrap();
        assert!(handshake(&alone, &alone).await.is_err());
    }

    #[tokio::test]
    async fn a_marble_of_another_coordinator_is_refused_on_both_sides() {
        let (ours, theirs) = (identity(&authority().env).unwrap(), identity(&authority().env).unwrap());
        assert!(handshake(&ours, &theirs).await.is_err());
        assert!(handshake(&theirs, &ours).await.is_err());
    }

    #[test]
    fn a_missing_or_malformed_variable_is_named() {
        for name in [CERTIFICATE_CHAIN, PRIVATE_KEY, ROOT_CA] {
            let mut env = authority().env;
            env.insert(name, OsString::from("junk"));
            assert!(identity(&env).unwrap_err().to_string().contains(name));
            env.insert(name, OsString::new());
            assert!(matches!(identity(&env), Err(IdentityError::Missing(missing)) if missing == name));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", identity(&authority().env).unwrap()), "Identity { .. }");
    }
}
