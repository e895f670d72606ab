//! Certificates and lists of revoked ones.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use super::{Certified, Dated, Link, Settings, Signer, YEAR, der};

/// 1.2.840.113741.1.13.1
const SGX_EXTENSION: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

pub(super) struct Certificates {
    root: rcgen::Certificate,
    pck_ca: rcgen::Certificate,
    pck: rcgen::Certificate,
    tcb_signer: rcgen::Certificate,
    root_key: KeyPair,
    pck_ca_key: KeyPair,
    stranger: KeyPair,
}

impl Certificates {
    pub(super) fn new(settings: &Settings, pck: &Signer, tcb_signer: &Signer) -> Self {
        let [root_key, pck_ca_key, stranger] = std::array::from_fn(|_| Signer::generate().certified);
        let key = |link, right| if settings.forged == Some(link) { &stranger } else { right };
        let root = authority("Generated SGX Root CA", settings.now - YEAR, settings.now + 10 * YEAR);
        let dates = |of| settings.dates(Dated::Certificate(of));
        let (from, until) = dates(Certified::PckCa);
        let mut pck_ca = authority("Generated SGX PCK Platform CA", from, until);
        pck_ca.serial_number = Some(serial(Certified::PckCa));
        let mut platform = leaf("Generated SGX PCK Certificate", Certified::Pck, dates(Certified::Pck));
        platform.custom_extensions =
            vec![CustomExtension::from_oid_content(&SGX_EXTENSION, extension(settings))];
        let signer = leaf("Generated SGX TCB Signing", Certified::TcbSigner, dates(Certified::TcbSigner));
        let by = |params: &CertificateParams, issuer: &CertificateParams, key: &KeyPair, public: &KeyPair| {
            params.signed_by(public, &Issuer::from_params(issuer, key)).unwrap()
        };
        Self {
            pck: by(&platform, &pck_ca, key(Link::Pck, &pck_ca_key), &pck.certified),
            tcb_signer: by(&signer, &root, key(Link::TcbSigner, &root_key), &tcb_signer.certified),
            pck_ca: by(&pck_ca, &root, key(Link::PckCa, &root_key), &pck_ca_key),
            root: root.self_signed(&root_key).unwrap(),
            root_key,
            pck_ca_key,
            stranger,
        }
    }

    pub(super) fn root(&self) -> Vec<u8> {
        self.root.der().to_vec()
    }

    /// As it stands in a quote.
    pub(super) fn pck_chain(&self) -> String {
        [self.pck.pem(), self.pck_ca.pem(), self.root.pem()].concat()
    }

    pub(super) fn pck_crl_issuers(&self) -> String {
        [self.pck_ca.pem(), self.root.pem()].concat()
    }

    pub(super) fn tcb_issuers(&self) -> String {
        [self.tcb_signer.pem(), self.root.pem()].concat()
    }

    pub(super) fn root_crl(&self, settings: &Settings) -> Vec<u8> {
        let revoked = settings.revoked.filter(|of| *of != Certified::Pck);
        let key = if settings.forged == Some(Link::RootCrl) { &self.stranger } else { &self.root_key };
        let issuer = authority("Generated SGX Root CA", 0, YEAR);
        crl(revoked, settings.dates(Dated::RootCrl), &issuer, key)
    }

    pub(super) fn pck_crl(&self, settings: &Settings) -> Vec<u8> {
        let revoked = settings.revoked.filter(|of| *of == Certified::Pck);
        let key = if settings.forged == Some(Link::PckCrl) { &self.stranger } else { &self.pck_ca_key };
        let issuer = authority("Generated SGX PCK Platform CA", 0, YEAR);
        crl(revoked, settings.dates(Dated::PckCrl), &issuer, key)
    }
}

fn time(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn serial(of: Certified) -> SerialNumber {
    SerialNumber::from(match of {
        Certified::PckCa => 11_u64,
        Certified::Pck => 12,
        Certified::TcbSigner => 13,
    })
}

fn named(name: &str, (from, until): (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (time(from), time(until));
    params
}

fn authority(name: &str, from: i64, until: i64) -> CertificateParams {
    let mut params = named(name, (from, until));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(name: &str, of: Certified, dates: (i64, i64)) -> CertificateParams {
    let mut params = named(name, dates);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(serial(of));
    params
}

fn crl(
    revoked: Option<Certified>,
    (from, until): (i64, i64),
    issuer: &CertificateParams,
    key: &KeyPair,
) -> Vec<u8> {
    let revoked_certs = revoked.into_iter().map(|of| RevokedCertParams {
        serial_number: serial(of),
        revocation_time: time(from),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: time(from),
        next_update: time(until),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&Issuer::from_params(issuer, key)).unwrap().der().to_vec()
}

/// What Intel writes about a platform (Intel SGX PCK certificate profile, section 1.3.5).
fn extension(settings: &Settings) -> Vec<u8> {
    let component = |index: u8| der::named(&[2, index], der::integer(settings.svn.into()));
    let mut tcb: Vec<Vec<u8>> = (1..=16).map(component).collect();
    tcb.push(der::named(&[2, 17], der::integer(settings.pce_svn)));
    tcb.push(der::named(&[2, 18], der::octets(&[settings.svn; 16])));
    der::sequence(&[
        der::named(&[1], der::octets(&[0x99; 16])),
        der::named(&[2], der::sequence(&tcb)),
        der::named(&[3], der::octets(&[0, 0])),
        der::named(&[4], der::octets(&settings.fmspc)),
        der::named(&[5], der::enumerated(1)),
    ])
}
