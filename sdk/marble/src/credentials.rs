//! The key, certificate and signing request that a Marble makes for one start (marble-api.md section 9, steps 3, 5).
//!
//! They only carry the activation: the key that the service gets is made by the coordinator (G-40).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::quote::ReportData;

const COMMON_NAME: &str = "MarbleRun Marble";

/// The longest life that a certificate of the original has: 2^63-1 ns, about 292 years.
const LIFE: time::Duration = time::Duration::nanoseconds(i64::MAX);

/// Why credentials could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A name is no DNS name.
    #[error("{0:?} is neither a DNS name nor an IP address: correct EDG_MARBLE_DNS_NAMES")]
    Name(String),
    /// The key or certificate.
    #[error("making the Marble's certificate")]
    Certificate(#[from] rcgen::Error),
    /// The clock is beyond what certificates can say.
    #[error("making the Marble's certificate: the system time is out of range; set the clock")]
    Time,
}

/// What identifies this start of a Marble.
pub struct Credentials {
    /// The self-signed client certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// PKCS#10 DER, signed with the same key; empty subject.
    pub csr: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes a new P-384 key with certificate and request for these names; 127.0.0.1 and ::1 are always added.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn generate(names: &[String]) -> Result<Self, CredentialsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let sans = subject_alt_names(names)?;
        let certificate = certificate_params(sans.clone())?.self_signed(&key)?;
        let mut request = CertificateParams::default();
        request.distinguished_name = DistinguishedName::new();
        request.subject_alt_names = sans;
        let csr = request.serialize_request(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            csr: csr.der().to_vec(),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }

    /// What the quote must bind (G-32).
    #[must_use]
    pub fn report_data(&self) -> ReportData {
        Sha256::digest(&self.certificate).into()
    }
}

fn certificate_params(sans: Vec<SanType>) -> Result<CertificateParams, CredentialsError> {
    let now = i64::try_from(UnixTime::now().as_secs()).map_err(|_| CredentialsError::Time)?;
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|_| CredentialsError::Time)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.subject_alt_names = sans;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = now;
    params.not_after = now.checked_add(LIFE).ok_or(CredentialsError::Time)?;
    Ok(params)
}

fn subject_alt_names(names: &[String]) -> Result<Vec<SanType>, CredentialsError> {
    let mut sans = Vec::new();
    let mut addresses = Vec::new();
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => {
                let dns = name.as_str().try_into().map_err(|_| CredentialsError::Name(name.clone()))?;
                sans.push(SanType::DnsName(dns));
            }
        }
    }
    for loopback in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        if !addresses.contains(&loopback) {
            addresses.push(loopback);
        }
    }
    sans.extend(addresses.into_iter().map(SanType::IpAddress));
    Ok(sans)
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::GeneralName;
    use x509_parser::prelude::*;

    use super::*;

    fn made() -> Credentials {
        Credentials::generate(&["api.example".to_owned(), "10.1.2.3".to_owned()]).unwrap()
    }

    fn names(san: &SubjectAlternativeName<'_>) -> (Vec<String>, Vec<Vec<u8>>) {
        let mut dns = Vec::new();
        let mut addresses = Vec::new();
        for name in &san.general_names {
            match name {
                GeneralName::DNSName(text) => dns.push((*text).to_owned()),
                GeneralName::IPAddress(bytes) => addresses.push(bytes.to_vec()),
                other => panic!("unexpected {other:?}"),
            }
        }
        (dns, addresses)
    }

    fn expected_addresses() -> Vec<Vec<u8>> {
        vec![vec![10, 1, 2, 3], vec![127, 0, 0, 1], Ipv6Addr::LOCALHOST.octets().to_vec()]
    }

    // marble-api.md section 9, step 3
    #[test]
    fn the_certificate_has_the_specified_properties() {
        let credentials = made();
        let (_, certificate) = X509Certificate::from_der(&credentials.certificate).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=MarbleRun Marble");
        assert_eq!(certificate.issuer(), certificate.subject());
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && usage.key_agreement() && !usage.key_cert_sign());
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && extended.client_auth && !extended.any);
        assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
        let san = certificate.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names(san), (vec!["api.example".to_owned()], expected_addresses()));
        assert!(certificate.validity().not_after.to_datetime().year() > 2300, "X-61");
        let x509_parser::public_key::PublicKey::EC(point) = certificate.public_key().parsed().unwrap() else {
            panic!("not an EC key")
        };
        assert_eq!(point.key_size(), 384);
    }

    // marble-api.md section 9, step 5
    #[test]
    fn the_request_has_an_empty_subject_the_same_names_and_the_same_key() {
        let credentials = made();
        let (_, request) = X509CertificationRequest::from_der(&credentials.csr).unwrap();
        let (_, certificate) = X509Certificate::from_der(&credentials.certificate).unwrap();
        let info = &request.certification_request_info;
        assert_eq!(info.subject.to_string(), "");
        assert_eq!(info.subject_pki.raw, certificate.public_key().raw);
        let san = request
            .requested_extensions()
            .unwrap()
            .find_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(san) => Some(names(san)),
                _ => None,
            })
            .unwrap();
        assert_eq!(san, (vec!["api.example".to_owned()], expected_addresses()));
    }

    #[test]
    fn loopback_addresses_are_not_repeated() {
        let sans = subject_alt_names(&["::1".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        assert_eq!(sans.len(), 2);
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_refused_by_name() {
        let error = Credentials::generate(&["täst".to_owned()]).unwrap_err();
        assert!(
            error.to_string().contains("täst") && error.to_string().contains("EDG_MARBLE_DNS_NAMES"),
            "{error}"
        );
    }

    #[test]
    fn every_start_has_its_own_key_and_debug_shows_none() {
        let (one, two) = (made(), made());
        assert_ne!(one.key.secret_der(), two.key.secret_der());
        assert_eq!(format!("{one:?}"), "Credentials { .. }");
        assert_eq!(one.report_data(), <[u8; 32]>::from(Sha256::digest(&one.certificate)));
    }
}
