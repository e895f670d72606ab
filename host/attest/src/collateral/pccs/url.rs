//! Where a PCCS is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use carrara_types::host_port::HostPort;
use http::Uri;
use http::uri::Scheme;

/// What Intel's libraries have behind the address in their configuration files; accepted here, too.
const SUFFIXES: [&str; 2] = ["/sgx/certification/v4", "/tdx/certification/v4"];

/// The address of a PCCS: `https://HOST[:PORT][/PATH]`; `http://` only to this machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PccsUrl {
    tls: bool,
    address: HostPort,
    /// Without a slash at its end.
    path: String,
}

/// Why an address is none of a PCCS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an address at all.
    #[error("it is no address of a PCCS; write https://HOST:PORT, such as https://pccs.example.org:8081")]
    Malformed,
    /// Whoever is on the way could withhold collateral, and see which platforms attest.
    #[error("http is for a PCCS on this machine only (localhost, 127.0.0.1, [::1]); write https")]
    Plain,
}

impl PccsUrl {
    /// Whether it is asked by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        &self.address.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// As the header `Host` has it.
    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    fn is_loopback(&self) -> bool {
        self.address.host.eq_ignore_ascii_case("localhost")
            || self.address.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl fmt::Display for PccsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl FromStr for PccsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(UrlError::Malformed);
        }
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(UrlError::Malformed),
        };
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| UrlError::Malformed)?,
            // It has none, or one that is no number of a port.
            None if !authority.as_str().ends_with(authority.host()) => return Err(UrlError::Malformed),
            None if tls => 443,
            None => 80,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path().trim_end_matches('/');
        let path = SUFFIXES.iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path);
        let url = Self { tls, address: HostPort { host, port }, path: path.trim_end_matches('/').to_owned() };
        match url {
            url if url.address.host.is_empty() || url.address.port == 0 => Err(UrlError::Malformed),
            url if !url.tls && !url.is_loopback() => Err(UrlError::Plain),
            url => Ok(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_or_without_what_intels_libraries_want_behind_it() {
        for (written, shown) in [
            ("https://pccs.example.org:8081", "https://pccs.example.org:8081"),
            ("https://pccs.example.org/", "https://pccs.example.org:443"),
            ("https://h:8081/sgx/certification/v4/", "https://h:8081"),
            ("https://h:8081/a/b/tdx/certification/v4", "https://h:8081/a/b"),
            ("https://[2001:db8::1]/x/", "https://[2001:db8::1]:443/x"),
            ("http://localhost:8081", "http://localhost:8081"),
            ("http://127.3.2.1", "http://127.3.2.1:80"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(written.parse::<PccsUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_or_not_encrypted_is_refused() {
        for wrong in [
            "",
            "h",
            "h:8081",
            "/sgx",
            "ftp://h",
            "https://",
            "https://u:p@h",
            "https://h?x=y",
            "https://h:0",
            "https://h:65536",
            "https://h:",
            "https://[::1]:x",
            "https:///x",
        ] {
            assert_eq!(wrong.parse::<PccsUrl>(), Err(UrlError::Malformed), "{wrong}");
        }
        for plain in
            ["http://h", "http://10.0.0.1:8081", "http://[2001:db8::1]", "http://localhost.example.org"]
        {
            assert_eq!(plain.parse::<PccsUrl>(), Err(UrlError::Plain), "{plain}");
        }
    }
}
