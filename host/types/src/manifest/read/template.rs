//! Certificate templates (manifest.md 2.9): Go's x509.Certificate as JSON.

use std::net::IpAddr;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, macros::datetime};

use super::uri;
use crate::manifest::fields::{At, Read, Warnings, clipped};
use crate::manifest::secret::{CertificateTemplate, ExtraExtension, NameConstraints, Oid, SubjectTemplate};

const FIELDS: &[&str] = &[
    "SignatureAlgorithm",
    "Subject",
    "NotAfter",
    "KeyUsage",
    "ExtKeyUsage",
    "UnknownExtKeyUsage",
    "IsCA",
    "MaxPathLen",
    "MaxPathLenZero",
    "SubjectKeyId",
    "AuthorityKeyId",
    "OCSPServer",
    "IssuingCertificateURL",
    "DNSNames",
    "EmailAddresses",
    "IPAddresses",
    "URIs",
    "PermittedDNSDomainsCritical",
    "PermittedDNSDomains",
    "ExcludedDNSDomains",
    "PermittedIPRanges",
    "ExcludedIPRanges",
    "PermittedEmailAddresses",
    "ExcludedEmailAddresses",
    "PermittedURIDomains",
    "ExcludedURIDomains",
    "CRLDistributionPoints",
    "PolicyIdentifiers",
    "ExtraExtensions",
];

/// Fields of Go's structure that the coordinator overwrites or that never counted.
const IGNORED: &[&str] = &[
    "Raw",
    "RawTBSCertificate",
    "RawSubjectPublicKeyInfo",
    "RawSubject",
    "RawIssuer",
    "Signature",
    "PublicKeyAlgorithm",
    "PublicKey",
    "Version",
    "SerialNumber",
    "Issuer",
    "NotBefore",
    "Extensions",
    "UnhandledCriticalExtensions",
    "BasicConstraintsValid",
];

/// Go's zero time means "unset" (M-20).
const ZERO_TIME: OffsetDateTime = datetime!(0001-01-01 00:00:00 UTC);

pub(super) fn certificate(at: &At<'_>, warnings: &mut Warnings) -> Read<CertificateTemplate> {
    if !at.is_object() {
        return Err(at.mistake(
            "expected a certificate template as an object; a finished certificate is not supported",
        ));
    }
    let mut cert = CertificateTemplate::default();
    at.fields(FIELDS, IGNORED, warnings, |name, at, warnings| {
        match name {
            "SignatureAlgorithm" => cert.signature_algorithm = at.integer()?,
            "Subject" => cert.subject = subject(at, warnings)?,
            "NotAfter" => cert.not_after = time(at)?,
            "KeyUsage" => cert.key_usage = at.integer()?,
            "ExtKeyUsage" => cert.ext_key_usage = at.optional_list(|at| at.integer())?,
            "UnknownExtKeyUsage" => cert.unknown_ext_key_usage = at.list(oid)?,
            "IsCA" => cert.is_ca = at.boolean()?,
            "MaxPathLen" => cert.max_path_len = at.integer()?,
            "MaxPathLenZero" => cert.max_path_len_zero = at.boolean()?,
            "SubjectKeyId" => cert.subject_key_id = at.bytes()?,
            "AuthorityKeyId" => cert.authority_key_id = at.bytes()?,
            "OCSPServer" => cert.ocsp_server = at.texts()?,
            "IssuingCertificateURL" => cert.issuing_certificate_url = at.texts()?,
            "DNSNames" => cert.dns_names = at.optional_list(|at| at.text())?,
            "EmailAddresses" => cert.email_addresses = at.texts()?,
            "IPAddresses" => cert.ip_addresses = at.optional_list(address)?,
            "URIs" => cert.uris = at.list_of_objects(warnings, uri::uri)?,
            "CRLDistributionPoints" => cert.crl_distribution_points = at.texts()?,
            "PolicyIdentifiers" => cert.policy_identifiers = at.list(oid)?,
            "ExtraExtensions" => cert.extra_extensions = at.list_of_objects(warnings, extension)?,
            _ => constraint(name, at, warnings, &mut cert.name_constraints)?,
        }
        Ok(())
    })?;
    Ok(cert)
}

fn constraint(
    name: &str,
    at: &At<'_>,
    warnings: &mut Warnings,
    constraints: &mut NameConstraints,
) -> Read<()> {
    let NameConstraints { critical, permitted, excluded } = constraints;
    match name {
        "PermittedDNSDomainsCritical" => *critical = at.boolean()?,
        "PermittedDNSDomains" => permitted.dns_domains = at.texts()?,
        "ExcludedDNSDomains" => excluded.dns_domains = at.texts()?,
        "PermittedIPRanges" => permitted.ip_ranges = ranges(at, warnings)?,
        "ExcludedIPRanges" => excluded.ip_ranges = ranges(at, warnings)?,
        "PermittedEmailAddresses" => permitted.email_addresses = at.texts()?,
        "ExcludedEmailAddresses" => excluded.email_addresses = at.texts()?,
        "PermittedURIDomains" => permitted.uri_domains = at.texts()?,
        _ => excluded.uri_domains = at.texts()?,
    }
    Ok(())
}

fn subject(at: &At<'_>, warnings: &mut Warnings) -> Read<SubjectTemplate> {
    const FIELDS: &[&str] = &[
        "Country",
        "Organization",
        "OrganizationalUnit",
        "Locality",
        "Province",
        "StreetAddress",
        "PostalCode",
        "SerialNumber",
        "CommonName",
        "ExtraNames",
    ];
    let mut subject = SubjectTemplate::default();
    at.fields(FIELDS, &["Names"], warnings, |name, at, warnings| {
        match name {
            "Country" => subject.country = at.texts()?,
            "Organization" => subject.organization = at.texts()?,
            "OrganizationalUnit" => subject.organizational_unit = at.texts()?,
            "Locality" => subject.locality = at.texts()?,
            "Province" => subject.province = at.texts()?,
            "StreetAddress" => subject.street_address = at.texts()?,
            "PostalCode" => subject.postal_code = at.texts()?,
            "SerialNumber" => subject.serial_number = at.text()?,
            "CommonName" => subject.common_name = at.text()?,
            _ => subject.extra_names = at.list_of_objects(warnings, attribute)?,
        }
        Ok(())
    })?;
    Ok(subject)
}

fn attribute(at: &At<'_>, warnings: &mut Warnings) -> Read<(Oid, String)> {
    let (mut kind, mut value) = (Oid::new(), String::new());
    at.fields(&["Type", "Value"], &[], warnings, |name, at, _| {
        match name {
            "Type" => kind = oid(at)?,
            _ => value = at.text()?,
        }
        Ok(())
    })?;
    Ok((kind, value))
}

fn extension(at: &At<'_>, warnings: &mut Warnings) -> Read<ExtraExtension> {
    let mut extension = ExtraExtension::default();
    at.fields(&["Id", "Critical", "Value"], &[], warnings, |name, at, _| {
        match name {
            "Id" => extension.id = oid(at)?,
            "Critical" => extension.critical = at.boolean()?,
            _ => extension.value = at.bytes()?,
        }
        Ok(())
    })?;
    Ok(extension)
}

fn oid(at: &At<'_>) -> Read<Oid> {
    at.list(|arc| arc.unsigned())
}

/// RFC 3339 as Go reads it, which is stricter than the RFC: `T` and `Z` in upper case, no leap seconds (M-21).
fn time(at: &At<'_>) -> Read<Option<OffsetDateTime>> {
    let Some(text) = at.optional_text()? else { return Ok(None) };
    let shape = text.as_bytes();
    let strict = shape.get(10) == Some(&b'T') && shape.get(17..19) != Some(b"60") && !text.ends_with('z');
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(time) if strict => Ok((time != ZERO_TIME).then_some(time)),
        _ => Err(at.mistake(format!("{:?} is no time; write it like 2030-01-31T00:00:00Z", clipped(text)))),
    }
}

/// An IP address (M-21); IPv6 forms of IPv4 addresses are those addresses.
fn address(at: &At<'_>) -> Read<IpAddr> {
    let text = at.optional_text()?.unwrap_or_default();
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) => Err(at.mistake(format!("invalid IP address: {}", clipped(text)))),
    }
}

fn ranges(at: &At<'_>, warnings: &mut Warnings) -> Read<Vec<(IpAddr, Vec<u8>)>> {
    let ranges = at.list_of_objects(warnings, |at, warnings| {
        let (mut ip, mut mask) = (None, Vec::new());
        at.fields(&["IP", "Mask"], &[], warnings, |name, at, _| {
            match name {
                "IP" => ip = Some(address(at)?),
                _ => mask = at.bytes()?,
            }
            Ok(())
        })?;
        let length = match ip {
            Some(IpAddr::V4(_)) => 4,
            Some(IpAddr::V6(_)) => 16,
            None => return Err(at.mistake("an IP range needs IP and Mask")),
        };
        if mask.len() != length {
            return Err(at.mistake(format!("this range's Mask needs {length} bytes and has {}", mask.len())));
        }
        Ok(ip.map(|ip| (ip, mask)))
    })?;
    Ok(ranges.into_iter().flatten().collect())
}
