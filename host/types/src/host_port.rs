//! `HOST:PORT`, as command lines, variables and headers have it.

use std::fmt;

/// A DNS name or IP address, and a TCP port. Whether the name is one is left to who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `HOST:PORT` or `[IPv6]:PORT`, without a scheme or path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if bracketed.is_none() && host.contains([':', '[', ']', '/']) {
            return None;
        }
        let host = bracketed.unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_written_the_same() {
        for text in ["localhost:4433", "10.0.0.1:1", "[::1]:4433", "a.example:65535", "a:0"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPort::parse("[::1]:7"), Some(HostPort { host: "::1".to_owned(), port: 7 }));
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "localhost",
            "localhost:",
            "localhost:65536",
            ":1",
            "::1:1",
            "[]:1",
            "[::1:1",
            "https://a:1",
            "a/b:1",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }
}
