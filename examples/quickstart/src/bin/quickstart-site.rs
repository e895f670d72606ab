//! A site for Marbles only: serves one page, made of the configuration file that the coordinator rendered.
//!
//! Usage: `quickstart-site CONFIG`, started through `carrara-premain`. Writes the address that it listens on to the file
//! that `QUICKSTART_ADDRESS_FILE` names. Clients without an activation certificate are refused in the handshake.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use carrara_marble::Identity;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).context("usage: quickstart-site CONFIG")?;
    let text = std::fs::read_to_string(&config).with_context(|| format!("reading {config}"))?;
    let page = Bytes::from(format!("Hello from the site. My configuration:\n{text}"));
    let tls = Identity::from_env()?.server_config()?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));

    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
    announce(&listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        tokio::spawn(serve(acceptor.clone(), stream, page.clone()));
    }
}

/// One connection. A visitor that is no Marble ends here, in the handshake; the site goes on.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, page: Bytes) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
        let page = page.clone();
        async move { Ok::<_, Infallible>(Response::new(Full::new(page))) }
    });
    // A connection that breaks is its client's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// Tells where the site listens: whole or not at all.
fn announce(address: &str) -> anyhow::Result<()> {
    let path = std::env::var("QUICKSTART_ADDRESS_FILE").context("QUICKSTART_ADDRESS_FILE is not set")?;
    let partial = format!("{path}.new");
    std::fs::write(&partial, address).with_context(|| format!("writing {partial}"))?;
    std::fs::rename(&partial, &path).with_context(|| format!("writing {path}"))
}
