//! The certificate authority: two P-384 keys, three certificates (L-10..L-13), and what they sign.
//!
//! The root never changes for the life of a state. The intermediate and the marble root are one key and one subject: the
//! one is signed by the root, the other by itself, so that a chain may end at either (G-48, X-57). Keys come from the
//! library's own random source, serial numbers from the port.

use std::net::IpAddr;

use carrara_types::secret::SecretBytes;
use der::Decode;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::ca_key::CaKey;
use crate::certificate::extension::{self, oid};
use crate::certificate::reserved::{LOOPBACK, ip_address};
use crate::certificate::template::{Content, KeyIds};
use crate::certificate::{self, SignatureAlgorithm, Unsigned, certificate_pem, name};
use crate::digest_signature::DigestSigner;
use crate::error::Cause;
use crate::key_pair::{KeyKind, KeyPair};
use crate::outcome::TlsIdentity;
use crate::ports::Entropy;

pub use crate::certificate::request::MarbleRequest;
pub use crate::certificate::reserved::CoordinatorNames;

/// The root's common name.
const ROOT_NAME: &str = "MarbleRun Coordinator";
/// The common name of the intermediate and of the marble root.
const INTERMEDIATE_NAME: &str = "MarbleRun Coordinator - Intermediate CA";
/// Labels of the two keys.
const ROOT_KEY: &str = "coordinator root key";
const INTERMEDIATE_KEY: &str = "coordinator intermediate key";

/// The authority as the sealed state holds it (L-34): certificates in DER, keys in SEC1 DER.
#[derive(Debug)]
pub struct AuthorityRecords {
    /// `certificate:coordinatorRootCert`.
    pub root_certificate: Vec<u8>,
    /// `certificate:coordinatorIntermediateCert`.
    pub intermediate_certificate: Vec<u8>,
    /// `certificate:marbleRootCert`.
    pub marble_root_certificate: Vec<u8>,
    /// `privateKey:coordinatorRootKey`.
    pub root_key: SecretBytes,
    /// `privateKey:coordinatorIntermediateKey`.
    pub intermediate_key: SecretBytes,
}

/// A Marble's certificate and key.
#[derive(Debug)]
pub struct MarbleIdentity {
    /// DER.
    pub leaf_der: Vec<u8>,
    /// PKCS#8 DER.
    pub key_pkcs8: SecretBytes,
    /// SubjectPublicKeyInfo DER.
    pub public_spki: Vec<u8>,
}

/// The live authority.
pub struct Authority {
    root_key: CaKey,
    fingerprint_signer: DigestSigner,
    root: Vec<u8>,
    intermediate_key: CaKey,
    intermediate: Vec<u8>,
    marble_root: Vec<u8>,
    names: CoordinatorNames,
}

impl Authority {
    /// A new authority whose certificates carry `dns_names` (entries that read as IP addresses become IP SANs; empty
    /// ones are left out), 127.0.0.1 and ::1 (L-12).
    ///
    /// # Errors
    /// A name is not ASCII, or the library makes no key.
    pub fn generate(dns_names: &[String], now: OffsetDateTime, entropy: &dyn Entropy) -> Result<Self, Cause> {
        let names = split_names(dns_names);
        let root_key = CaKey::generate(ROOT_KEY)?;
        let issue = CaCertificate { subject: ROOT_NAME, key: &root_key, names: &names };
        let root = issue.sign(ROOT_NAME, &root_key, now, entropy)?;
        Self::with_new_intermediate(root_key, root, names, now, entropy)
    }

    /// The same root with a new intermediate key, for an update. The names are the root's.
    ///
    /// # Errors
    /// The library makes no key.
    pub fn renew_intermediate(&self, now: OffsetDateTime, entropy: &dyn Entropy) -> Result<Self, Cause> {
        let root_key = CaKey::from_sec1(ROOT_KEY, self.root_key.to_sec1()?.expose())?;
        Self::with_new_intermediate(root_key, self.root.clone(), self.names.clone(), now, entropy)
    }

    fn with_new_intermediate(
        root_key: CaKey,
        root: Vec<u8>,
        names: CoordinatorNames,
        now: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<Self, Cause> {
        let intermediate_key = CaKey::generate(INTERMEDIATE_KEY)?;
        let issue = CaCertificate { subject: INTERMEDIATE_NAME, key: &intermediate_key, names: &names };
        let intermediate = issue.sign(ROOT_NAME, &root_key, now, entropy)?;
        let marble_root = issue.sign(INTERMEDIATE_NAME, &intermediate_key, now, entropy)?;
        let fingerprint_signer = DigestSigner::from_pkcs8(root_key.pkcs8().expose())?;
        Ok(Self { root_key, fingerprint_signer, root, intermediate_key, intermediate, marble_root, names })
    }

    /// The authority of a state.
    ///
    /// # Errors
    /// A record does not read, or a certificate is not of its key.
    pub fn from_records(records: AuthorityRecords) -> Result<Self, Cause> {
        let root_key = CaKey::from_sec1(ROOT_KEY, records.root_key.expose())?;
        let intermediate_key = CaKey::from_sec1(INTERMEDIATE_KEY, records.intermediate_key.expose())?;
        let root = read_certificate("root", &records.root_certificate, &root_key)?;
        read_certificate("intermediate", &records.intermediate_certificate, &intermediate_key)?;
        read_certificate("marble root", &records.marble_root_certificate, &intermediate_key)?;
        Ok(Self {
            fingerprint_signer: DigestSigner::from_pkcs8(root_key.pkcs8().expose())?,
            root_key,
            root: records.root_certificate,
            intermediate_key,
            intermediate: records.intermediate_certificate,
            marble_root: records.marble_root_certificate,
            names: names_of(&root)?,
        })
    }

    /// What the state keeps.
    ///
    /// # Errors
    /// The library does not encode a key.
    pub fn to_records(&self) -> Result<AuthorityRecords, Cause> {
        Ok(AuthorityRecords {
            root_certificate: self.root.clone(),
            intermediate_certificate: self.intermediate.clone(),
            marble_root_certificate: self.marble_root.clone(),
            root_key: self.root_key.to_sec1()?,
            intermediate_key: self.intermediate_key.to_sec1()?,
        })
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// The intermediate certificate, signed by the root, DER.
    #[must_use]
    pub fn intermediate_der(&self) -> &[u8] {
        &self.intermediate
    }

    /// The marble root: the intermediate's key, signed by itself; DER.
    #[must_use]
    pub fn marble_root_der(&self) -> &[u8] {
        &self.marble_root
    }

    /// The public key of the marble root (and of the intermediate), as an uncompressed point of P-384.
    pub(crate) fn marble_root_point(&self) -> &[u8] {
        self.intermediate_key.public_point()
    }

    /// [`Authority::root_der`] as PEM.
    #[must_use]
    pub fn root_pem(&self) -> String {
        certificate_pem(&self.root)
    }

    /// [`Authority::intermediate_der`] as PEM.
    #[must_use]
    pub fn intermediate_pem(&self) -> String {
        certificate_pem(&self.intermediate)
    }

    /// [`Authority::marble_root_der`] as PEM.
    #[must_use]
    pub fn marble_root_pem(&self) -> String {
        certificate_pem(&self.marble_root)
    }

    /// What the REST port presents.
    #[must_use]
    pub fn rest_identity(&self) -> TlsIdentity {
        TlsIdentity { certificate: self.root.clone(), key: self.root_key.pkcs8().duplicate() }
    }

    /// What the Marbles' port presents (G-10).
    #[must_use]
    pub fn mesh_identity(&self) -> TlsIdentity {
        TlsIdentity { certificate: self.marble_root.clone(), key: self.intermediate_key.pkcs8().duplicate() }
    }

    /// The names in the root certificate (L-13).
    #[must_use]
    pub fn coordinator_names(&self) -> &CoordinatorNames {
        &self.names
    }

    /// ASN.1 DER ECDSA by the root key over SHA-256 of the message. Takes more than a millisecond.
    ///
    /// # Errors
    /// The library does not sign.
    pub fn sign_fingerprint(&self, message: &[u8]) -> Result<Vec<u8>, Cause> {
        self.fingerprint_signer.sign_sha256(message)
    }

    /// A Marble's certificate with a new P-384 key (G-40..G-48). On an activation's path: one key pair, one signature.
    ///
    /// # Errors
    /// The request asks for a name of the coordinator.
    pub fn issue_marble(
        &self,
        request: &MarbleRequest,
        marble_type: &str,
        uuid: &str,
        now: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<MarbleIdentity, Cause> {
        let names = extension::dns_and_ip(request.dns_names(), request.ip_addresses())?;
        self.names.refuse_any(&names)?;

        let key = KeyPair::generate(KeyKind::EcdsaP384, "marble key")?;
        let mut extensions = vec![
            extension::key_usage(extension::DIGITAL_SIGNATURE | extension::KEY_AGREEMENT)?,
            extension::ext_key_usage(vec![oid::SERVER_AUTH, oid::CLIENT_AUTH])?,
            extension::basic_constraints(false, None)?,
            extension::authority_key_id(self.intermediate_key.key_id())?,
        ];
        if !names.is_empty() {
            extensions.push(extension::subject_alt_name(names)?);
        }
        extensions.push(extension::raw(oid::MARBLE_TYPE, false, marble_type.as_bytes().to_vec())?);
        let certificate = Unsigned {
            subject: name::for_marble(request.subject(), uuid)?,
            issuer: name::common_name(INTERMEDIATE_NAME)?,
            not_before: now,
            not_after: certificate::longest_validity(now)?,
            spki: &key.spki,
            extensions,
        };
        let leaf_der = certificate.sign(&self.intermediate_key, SignatureAlgorithm::EcdsaSha384, entropy)?;
        Ok(MarbleIdentity { leaf_der, key_pkcs8: key.pkcs8, public_spki: key.spki })
    }

    /// Whose key identifiers a secret's certificate carries; `subject` is that of its own key.
    pub(crate) fn key_ids<'a>(&'a self, subject: &'a [u8]) -> KeyIds<'a> {
        KeyIds { subject, issuer: self.intermediate_key.key_id() }
    }

    /// A secret's certificate, signed by the intermediate key (S-30).
    pub(crate) fn issue_secret(
        &self,
        content: Content,
        spki: &[u8],
        (not_before, not_after): (OffsetDateTime, OffsetDateTime),
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Cause> {
        let Content { subject, extensions, algorithm } = content;
        let issuer = name::common_name(INTERMEDIATE_NAME)?;
        let certificate = Unsigned { subject, issuer, not_before, not_after, spki, extensions };
        certificate.sign(&self.intermediate_key, algorithm, entropy)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A certificate of the authority before anybody signs it.
struct CaCertificate<'a> {
    subject: &'static str,
    key: &'a CaKey,
    names: &'a CoordinatorNames,
}

impl CaCertificate<'_> {
    fn sign(
        &self,
        issuer: &'static str,
        issuer_key: &CaKey,
        now: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Cause> {
        let certificate = Unsigned {
            subject: name::common_name(self.subject)?,
            issuer: name::common_name(issuer)?,
            not_before: now,
            not_after: certificate::longest_validity(now)?,
            spki: self.key.spki(),
            extensions: self.extensions(issuer_key)?,
        };
        certificate.sign(issuer_key, SignatureAlgorithm::EcdsaSha384, entropy)
    }

    fn extensions(&self, issuer_key: &CaKey) -> Result<Vec<Extension>, Cause> {
        let names = extension::dns_and_ip(&self.names.dns_names, &self.names.ip_addresses)?;
        Ok(vec![
            extension::key_usage(extension::DIGITAL_SIGNATURE | extension::CERT_SIGN)?,
            extension::ext_key_usage(vec![oid::SERVER_AUTH, oid::CLIENT_AUTH])?,
            extension::basic_constraints(true, None)?,
            extension::subject_key_id(self.key.key_id())?,
            extension::authority_key_id(issuer_key.key_id())?,
            extension::subject_alt_name(names)?,
        ])
    }
}

fn split_names(configured: &[String]) -> CoordinatorNames {
    let mut names = CoordinatorNames { dns_names: Vec::new(), ip_addresses: LOOPBACK.to_vec() };
    for name in configured.iter().filter(|name| !name.is_empty()) {
        match name.parse::<IpAddr>() {
            Ok(address) if names.ip_addresses.contains(&address) => {}
            Ok(address) => names.ip_addresses.push(address),
            Err(_) => names.dns_names.push(name.clone()),
        }
    }
    names
}

fn read_certificate(which: &str, der: &[u8], key: &CaKey) -> Result<Certificate, Cause> {
    let certificate = Certificate::from_der(der)
        .map_err(|_| Cause(format!("reading the {which} certificate: it is malformed")))?;
    let point = certificate.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
    if point != key.public_point() {
        return Err(Cause(format!("reading the {which} certificate: it is not of its key")));
    }
    Ok(certificate)
}

fn names_of(root: &Certificate) -> Result<CoordinatorNames, Cause> {
    let malformed = |_| Cause("reading the root certificate: its names are malformed".to_owned());
    let mut names = CoordinatorNames::default();
    let Some((_, SubjectAltName(all))) = root.tbs_certificate.get().map_err(malformed)? else {
        return Ok(names);
    };
    for name in all {
        match name {
            GeneralName::DnsName(name) => names.dns_names.push(name.to_string()),
            GeneralName::IpAddress(bytes) => names.ip_addresses.extend(ip_address(bytes.as_bytes())),
            _ => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
