//! A Marble's certificate request (PKCS#10, RFC 2986): read once, with its signature checked.
//!
//! Of a request only the subject, the DNS names and the IP addresses are used (G-41, G-43); its key is not, but it must
//! have signed the request (G-29). Keys may be ECDSA P-256, P-384 or P-521, RSA or Ed25519.

use std::net::IpAddr;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::request::{CertReqInfo, ExtensionReq};

use super::extension::oid::SUBJECT_ALT_NAME;
use super::reserved::ip_address;
use crate::error::Cause;

/// PKCS#9 extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// A certificate request that the holder of its key has signed.
#[derive(Debug)]
pub struct MarbleRequest {
    subject: Name,
    dns_names: Vec<String>,
    ip_addresses: Vec<IpAddr>,
}

impl MarbleRequest {
    /// Reads the DER of a request.
    ///
    /// # Errors
    /// G-29: it is no request, its signature is wrong, or a name in it cannot be read.
    pub fn parse(der: &[u8]) -> Result<Self, Cause> {
        let malformed = |_| Cause("malformed certificate request".to_owned());
        let outer = AnyRef::from_der(der).map_err(malformed)?;
        let mut reader = SliceReader::new(outer.value()).map_err(malformed)?;
        // The signature covers the bytes as sent, not what this library would write.
        let signed = reader.tlv_bytes().map_err(malformed)?;
        let algorithm = AlgorithmIdentifierRef::decode(&mut reader).map_err(malformed)?;
        let signature = BitStringRef::decode(&mut reader).map_err(malformed)?;
        if !reader.is_finished() || der::Tagged::tag(&outer) != der::Tag::Sequence {
            return Err(Cause("malformed certificate request".to_owned()));
        }
        let info = CertReqInfo::from_der(signed).map_err(malformed)?;
        verify(&info.public_key, &algorithm, signed, signature.raw_bytes())?;

        let (dns_names, ip_addresses) = names(&requested_extensions(&info)?)?;
        Ok(Self { subject: info.subject, dns_names, ip_addresses })
    }

    /// The subject, as asked for.
    pub(crate) fn subject(&self) -> &Name {
        &self.subject
    }

    /// The DNS names, as asked for.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// The IP addresses, as asked for.
    #[must_use]
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.ip_addresses
    }
}

fn requested_extensions(info: &CertReqInfo) -> Result<Vec<Extension>, Cause> {
    let mut extensions = Vec::new();
    for attribute in info.attributes.iter().filter(|attribute| attribute.oid == EXTENSION_REQUEST) {
        for value in attribute.values.iter() {
            let request: ExtensionReq = value
                .decode_as()
                .map_err(|_| Cause("malformed extensions in the certificate request".to_owned()))?;
            extensions.extend(request.0);
        }
    }
    Ok(extensions)
}

fn names(extensions: &[Extension]) -> Result<(Vec<String>, Vec<IpAddr>), Cause> {
    let (mut dns_names, mut ip_addresses) = (Vec::new(), Vec::new());
    for extension in extensions.iter().filter(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        let malformed = || Cause("malformed alternative names in the certificate request".to_owned());
        let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).map_err(|_| malformed())?;
        for name in names.0 {
            match name {
                GeneralName::DnsName(name) => dns_names.push(name.to_string()),
                GeneralName::IpAddress(bytes) => {
                    ip_addresses.push(ip_address(bytes.as_bytes()).ok_or_else(malformed)?);
                }
                _ => {}
            }
        }
    }
    Ok((dns_names, ip_addresses))
}

fn verify(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierRef<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Cause> {
    let unsupported = || {
        Cause("unsupported key or signature algorithm in the certificate request; use ECDSA P-384".to_owned())
    };
    let verifier = verification_algorithm(key, &algorithm.oid).ok_or_else(unsupported)?;
    UnparsedPublicKey::new(verifier, key.subject_public_key.raw_bytes())
        .verify(message, signature)
        .map_err(|_| Cause("the signature of the certificate request does not verify".to_owned()))
}

/// The one algorithm that fits both the key and what the request says it was signed with.
fn verification_algorithm(
    key: &SubjectPublicKeyInfoOwned,
    signature_oid: &ObjectIdentifier,
) -> Option<&'static dyn VerificationAlgorithm> {
    const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

    if key.algorithm.oid == EC_PUBLIC_KEY {
        let curve: ObjectIdentifier = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
        return ecdsa(&curve.to_string(), &signature_oid.to_string());
    }
    if key.algorithm.oid == RSA {
        return rsa(&signature_oid.to_string());
    }
    (key.algorithm.oid == ED25519 && *signature_oid == ED25519).then_some(&signature::ED25519)
}

fn ecdsa(curve: &str, signature_oid: &str) -> Option<&'static dyn VerificationAlgorithm> {
    const P256: &str = "1.2.840.10045.3.1.7";
    const P384: &str = "1.3.132.0.34";
    const P521: &str = "1.3.132.0.35";
    const WITH_SHA256: &str = "1.2.840.10045.4.3.2";
    const WITH_SHA384: &str = "1.2.840.10045.4.3.3";
    const WITH_SHA512: &str = "1.2.840.10045.4.3.4";
    Some(match (curve, signature_oid) {
        (P256, WITH_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (P256, WITH_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (P256, WITH_SHA512) => &signature::ECDSA_P256_SHA512_ASN1,
        (P384, WITH_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (P384, WITH_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (P384, WITH_SHA512) => &signature::ECDSA_P384_SHA512_ASN1,
        (P521, WITH_SHA256) => &signature::ECDSA_P521_SHA256_ASN1,
        (P521, WITH_SHA384) => &signature::ECDSA_P521_SHA384_ASN1,
        (P521, WITH_SHA512) => &signature::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

fn rsa(signature_oid: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match signature_oid {
        "1.2.840.113549.1.1.11" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "1.2.840.113549.1.1.12" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}
