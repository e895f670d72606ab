//! `HOST:PORT`, without a scheme (cli.md section 3).

use std::fmt;
use std::str::FromStr;

use carrara_types::host_port::HostPort;
use rustls::pki_types::ServerName;

/// Where a coordinator's REST API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(HostPort);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address of the form HOST:PORT (without https://), such as localhost:4433")]
pub struct AddressError(String);

impl Address {
    /// DNS name or IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The name that the server's certificate must be valid for.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.0.host.clone()).ok()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let address = Self(HostPort::parse(text).ok_or_else(error)?);
        address.server_name().ok_or_else(error)?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_with_a_port_are_read() {
        for text in ["localhost:4433", "10.0.0.1:1", "[::1]:4433", "a.example:65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_form_that_is_expected() {
        for text in
            ["localhost", "https://localhost:4433", "::1:4433", ":4433", "localhost:65536", "a b:1", ""]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains("HOST:PORT"), "{text}");
        }
    }
}
