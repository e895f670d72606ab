//! The coordinator's own names, which nobody else's certificate may carry.
//!
//! `localhost`, 127.0.0.1 and ::1 are everybody's. Names that only a URI or an e-mail address mentions are not compared:
//! no TLS client takes them for a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_cert::ext::pkix::name::GeneralName;

use crate::error::Cause;

/// The addresses that every certificate of the authority and every secret may carry.
pub(crate) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The name that goes with [`LOOPBACK`].
pub(crate) const LOCALHOST: &str = "localhost";

/// DNS names and addresses that are the coordinator's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CoordinatorNames {
    /// As in the root certificate.
    pub dns_names: Vec<String>,
    /// As in the root certificate.
    pub ip_addresses: Vec<IpAddr>,
}

impl CoordinatorNames {
    /// # Errors
    /// A DNS name that is the coordinator's, or a wildcard that covers one.
    pub(crate) fn refuse_dns(&self, name: &str) -> Result<(), Cause> {
        let asked = canonical(name);
        let taken = |own: &&String| {
            let own = canonical(own);
            own != LOCALHOST && (own == asked || covers(&asked, &own) || covers(&own, &asked))
        };
        match self.dns_names.iter().find(taken) {
            Some(_) => {
                Err(Cause(format!("the DNS name {name:?} belongs to the coordinator; choose another one")))
            }
            None => Ok(()),
        }
    }

    /// # Errors
    /// An address that is the coordinator's.
    pub(crate) fn refuse_ip(&self, address: IpAddr) -> Result<(), Cause> {
        let address = address.to_canonical();
        if LOOPBACK.contains(&address) || !self.ip_addresses.iter().any(|own| own.to_canonical() == address) {
            return Ok(());
        }
        Err(Cause(format!("the IP address {address} belongs to the coordinator; choose another one")))
    }

    /// # Errors
    /// A common name that a client without regard for RFC 6125 would take for the coordinator's.
    pub(crate) fn refuse_common_name(&self, name: &str) -> Result<(), Cause> {
        match name.parse() {
            Ok(address) => self.refuse_ip(address),
            Err(_) => self.refuse_dns(name),
        }
    }

    /// # Errors
    /// Any of the names is the coordinator's.
    pub(crate) fn refuse_any(&self, names: &[GeneralName]) -> Result<(), Cause> {
        for name in names {
            match name {
                GeneralName::DnsName(name) => self.refuse_dns(name.as_str())?,
                GeneralName::IpAddress(bytes) => {
                    if let Some(address) = ip_address(bytes.as_bytes()) {
                        self.refuse_ip(address)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An address of 4 or 16 bytes.
pub(crate) fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether `pattern` is `*.` and the rest of `name` after its first label.
fn covers(pattern: &str, name: &str) -> bool {
    let rest = name.split_once('.').map(|(_, rest)| rest);
    pattern.strip_prefix("*.").is_some_and(|suffix| rest == Some(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> CoordinatorNames {
        CoordinatorNames {
            dns_names: vec![LOCALHOST.into(), "Coordinator.example".into(), "a.b.example".into()],
            ip_addresses: vec![LOOPBACK[0], LOOPBACK[1], "10.1.2.3".parse().unwrap()],
        }
    }

    //
    #[test]
    fn the_coordinators_names_are_refused_in_any_spelling() {
        for name in ["coordinator.example", "COORDINATOR.EXAMPLE", "coordinator.example.", "a.b.example"] {
            assert!(names().refuse_dns(name).is_err(), "{name}");
        }
        assert!(names().refuse_ip("10.1.2.3".parse().unwrap()).is_err());
        assert!(names().refuse_ip("::ffff:10.1.2.3".parse().unwrap()).is_err());
    }

    //
    #[test]
    fn a_wildcard_over_a_coordinators_name_is_refused() {
        assert!(names().refuse_dns("*.b.example").is_err());
        assert!(names().refuse_dns("*.example").is_err());
        assert!(names().refuse_dns("*.c.example").is_ok());
    }

    //
    #[test]
    fn localhost_and_everybody_elses_names_are_allowed() {
        for name in ["localhost", "api.example", "xcoordinator.example", "coordinator.example.org", ""] {
            assert!(names().refuse_dns(name).is_ok(), "{name}");
        }
        for address in ["127.0.0.1", "::1", "10.1.2.4", "::ffff:127.0.0.1"] {
            assert!(names().refuse_ip(address.parse().unwrap()).is_ok(), "{address}");
        }
    }
}
