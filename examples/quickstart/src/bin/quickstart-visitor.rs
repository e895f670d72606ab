//! Fetches the site's page over mutual TLS and prints it.
//!
//! Usage: `quickstart-visitor ADDRESS_FILE` through `carrara-premain`, or `quickstart-visitor --stranger ADDRESS_FILE`
//! without it, to see a certificate refused that no coordinator issued.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use carrara_marble::Identity;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::main]
#[allow(clippy::print_stderr)] // a program for people
async fn main() -> ExitCode {
    match visit().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)] // the page is this program's output
async fn visit() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let stranger = arguments.first().is_some_and(|first| first == "--stranger");
    if stranger {
        arguments.remove(0);
    }
    let [file] = arguments.as_slice() else { bail!("usage: quickstart-visitor [--stranger] ADDRESS_FILE") };
    let address = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let config = if stranger { stranger_config()? } else { Identity::from_env()?.client_config()? };
    print!("{}", fetch(&address, config).await.context("the site did not serve us")?);
    Ok(())
}

async fn fetch(address: &str, config: ClientConfig) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new())?;
    let page = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A certificate that its owner signed. A stranger has no root to verify the site with and so accepts any server: what
/// is shown is the site's refusal, not ours.
fn stranger_config() -> anyhow::Result<ClientConfig> {
    let key = rcgen::generate_simple_self_signed(["stranger".to_owned()])?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let mut config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(vec![key.cert.der().clone()], private)?;
    config.dangerous().set_certificate_verifier(Arc::new(trusting::AnyServer));
    Ok(config)
}

mod trusting {
    //! Accepts any server; for the stranger alone.

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(crate) struct AnyServer;

    impl ServerCertVerifier for AnyServer {
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
            aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
