//! Secret definitions and certificate templates (manifest.md 2.8, 2.9).

use time::OffsetDateTime;

/// The type of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKind {
    /// `symmetric-key`.
    SymmetricKey,
    /// `cert-rsa`.
    CertRsa,
    /// `cert-ecdsa`.
    CertEcdsa,
    /// `cert-ed25519`.
    CertEd25519,
    /// `plain`.
    Plain,
    /// Anything else; a safe manifest has none (M-70).
    Unknown(String),
}

impl SecretKind {
    /// The manifest's word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SymmetricKey => "symmetric-key",
            Self::CertRsa => "cert-rsa",
            Self::CertEcdsa => "cert-ecdsa",
            Self::CertEd25519 => "cert-ed25519",
            Self::Plain => "plain",
            Self::Unknown(name) => name,
        }
    }

    /// Reads the manifest's word; case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "symmetric-key" => Self::SymmetricKey,
            "cert-rsa" => Self::CertRsa,
            "cert-ecdsa" => Self::CertEcdsa,
            "cert-ed25519" => Self::CertEd25519,
            "plain" => Self::Plain,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Whether secrets of this type are certificates with a key.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(self, Self::CertRsa | Self::CertEcdsa | Self::CertEd25519)
    }
}

/// A secret as the manifest declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretDefinition {
    /// Its type.
    pub kind: SecretKind,
    /// In bits.
    pub size: u64,
    /// One value for all Marbles.
    pub shared: bool,
    /// Uploaded by users.
    pub user_defined: bool,
    /// Days; certificates only; 0 = not given.
    pub valid_for: u64,
    /// The certificate's template. Boxed: it is large, and most secrets have none.
    pub cert: Option<Box<CertificateTemplate>>,
}

impl Default for SecretDefinition {
    /// Nothing is set, as `null` in a manifest leaves it (M-4): no safe manifest has such a secret.
    fn default() -> Self {
        Self {
            kind: SecretKind::Unknown(String::new()),
            size: 0,
            shared: false,
            user_defined: false,
            valid_for: 0,
            cert: None,
        }
    }
}

/// An object identifier's arcs.
pub type Oid = Vec<u64>;

/// What of Go's x509.Certificate is honoured on generation (manifest.md 2.9). `None` in a list = missing or null
/// (take the default); an empty list suppresses the default (M-18, M-19).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CertificateTemplate {
    /// Go's number; 0 = automatic.
    pub signature_algorithm: i64,
    /// The subject.
    pub subject: SubjectTemplate,
    /// `None` = unset, also for Go's zero time (M-20).
    pub not_after: Option<OffsetDateTime>,
    /// M-17's bit mask; 0 = default.
    pub key_usage: i64,
    /// M-18's numbers.
    pub ext_key_usage: Option<Vec<i64>>,
    /// Further extended key usages.
    pub unknown_ext_key_usage: Vec<Oid>,
    /// CA:TRUE.
    pub is_ca: bool,
    /// Path length; 0 with `max_path_len_zero` false = unset; -1 = unset.
    pub max_path_len: i64,
    /// Whether a 0 in `max_path_len` is meant.
    pub max_path_len_zero: bool,
    /// Key id.
    pub subject_key_id: Vec<u8>,
    /// Issuer's key id.
    pub authority_key_id: Vec<u8>,
    /// Authority information access: OCSP.
    pub ocsp_server: Vec<String>,
    /// Authority information access: issuer.
    pub issuing_certificate_url: Vec<String>,
    /// SANs.
    pub dns_names: Option<Vec<String>>,
    /// SANs.
    pub email_addresses: Vec<String>,
    /// SANs.
    pub ip_addresses: Option<Vec<std::net::IpAddr>>,
    /// SANs, written out.
    pub uris: Vec<String>,
    /// Name constraints.
    pub name_constraints: NameConstraints,
    /// URLs.
    pub crl_distribution_points: Vec<String>,
    /// OIDs.
    pub policy_identifiers: Vec<Oid>,
    /// Appended as they stand.
    pub extra_extensions: Vec<ExtraExtension>,
}

/// A certificate's subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectTemplate {
    /// C.
    pub country: Vec<String>,
    /// O.
    pub organization: Vec<String>,
    /// OU.
    pub organizational_unit: Vec<String>,
    /// L.
    pub locality: Vec<String>,
    /// ST.
    pub province: Vec<String>,
    /// Street.
    pub street_address: Vec<String>,
    /// Postal code.
    pub postal_code: Vec<String>,
    /// serialNumber.
    pub serial_number: String,
    /// CN.
    pub common_name: String,
    /// Further attributes: OID and value (strings only; other types are refused).
    pub extra_names: Vec<(Oid, String)>,
}

/// Name constraints of a CA certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Criticality of the extension.
    pub critical: bool,
    /// Permitted subtrees.
    pub permitted: NameSubtrees,
    /// Excluded subtrees.
    pub excluded: NameSubtrees,
}

/// Subtrees by kind of name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameSubtrees {
    /// DNS domains.
    pub dns_domains: Vec<String>,
    /// Address and mask, of equal length (4 or 16 bytes).
    pub ip_ranges: Vec<(std::net::IpAddr, Vec<u8>)>,
    /// E-mail addresses or domains.
    pub email_addresses: Vec<String>,
    /// URI domains.
    pub uri_domains: Vec<String>,
}

/// An extension that the template adds as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraExtension {
    /// Its OID.
    pub id: Oid,
    /// Criticality.
    pub critical: bool,
    /// DER of the value.
    pub value: Vec<u8>,
}
