//! From a manifest's certificate template to a subject, extensions and a signature algorithm (manifest.md 2.9, S-31, S-32).
//!
//! The template of Go's x509.Certificate is followed as Go follows it, but for: names of the coordinator and the
//! marble-type extension are refused (X-5, X-11a), and so are key usage bits that mean nothing. The issuer's key
//! identifier always wins over `AuthorityKeyId`, as in Go: another one would break the chain.

use std::net::IpAddr;

use carrara_types::manifest::secret::{CertificateTemplate, NameSubtrees, Oid};
use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, NameConstraints};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::SignatureAlgorithm;
use super::extension::{self, oid};
use super::name;
use super::reserved::{CoordinatorNames, LOCALHOST, LOOPBACK};
use crate::error::Cause;

/// The common name of a certificate whose template gives none and not exactly one DNS name (S-31).
const DEFAULT_COMMON_NAME: &str = "MarbleRun Generated Certificate";

/// The attribute type of common names, as `ExtraNames` writes it.
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];

/// All bits of M-17.
const KNOWN_KEY_USAGES: i64 = 0x1FF;

/// Whose key identifiers go into a certificate.
#[derive(Clone, Copy)]
pub(crate) struct KeyIds<'a> {
    /// Of the certificate's own key.
    pub(crate) subject: &'a [u8],
    /// Of the issuer's key.
    pub(crate) issuer: &'a [u8],
}

/// What a template says of a certificate, with the defaults of S-31.
pub(crate) struct Content {
    /// Whom it is about.
    pub(crate) subject: Name,
    /// In Go's order.
    pub(crate) extensions: Vec<Extension>,
    /// How to sign it.
    pub(crate) algorithm: SignatureAlgorithm,
}

/// Reads a template.
pub(crate) fn content(
    template: &CertificateTemplate,
    ids: KeyIds<'_>,
    reserved: &CoordinatorNames,
) -> Result<Content, Cause> {
    let dns_names = template.dns_names.clone().unwrap_or_else(|| vec![LOCALHOST.to_owned()]);
    let common_name = match (template.subject.common_name.as_str(), dns_names.as_slice()) {
        ("", [only]) => only,
        ("", _) => DEFAULT_COMMON_NAME,
        (given, _) => given,
    };
    reserved.refuse_common_name(common_name)?;
    for (_, value) in template.subject.extra_names.iter().filter(|(oid, _)| *oid == COMMON_NAME) {
        reserved.refuse_common_name(value)?;
    }
    Ok(Content {
        subject: name::from_template(&template.subject, common_name)?,
        extensions: extensions(template, &dns_names, ids, reserved)?,
        algorithm: signature_algorithm(template.signature_algorithm)?,
    })
}

/// An OID of the manifest.
pub(crate) fn object_identifier(arcs: &Oid) -> Result<ObjectIdentifier, Cause> {
    let unencodable = || {
        let text: Vec<_> = arcs.iter().map(u64::to_string).collect();
        Cause(format!("{:?} is no object identifier that can be encoded", text.join(".")))
    };
    let arcs = arcs
        .iter()
        .map(|arc| u32::try_from(*arc))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unencodable())?;
    ObjectIdentifier::from_arcs(arcs).map_err(|_| unencodable())
}

/// Go's numbers; the issuer's key is ECDSA P-384.
fn signature_algorithm(number: i64) -> Result<SignatureAlgorithm, Cause> {
    match number {
        0 | 11 => Ok(SignatureAlgorithm::EcdsaSha384),
        10 => Ok(SignatureAlgorithm::EcdsaSha256),
        12 => Ok(SignatureAlgorithm::EcdsaSha512),
        other => Err(Cause(format!(
            "SignatureAlgorithm {other} does not suit the ECDSA P-384 issuer key; use 0, 10, 11 or 12"
        ))),
    }
}

fn extensions(
    template: &CertificateTemplate,
    dns_names: &[String],
    ids: KeyIds<'_>,
    reserved: &CoordinatorNames,
) -> Result<Vec<Extension>, Cause> {
    let extra = extra_extensions(template, reserved)?;
    let sans = alternative_names(template, dns_names)?;
    reserved.refuse_any(&sans)?;

    let mut all = usage_extensions(template)?;
    all.push(extension::basic_constraints(template.is_ca, path_length(template)?)?);
    if !template.subject_key_id.is_empty() {
        all.push(extension::subject_key_id(&template.subject_key_id)?);
    } else if template.is_ca {
        all.push(extension::subject_key_id(ids.subject)?);
    }
    all.push(extension::authority_key_id(ids.issuer)?);
    if !template.ocsp_server.is_empty() || !template.issuing_certificate_url.is_empty() {
        all.push(extension::authority_info_access(&template.ocsp_server, &template.issuing_certificate_url)?);
    }
    if !sans.is_empty() {
        all.push(extension::subject_alt_name(sans)?);
    }
    if !template.policy_identifiers.is_empty() {
        let policies = template.policy_identifiers.iter().map(object_identifier).collect::<Result<_, _>>()?;
        all.push(extension::certificate_policies(policies)?);
    }
    all.extend(name_constraints(template)?);
    if !template.crl_distribution_points.is_empty() {
        all.push(extension::crl_distribution_points(&template.crl_distribution_points)?);
    }
    // An extra extension replaces the one of its OID.
    all.retain(|built_in| !extra.iter().any(|other| other.extn_id == built_in.extn_id));
    all.extend(extra);
    Ok(all)
}

fn usage_extensions(template: &CertificateTemplate) -> Result<Vec<Extension>, Cause> {
    let bits = match template.key_usage {
        0 => extension::DIGITAL_SIGNATURE | extension::CERT_SIGN,
        given => u16::try_from(given)
            .ok()
            .filter(|_| given & !KNOWN_KEY_USAGES == 0)
            .ok_or_else(|| Cause(format!("KeyUsage {given} is no sum of the bits 1, 2, 4, ... 256")))?,
    };
    let mut all = vec![extension::key_usage(bits)?];
    let mut usages = match &template.ext_key_usage {
        None => vec![oid::SERVER_AUTH, oid::CLIENT_AUTH],
        Some(numbers) => numbers.iter().map(|number| ext_key_usage(*number)).collect::<Result<_, _>>()?,
    };
    for unknown in &template.unknown_ext_key_usage {
        usages.push(object_identifier(unknown)?);
    }
    if !usages.is_empty() {
        all.push(extension::ext_key_usage(usages)?);
    }
    Ok(all)
}

/// M-18.
fn ext_key_usage(number: i64) -> Result<ObjectIdentifier, Cause> {
    const ALL: [&str; 14] = [
        "2.5.29.37.0",
        "1.3.6.1.5.5.7.3.1",
        "1.3.6.1.5.5.7.3.2",
        "1.3.6.1.5.5.7.3.3",
        "1.3.6.1.5.5.7.3.4",
        "1.3.6.1.5.5.7.3.5",
        "1.3.6.1.5.5.7.3.6",
        "1.3.6.1.5.5.7.3.7",
        "1.3.6.1.5.5.7.3.8",
        "1.3.6.1.5.5.7.3.9",
        "1.3.6.1.4.1.311.10.3.3",
        "2.16.840.1.113730.4.1",
        "1.3.6.1.4.1.311.2.1.22",
        "1.3.6.1.4.1.311.61.1.1",
    ];
    usize::try_from(number)
        .ok()
        .and_then(|number| ALL.get(number))
        .and_then(|text| ObjectIdentifier::new(text).ok())
        .ok_or_else(|| Cause(format!("ExtKeyUsage {number} is unknown; use 0 to 13")))
}

fn path_length(template: &CertificateTemplate) -> Result<Option<u8>, Cause> {
    let length = match (template.max_path_len, template.max_path_len_zero) {
        (-1, _) | (0, false) => return Ok(None),
        (length, _) => length,
    };
    if !template.is_ca {
        return Err(Cause("MaxPathLen is only allowed together with IsCA".to_owned()));
    }
    u8::try_from(length).map(Some).map_err(|_| Cause(format!("MaxPathLen {length} is not within 0 to 255")))
}

fn alternative_names(
    template: &CertificateTemplate,
    dns_names: &[String],
) -> Result<Vec<GeneralName>, Cause> {
    let default_addresses: &[IpAddr] = &LOOPBACK;
    let addresses = template.ip_addresses.as_deref().unwrap_or(default_addresses);
    let dns_names = dns_names.iter().map(|name| extension::dns(name));
    let emails = template.email_addresses.iter().map(|address| extension::email(address));
    let addresses = addresses.iter().map(|address| extension::ip(*address));
    let uris = template.uris.iter().map(|uri| extension::uri(uri));
    dns_names.chain(emails).chain(addresses).chain(uris).collect()
}

fn extra_extensions(
    template: &CertificateTemplate,
    reserved: &CoordinatorNames,
) -> Result<Vec<Extension>, Cause> {
    let mut all = Vec::new();
    for extra in &template.extra_extensions {
        let id = object_identifier(&extra.id)?;
        if id == oid::MARBLE_TYPE {
            return Err(Cause(format!(
                "the extension {id} is reserved for Marbles' certificates; remove it"
            )));
        }
        if id == oid::SUBJECT_ALT_NAME {
            let names = SubjectAltName::from_der(&extra.value)
                .map_err(|_| Cause(format!("the extension {id} does not hold alternative names")))?;
            reserved.refuse_any(&names.0)?;
        }
        all.push(extension::raw(id, extra.critical, extra.value.clone())?);
    }
    Ok(all)
}

fn name_constraints(template: &CertificateTemplate) -> Result<Option<Extension>, Cause> {
    let constraints = &template.name_constraints;
    let permitted_subtrees = subtrees(&constraints.permitted)?;
    let excluded_subtrees = subtrees(&constraints.excluded)?;
    if permitted_subtrees.is_none() && excluded_subtrees.is_none() {
        return Ok(None);
    }
    let value = NameConstraints { permitted_subtrees, excluded_subtrees };
    extension::name_constraints(constraints.critical, &value).map(Some)
}

fn subtrees(names: &NameSubtrees) -> Result<Option<Vec<GeneralSubtree>>, Cause> {
    let dns = names.dns_domains.iter().map(|name| extension::dns(name));
    let ranges = names.ip_ranges.iter().map(|(address, mask)| ip_range(*address, mask));
    let emails = names.email_addresses.iter().map(|address| extension::email(address));
    let uris = names.uri_domains.iter().map(|domain| extension::uri(domain));
    let all = dns
        .chain(ranges)
        .chain(emails)
        .chain(uris)
        .map(|base| Ok(GeneralSubtree { base: base?, minimum: 0, maximum: None }))
        .collect::<Result<Vec<_>, Cause>>()?;
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// The masked address followed by the mask (RFC 5280 section 4.2.1.10).
fn ip_range(address: IpAddr, mask: &[u8]) -> Result<GeneralName, Cause> {
    let address_bytes = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    if address_bytes.len() != mask.len() {
        return Err(Cause(format!(
            "the IP range of {address} needs a mask of {} bytes",
            address_bytes.len()
        )));
    }
    let masked = address_bytes.iter().zip(mask).map(|(byte, mask)| byte & mask);
    extension::ip_bytes(masked.chain(mask.iter().copied()).collect())
}
