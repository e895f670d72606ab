//! X.509 extensions, each encoded from plain values (RFC 5280 section 4.2).

use std::net::IpAddr;

use der::Encode;
use der::asn1::{BitString, Ia5String, ObjectIdentifier, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, NameConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};

use super::unencodable;
use crate::error::Cause;

/// What the extensions that this project reads or writes are called.
pub(crate) mod oid {
    use der::asn1::ObjectIdentifier;

    /// subjectKeyIdentifier.
    pub(crate) const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
    /// keyUsage.
    pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
    /// subjectAltName.
    pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
    /// basicConstraints.
    pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
    /// nameConstraints.
    pub(crate) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
    /// cRLDistributionPoints.
    pub(crate) const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
    /// certificatePolicies.
    pub(crate) const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
    /// authorityKeyIdentifier.
    pub(crate) const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
    /// extKeyUsage.
    pub(crate) const EXT_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
    /// authorityInfoAccess.
    pub(crate) const AUTHORITY_INFO_ACCESS: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
    /// The Marble's type, raw bytes (G-45).
    pub(crate) const MARBLE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.9903.2.1");
    /// serverAuth.
    pub(crate) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
    /// clientAuth.
    pub(crate) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
    /// Authority information access: OCSP.
    pub(crate) const ACCESS_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
    /// Authority information access: the issuer's certificate.
    pub(crate) const ACCESS_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");
}

/// keyUsage's digitalSignature, as [`key_usage`] counts.
pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
/// keyUsage's keyAgreement.
pub(crate) const KEY_AGREEMENT: u16 = 16;
/// keyUsage's keyCertSign.
pub(crate) const CERT_SIGN: u16 = 32;

/// An extension whose value is this DER.
pub(crate) fn raw(extn_id: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Result<Extension, Cause> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value).map_err(unencodable)? })
}

/// Bit `n` of `bits` is the named bit `n` (M-17). Critical.
pub(crate) fn key_usage(bits: u16) -> Result<Extension, Cause> {
    let [low, high] = bits.reverse_bits().to_be_bytes();
    let bytes = if high == 0 { vec![low] } else { vec![low, high] };
    let last = if high == 0 { low } else { high };
    // DER: trailing zero bits of a named bit list are left out.
    let unused = u8::try_from(last.trailing_zeros()).unwrap_or(0).min(7);
    let value = BitString::new(unused, bytes).map_err(unencodable)?;
    encoded(oid::KEY_USAGE, true, &value)
}

/// What the key may be used for, by OID.
pub(crate) fn ext_key_usage(usages: Vec<ObjectIdentifier>) -> Result<Extension, Cause> {
    encoded(oid::EXT_KEY_USAGE, false, &ExtendedKeyUsage(usages))
}

/// Critical; always present (S-32).
pub(crate) fn basic_constraints(ca: bool, path_len_constraint: Option<u8>) -> Result<Extension, Cause> {
    encoded(oid::BASIC_CONSTRAINTS, true, &BasicConstraints { ca, path_len_constraint })
}

/// This key's identifier.
pub(crate) fn subject_key_id(key_id: &[u8]) -> Result<Extension, Cause> {
    let key_id = OctetString::new(key_id).map_err(unencodable)?;
    encoded(oid::SUBJECT_KEY_ID, false, &SubjectKeyIdentifier(key_id))
}

/// The issuer's key identifier. It must equal the issuer's own, or OpenSSL refuses the chain.
pub(crate) fn authority_key_id(key_id: &[u8]) -> Result<Extension, Cause> {
    let key_identifier = Some(OctetString::new(key_id).map_err(unencodable)?);
    let value = AuthorityKeyIdentifier {
        key_identifier,
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    encoded(oid::AUTHORITY_KEY_ID, false, &value)
}

/// SANs. Not critical: the subject is never empty.
pub(crate) fn subject_alt_name(names: Vec<GeneralName>) -> Result<Extension, Cause> {
    encoded(oid::SUBJECT_ALT_NAME, false, &SubjectAltName(names))
}

/// Where to ask and where to get the issuer.
pub(crate) fn authority_info_access(ocsp: &[String], issuers: &[String]) -> Result<Extension, Cause> {
    let ocsp = ocsp.iter().map(|url| (oid::ACCESS_OCSP, url));
    let issuers = issuers.iter().map(|url| (oid::ACCESS_ISSUERS, url));
    let descriptions = ocsp
        .chain(issuers)
        .map(|(access_method, url)| Ok(AccessDescription { access_method, access_location: uri(url)? }))
        .collect::<Result<_, Cause>>()?;
    encoded(oid::AUTHORITY_INFO_ACCESS, false, &AuthorityInfoAccessSyntax(descriptions))
}

/// Policies by OID, without qualifiers.
pub(crate) fn certificate_policies(policies: Vec<ObjectIdentifier>) -> Result<Extension, Cause> {
    let policies = policies
        .into_iter()
        .map(|policy_identifier| PolicyInformation { policy_identifier, policy_qualifiers: None })
        .collect();
    encoded(oid::CERTIFICATE_POLICIES, false, &CertificatePolicies(policies))
}

/// What a CA may name.
pub(crate) fn name_constraints(critical: bool, constraints: &NameConstraints) -> Result<Extension, Cause> {
    encoded(oid::NAME_CONSTRAINTS, critical, constraints)
}

/// One distribution point for each URL.
pub(crate) fn crl_distribution_points(urls: &[String]) -> Result<Extension, Cause> {
    let points = urls
        .iter()
        .map(|url| {
            let distribution_point = Some(DistributionPointName::FullName(vec![uri(url)?]));
            Ok(DistributionPoint { distribution_point, reasons: None, crl_issuer: None })
        })
        .collect::<Result<_, Cause>>()?;
    encoded(oid::CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(points))
}

/// A DNS name; ASCII.
pub(crate) fn dns(name: &str) -> Result<GeneralName, Cause> {
    ia5("DNS name", name).map(GeneralName::DnsName)
}

/// An e-mail address; ASCII.
pub(crate) fn email(address: &str) -> Result<GeneralName, Cause> {
    ia5("e-mail address", address).map(GeneralName::Rfc822Name)
}

/// A URI; ASCII.
pub(crate) fn uri(uri: &str) -> Result<GeneralName, Cause> {
    ia5("URI", uri).map(GeneralName::UniformResourceIdentifier)
}

/// An address: 4 or 16 bytes. IPv4 in IPv6 is written as IPv4.
pub(crate) fn ip(address: IpAddr) -> Result<GeneralName, Cause> {
    let bytes = match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    ip_bytes(bytes)
}

/// An address, or an address and its mask.
pub(crate) fn ip_bytes(bytes: Vec<u8>) -> Result<GeneralName, Cause> {
    OctetString::new(bytes).map(GeneralName::IpAddress).map_err(unencodable)
}

/// All these names.
pub(crate) fn dns_and_ip(dns_names: &[String], addresses: &[IpAddr]) -> Result<Vec<GeneralName>, Cause> {
    let dns_names = dns_names.iter().map(|name| dns(name));
    dns_names.chain(addresses.iter().map(|address| ip(*address))).collect()
}

fn ia5(what: &str, text: &str) -> Result<Ia5String, Cause> {
    Ia5String::new(text).map_err(|_| Cause(format!("the {what} {text:?} is not ASCII")))
}

fn encoded(extn_id: ObjectIdentifier, critical: bool, value: &impl Encode) -> Result<Extension, Cause> {
    raw(extn_id, critical, value.to_der().map_err(unencodable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    // M-17
    #[test]
    fn key_usage_bits_are_a_minimal_named_bit_list() {
        let value = |bits| key_usage(bits).unwrap().extn_value.as_bytes().to_vec();
        assert_eq!(value(1), [3, 2, 7, 0x80]);
        assert_eq!(value(1 | 32), [3, 2, 2, 0x84]);
        assert_eq!(value(128), [3, 2, 0, 0x01]);
        assert_eq!(value(256), [3, 3, 7, 0, 0x80]);
        assert_eq!(value(511), [3, 3, 7, 0xFF, 0x80]);
    }

    #[test]
    fn a_dns_name_outside_ascii_is_refused() {
        assert_eq!(
            dns("b\u{fc}cher.example").unwrap_err().0,
            "the DNS name \"b\u{fc}cher.example\" is not ASCII"
        );
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_written_as_four_bytes() {
        let GeneralName::IpAddress(bytes) = ip("::ffff:10.0.0.1".parse().unwrap()).unwrap() else { panic!() };
        assert_eq!(bytes.as_bytes(), [10, 0, 0, 1]);
    }
}
