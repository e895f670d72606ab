//! Listen addresses: what a user writes, and a bound socket.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `:4433`: on all interfaces, IPv6 and IPv4.
    AllInterfaces(u16),
    /// `127.0.0.1:4433`, `[::1]:4433` or `name:4433`.
    Host(String),
}

/// Why an address cannot be listened on. `Display` names it and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not an address.
    #[error("\"{0}\" is no address to listen on; write HOST:PORT, or :PORT for all interfaces")]
    Syntax(String),
    /// Taken.
    #[error("{0} is in use; stop the other process, or choose another address (port 0 takes a free one)")]
    InUse(String),
    /// Below 1024, most likely.
    #[error("no permission to listen on {0}; choose a port above 1023")]
    Forbidden(String),
    /// Anything else.
    #[error("listening on {0}; check that the address belongs to this machine")]
    Other(String, #[source] io::Error),
}

impl FromStr for ListenAddress {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, BindError> {
        let syntax = || BindError::Syntax(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(syntax)?;
        let port: u16 = port.parse().map_err(|_| syntax())?;
        if host.is_empty() {
            return Ok(Self::AllInterfaces(port));
        }
        let bare_ipv6 = host.contains(':') && text.parse::<SocketAddr>().is_err();
        if bare_ipv6 || host.contains(char::is_whitespace) {
            Err(syntax())
        } else {
            Ok(Self::Host(text.to_owned()))
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllInterfaces(port) => write!(f, ":{port}"),
            Self::Host(host) => f.write_str(host),
        }
    }
}

impl ListenAddress {
    pub(crate) async fn bind(&self) -> Result<TcpListener, BindError> {
        let bound = match self {
            Self::AllInterfaces(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await
                }
                bound => bound,
            },
            Self::Host(host) => TcpListener::bind(host.as_str()).await,
        };
        bound.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: io::Error) -> BindError {
        match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(self.to_string()),
            io::ErrorKind::PermissionDenied => BindError::Forbidden(self.to_string()),
            _ => BindError::Other(self.to_string(), error),
        }
    }
}

/// The address that a listener got.
pub(crate) fn local(listener: &TcpListener) -> Result<SocketAddr, BindError> {
    listener.local_addr().map_err(|error| BindError::Other("a bound socket".to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_means_all_interfaces() {
        assert_eq!(":4433".parse::<ListenAddress>().unwrap(), ListenAddress::AllInterfaces(4433));
        let host = "127.0.0.1:0".parse::<ListenAddress>().unwrap();
        assert_eq!(host, ListenAddress::Host("127.0.0.1:0".to_owned()));
        assert!("[::1]:1".parse::<ListenAddress>().is_ok());
        assert!("coordinator.example:2001".parse::<ListenAddress>().is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_that_is() {
        for text in ["", "4433", "localhost", "localhost:http", ":65536", "::1:4433x", "::1:44", "a b:1"] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{text}: {error}");
        }
    }

    //
    #[tokio::test]
    async fn an_address_in_use_is_named_with_the_remedy() {
        let first = ListenAddress::Host("127.0.0.1:0".to_owned()).bind().await.unwrap();
        let taken = ListenAddress::Host(local(&first).unwrap().to_string());
        let error = taken.bind().await.unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("choose another"), "{error}");
    }

    #[tokio::test]
    async fn all_interfaces_include_ipv4() {
        let listener = ListenAddress::AllInterfaces(0).bind().await.unwrap();
        let port = local(&listener).unwrap().port();
        assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    }

    #[tokio::test]
    async fn a_taken_port_on_all_interfaces_is_no_reason_to_fall_back_to_ipv4() {
        let first = ListenAddress::AllInterfaces(0).bind().await.unwrap();
        let port = local(&first).unwrap().port();
        assert!(matches!(ListenAddress::AllInterfaces(port).bind().await, Err(BindError::InUse(_))));
    }
}
