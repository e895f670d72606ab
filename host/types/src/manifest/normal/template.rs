//! Writes certificate templates (manifest.md 2.9).

use std::net::IpAddr;

use time::format_description::well_known::Rfc3339;

use super::writer::Writer;
use crate::encoding::encode_base64;
use crate::manifest::read::uri_parts;
use crate::manifest::secret::{CertificateTemplate, NameConstraints, Oid, SubjectTemplate};

pub(super) fn certificate(w: &mut Writer, cert: &CertificateTemplate) {
    w.object(|w| {
        w.integer("SignatureAlgorithm", cert.signature_algorithm);
        if cert.subject != SubjectTemplate::default() {
            w.field("Subject", |w| subject(w, &cert.subject));
        }
        if let Some(time) = cert.not_after.and_then(|time| time.format(&Rfc3339).ok()) {
            w.text("NotAfter", &time);
        }
        w.integer("KeyUsage", cert.key_usage);
        w.optional_list("ExtKeyUsage", cert.ext_key_usage.as_deref(), |w, usage| w.display(usage));
        w.list("UnknownExtKeyUsage", &cert.unknown_ext_key_usage, oid);
        w.flag("IsCA", cert.is_ca);
        w.integer("MaxPathLen", cert.max_path_len);
        w.flag("MaxPathLenZero", cert.max_path_len_zero);
        w.bytes("SubjectKeyId", &cert.subject_key_id);
        w.bytes("AuthorityKeyId", &cert.authority_key_id);
        w.texts("OCSPServer", &cert.ocsp_server);
        w.texts("IssuingCertificateURL", &cert.issuing_certificate_url);
        w.optional_list("DNSNames", cert.dns_names.as_deref(), |w, name| w.string(name));
        w.texts("EmailAddresses", &cert.email_addresses);
        w.optional_list("IPAddresses", cert.ip_addresses.as_deref(), address);
        w.list("URIs", &cert.uris, |w, text| uri(w, text));
        constraints(w, &cert.name_constraints);
        w.texts("CRLDistributionPoints", &cert.crl_distribution_points);
        w.list("PolicyIdentifiers", &cert.policy_identifiers, oid);
        w.list("ExtraExtensions", &cert.extra_extensions, |w, extension| {
            w.object(|w| {
                w.field("Id", |w| oid(w, &extension.id));
                w.flag("Critical", extension.critical);
                w.bytes("Value", &extension.value);
            });
        });
    });
}

fn subject(w: &mut Writer, subject: &SubjectTemplate) {
    w.object(|w| {
        w.texts("Country", &subject.country);
        w.texts("Organization", &subject.organization);
        w.texts("OrganizationalUnit", &subject.organizational_unit);
        w.texts("Locality", &subject.locality);
        w.texts("Province", &subject.province);
        w.texts("StreetAddress", &subject.street_address);
        w.texts("PostalCode", &subject.postal_code);
        w.text("SerialNumber", &subject.serial_number);
        w.text("CommonName", &subject.common_name);
        w.list("ExtraNames", &subject.extra_names, |w, (kind, value)| {
            w.object(|w| {
                w.field("Type", |w| oid(w, kind));
                w.text("Value", value);
            });
        });
    });
}

fn constraints(w: &mut Writer, constraints: &NameConstraints) {
    let NameConstraints { critical, permitted, excluded } = constraints;
    w.flag("PermittedDNSDomainsCritical", *critical);
    w.texts("PermittedDNSDomains", &permitted.dns_domains);
    w.texts("ExcludedDNSDomains", &excluded.dns_domains);
    w.list("PermittedIPRanges", &permitted.ip_ranges, range);
    w.list("ExcludedIPRanges", &excluded.ip_ranges, range);
    w.texts("PermittedEmailAddresses", &permitted.email_addresses);
    w.texts("ExcludedEmailAddresses", &excluded.email_addresses);
    w.texts("PermittedURIDomains", &permitted.uri_domains);
    w.texts("ExcludedURIDomains", &excluded.uri_domains);
}

fn range(w: &mut Writer, (ip, mask): &(IpAddr, Vec<u8>)) {
    w.object(|w| {
        w.field("IP", |w| address(w, ip));
        w.field("Mask", |w| w.string(&encode_base64(mask)));
    });
}

fn address(w: &mut Writer, address: &IpAddr) {
    w.string(&address.to_string());
}

fn oid(w: &mut Writer, oid: &Oid) {
    w.items(oid, |w, arc| w.display(arc));
}

fn uri(w: &mut Writer, text: &str) {
    let parts = uri_parts(text);
    w.object(|w| {
        w.text("Scheme", &parts.scheme);
        w.text("Opaque", &parts.opaque);
        w.text("Host", &parts.host);
        w.text("Path", &parts.path);
        w.text("RawQuery", &parts.raw_query);
        w.text("Fragment", &parts.fragment);
    });
}
