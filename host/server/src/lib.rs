//! The coordinator's listeners: REST for users and operators and gRPC for Marbles, both over TLS; metrics in plain HTTP.
//!
//! Speaks protocols and decides nothing: every answer comes from a use case of [`carrara_core::Coordinator`]. A
//! connection is limited in every respect ([`Limits`]), and no request, however malformed, ends the process.

mod aside;
mod connection;
mod edge;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod json;
mod limits;
mod listen;
mod metrics;
mod peer;
mod places;
mod problem;
mod rest;
#[cfg(test)]
mod testing;
mod tls;
mod uploads;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use carrara_core::Coordinator;
use carrara_core::outcome::TlsPort;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::Level;

use crate::connection::Port;
use crate::edge::{Edge, Meter};
use crate::metrics::Pressure;
use crate::tls::Configurations;

pub use crate::limits::{LimitError, LimitOption, Limits, OPTIONS as LIMIT_OPTIONS};
pub use crate::listen::{BindError, ListenAddress};
pub use crate::metrics::{Build, CollateralFigures, Metrics, MetricsError};
pub use crate::tls::TlsError;

/// What a server listens on and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where users connect.
    pub rest: ListenAddress,
    /// Where Marbles connect.
    pub mesh: ListenAddress,
    /// Where Prometheus asks, in plain HTTP; nowhere unless it is set.
    pub metrics: Option<ListenAddress>,
    /// What a client may use up.
    pub limits: Limits,
    /// The level at which failed connections and handshakes are logged (EDG_HTTP_ERROR_LOG_LEVEL).
    pub connection_errors: Level,
}

/// The listeners, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    rest: TcpListener,
    mesh: TcpListener,
    metrics: Option<TcpListener>,
    addresses: Addresses,
    limits: Limits,
    connection_errors: Level,
}

/// The addresses that were chosen; what port 0 became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// REST.
    pub rest: SocketAddr,
    /// Marbles.
    pub mesh: SocketAddr,
    /// Metrics and events.
    pub metrics: Option<SocketAddr>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Completely,
    /// The limit passed; this many connections were cut.
    Cut(usize),
}

impl Server {
    /// Binds all listeners, so that a wrong address ends the process before anything is served.
    ///
    /// # Errors
    /// An address cannot be listened on; the text names it and the remedy.
    pub async fn bind(options: &Options) -> Result<Self, BindError> {
        let rest = options.rest.bind().await?;
        let mesh = options.mesh.bind().await?;
        let metrics = match &options.metrics {
            Some(address) => Some(address.bind().await?),
            None => None,
        };
        let addresses = Addresses {
            rest: listen::local(&rest)?,
            mesh: listen::local(&mesh)?,
            metrics: metrics.as_ref().map(listen::local).transpose()?,
        };
        let (limits, connection_errors) = (options.limits.clone(), options.connection_errors);
        Ok(Self { rest, mesh, metrics, addresses, limits, connection_errors })
    }

    /// Where the server listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown` ends, then answers what has begun, for [`Limits::drain`] at most.
    ///
    /// # Errors
    /// The TLS library refuses the configuration.
    pub async fn serve(
        self,
        coordinator: Arc<Coordinator>,
        metrics: Arc<Metrics>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, TlsError> {
        let (stop, stopped) = watch::channel(());
        let app = rest::app(Arc::clone(&coordinator), &self.limits);
        let [clients, marbles] = &metrics.pressure;
        let meter = Meter::Clients(Arc::clone(&metrics.clients));
        let rest = self.port(TlsPort::Rest, &coordinator, app, meter, clients)?;
        let app = grpc::app(Arc::clone(&coordinator), Arc::clone(&metrics.marbles), &self.limits);
        let meter = Meter::Marbles(Arc::clone(&metrics.marbles));
        let mesh = self.port(TlsPort::Mesh, &coordinator, app, meter, marbles)?;
        if let Some(listener) = self.metrics {
            tokio::spawn(metrics::listen(listener, metrics, coordinator, stopped.clone()));
        }
        let drain = self.limits.drain;
        let rest = tokio::spawn(connection::accept(rest, self.rest, stopped.clone()));
        let mesh = tokio::spawn(connection::accept(mesh, self.mesh, stopped));
        shutdown.await;
        drop(stop);
        let (rest, mesh) = tokio::join!(connection::end(rest, drain), connection::end(mesh, drain));
        let cut = rest + mesh;
        Ok(if cut == 0 { Drained::Completely } else { Drained::Cut(cut) })
    }

    fn port(
        &self,
        port: TlsPort,
        coordinator: &Arc<Coordinator>,
        app: edge::App,
        meter: Meter,
        pressure: &Arc<Pressure>,
    ) -> Result<Arc<Port>, TlsError> {
        let coordinator = Arc::clone(coordinator);
        let tls = Configurations::new(port, Arc::new(move || coordinator.tls_identity(port)))?;
        let edge = Edge::new(app, &self.limits).counted_by(meter).under(Arc::clone(pressure));
        let (limits, pressure) = (self.limits.clone(), Arc::clone(pressure));
        Ok(Arc::new(Port::new(port, tls, edge, limits, self.connection_errors, pressure)))
    }
}
