//! What certificates of secrets must not say: a Marble's type (X-11a) and the coordinator's own names.
//!
//! Both would let a Marble pass for something else before a client that trusts the marble root. Only templates that
//! are used are judged: those of generated certificate secrets.

use std::net::IpAddr;

use super::Found;
use crate::decision::Severity;
use crate::manifest::ParsedManifest;
use crate::manifest::secret::{CertificateTemplate, Oid};

/// The extension that holds a Marble's type (G-45).
const MARBLE_TYPE: &[u64] = &[1, 3, 9903, 2, 1];

/// subjectAltName (RFC 5280, section 4.2.1.6).
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];

/// The tag of a dNSName in a GeneralName.
const DNS_NAME: u8 = 0x82;

/// The tag of an iPAddress in a GeneralName.
const IP_ADDRESS: u8 = 0x87;

/// The coordinator's own names, without those that everybody may use.
struct OwnNames {
    dns: Vec<String>,
    ip: Vec<IpAddr>,
}

pub(super) fn judge(manifest: &ParsedManifest, coordinator_names: &[String], found: &mut Found) {
    let own = OwnNames::new(coordinator_names);
    for (name, secret) in &manifest.secrets {
        let Some(cert) =
            secret.cert.as_ref().filter(|_| secret.kind.is_certificate() && !secret.user_defined)
        else {
            continue;
        };
        if oids(cert).any(|oid| oid == MARBLE_TYPE) {
            let message = format!(
                "secret {name} is invalid: its certificate must not carry a Marble's type (1.3.9903.2.1)"
            );
            found.error("X-11a", &["Secrets", name, "Cert"], message);
        }
        judge_names(name, cert, &own, found);
        for (index, extension) in cert.extra_extensions.iter().enumerate() {
            if extension.id == SUBJECT_ALT_NAME && own.might_be_in(&extension.value) {
                let message = format!(
                    "secret {name} is invalid: its certificate must not carry the coordinator's own names"
                );
                let hint = "give names in DNSNames and IPAddresses";
                let path = ["Secrets", name, "Cert", "ExtraExtensions", &index.to_string()];
                found.add(Severity::Error, "X-5", &path, message, hint);
            }
        }
    }
}

/// names that everybody may use stay allowed.
fn judge_names(name: &str, cert: &CertificateTemplate, own: &OwnNames, found: &mut Found) {
    let refused = |shown: &str| {
        format!("secret {name} is invalid: its certificate must not carry the coordinator's own name {shown}")
    };
    for (index, dns) in cert.dns_names.iter().flatten().enumerate() {
        if own.has_dns(dns) {
            found.error("X-5", &["Secrets", name, "Cert", "DNSNames", &index.to_string()], refused(dns));
        }
    }
    for (index, ip) in cert.ip_addresses.iter().flatten().enumerate() {
        if own.ip.contains(ip) {
            let path = ["Secrets", name, "Cert", "IPAddresses", &index.to_string()];
            found.error("X-5", &path, refused(&ip.to_string()));
        }
    }
}

/// All identifiers that a template puts into a certificate.
fn oids(cert: &CertificateTemplate) -> impl Iterator<Item = &Oid> {
    let extensions = cert.extra_extensions.iter().map(|extension| &extension.id);
    let attributes = cert.subject.extra_names.iter().map(|(kind, _)| kind);
    extensions.chain(attributes).chain(&cert.unknown_ext_key_usage).chain(&cert.policy_identifiers)
}

impl OwnNames {
    fn new(names: &[String]) -> Self {
        let ip = names.iter().filter_map(|name| name.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical());
        let dns = names.iter().filter(|name| name.parse::<IpAddr>().is_err()).map(|name| plain(name));
        Self {
            ip: ip
                .filter(|ip| ![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()].contains(ip))
                .collect(),
            dns: dns.filter(|name| name != "localhost").collect(),
        }
    }

    /// Whether a DNS name is, or as a wildcard covers, one of the coordinator's.
    fn has_dns(&self, name: &str) -> bool {
        if self.dns.is_empty() {
            return false;
        }
        let name = plain(name);
        self.dns.iter().any(|own| {
            let parent = own.split_once('.').map(|(_, parent)| parent);
            *own == name || name.strip_prefix("*.").is_some_and(|rest| parent == Some(rest))
        })
    }

    /// Whether a subjectAltName extension holds one of the names, or cannot be read while there are some.
    fn might_be_in(&self, extension: &[u8]) -> bool {
        if self.dns.is_empty() && self.ip.is_empty() {
            return false;
        }
        let Some((0x30, mut names, [])) = element(extension) else { return true };
        while !names.is_empty() {
            let Some((tag, value, rest)) = element(names) else { return true };
            names = rest;
            let own = match tag {
                DNS_NAME => std::str::from_utf8(value).map_or(true, |name| self.has_dns(name)),
                IP_ADDRESS => address(value).is_none_or(|ip| self.ip.contains(&ip)),
                _ => false,
            };
            if own {
                return true;
            }
        }
        false
    }
}

/// DNS names are compared without case and without the root's dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok().map(|ip| ip.to_canonical())
}

/// The first DER element: tag, contents, rest. Lengths of up to two bytes: a name is not longer.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, start) = match *der.get(1..)? {
        [length @ 0..=0x7F, ..] => (usize::from(length), 2),
        [0x81, length, ..] => (usize::from(length), 3),
        [0x82, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 4),
        _ => return None,
    };
    let (value, rest) = der.get(start..)?.split_at_checked(length)?;
    Some((*der.first()?, value, rest))
}
