//! The Marble side of the Marble API: a service asks the coordinator for its identity, secrets and configuration.
//!
//! [`Config`] says who we are and whom to ask (marble-api.md section 8), [`credentials`] makes the key and
//! certificate of this start, [`activate`] asks, [`launch`] turns the answer into files and a process, [`runtime`] knows
//! what differs under Gramine and Occlum, and [`Identity`] gives a running service its certificates for mutual TLS.
//!
//! A Marble cannot tell a false coordinator from the true one by the connection alone (G-12); see [`pin`] for what
//! helps where the true root certificate is known beforehand.
//!
//! Time-outs and limits are named constants in [`mod@activate`].

pub mod activate;
pub mod config;
pub mod credentials;
pub mod files;
pub mod identity;
pub mod launch;
pub mod pin;
pub mod premain;
pub mod quote;
pub mod runtime;
mod transport;
pub mod uuid_file;

pub use activate::{ActivateError, Activation, activate};
pub use config::{Config, ConfigError};
pub use identity::Identity;
pub use quote::{NoTee, QuoteIssuer};

/// Code generated from host/types/proto/marble.proto.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    rust_2018_idioms,
    missing_debug_implementations
)]
mod rpc {
    tonic::include_proto!("rpc");
}
