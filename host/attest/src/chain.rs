//! A chain of our own, for tests: root, PCK CA, platform, collateral and quotes of SGX and TDX, as Intel makes them.
//!
//! Compiled into tests only (feature `testing`). [`Chain::new`] makes one that is right; [`Settings`] says what shall be
//! wrong. Its root counts only for a [`crate::verify::Verifier`] that was told so.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Tests stop where a chain cannot be made.

mod certificates;
mod der;
mod documents;
mod quotes;
pub mod snp;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use dcap_qvl::QuoteCollateralV3;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::collateral::{Collateral, Tee};
use certificates::Certificates;

/// A year in seconds.
const YEAR: i64 = 365 * 24 * 3600;

/// What is signed; and, in [`Settings::forged`], by somebody else than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The certificate of the CA that certifies platforms, by the root.
    PckCa,
    /// The platform's certificate, by that CA.
    Pck,
    /// The certificate of the signer of TCB info and QE identity, by the root.
    TcbSigner,
    /// The TCB info.
    TcbInfo,
    /// The QE identity.
    QeIdentity,
    /// The root's list of revoked certificates.
    RootCrl,
    /// The PCK CA's.
    PckCrl,
    /// The quoting enclave's report, by the platform's key.
    QeReport,
    /// The attestation key, by its hash in the quoting enclave's report.
    AttestationKey,
    /// The quote, by the attestation key.
    Quote,
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PckCa,
        Self::Pck,
        Self::TcbSigner,
        Self::TcbInfo,
        Self::QeIdentity,
        Self::RootCrl,
        Self::PckCrl,
        Self::QeReport,
        Self::AttestationKey,
        Self::Quote,
    ];
}

/// A certificate of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certified {
    /// The CA that certifies platforms.
    PckCa,
    /// The platform.
    Pck,
    /// Who signs TCB info and QE identity.
    TcbSigner,
}

/// What has a time of validity of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dated {
    /// The TCB info.
    TcbInfo,
    /// The QE identity.
    QeIdentity,
    /// The root's list of revoked certificates.
    RootCrl,
    /// The PCK CA's.
    PckCrl,
    /// A certificate.
    Certificate(Certified),
}

impl Dated {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TcbInfo,
        Self::QeIdentity,
        Self::RootCrl,
        Self::PckCrl,
        Self::Certificate(Certified::PckCa),
        Self::Certificate(Certified::Pck),
        Self::Certificate(Certified::TcbSigner),
    ];
}

/// A level of the TCB info, highest first: what a platform needs for it, and what it is worth.
#[derive(Debug, Clone)]
pub struct Level {
    /// The least version of each of the 16 components of CPUSVN.
    pub svn: u8,
    /// The least PCESVN.
    pub pce_svn: u16,
    /// The status, such as `UpToDate`.
    pub status: &'static str,
    /// The advisories.
    pub advisories: &'static [&'static str],
}

/// What a chain is made of. The default is right in all things, and `UpToDate`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Around when everything is valid, Unix seconds.
    pub now: i64,
    /// Whose collateral.
    pub tee: Tee,
    /// The platform's kind, in its certificate.
    pub fmspc: [u8; 6],
    /// The kind in the TCB info; `None` = the same.
    pub tcb_fmspc: Option<[u8; 6]>,
    /// The PCE's id in the TCB info; in the platform's certificate it is 0.
    pub tcb_pce_id: [u8; 2],
    /// Each of the platform's 16 CPUSVN components.
    pub svn: u8,
    /// The platform's PCESVN.
    pub pce_svn: u16,
    /// The levels of the TCB info.
    pub levels: Vec<Level>,
    /// The quoting enclave's ISVSVN; 8 is up to date, below 6 there is no level.
    pub qe_svn: u16,
    /// The quoting enclave's signer; the identity demands all 0x51.
    pub qe_signer: [u8; 32],
    /// The quoting enclave's product; the identity demands 1, for TDX 2.
    pub qe_product: Option<u16>,
    /// The quoting enclave's debug flag.
    pub qe_debug: bool,
    /// `tcbEvaluationDataNumber` of both documents.
    pub evaluation: u32,
    /// Which key is not the one it should be.
    pub forged: Option<Link>,
    /// Which certificate is revoked.
    pub revoked: Option<Certified>,
    /// What was valid only until the day before.
    pub expired: Option<Dated>,
    /// What is valid only from the next day on.
    pub future: Option<Dated>,
}

impl Default for Settings {
    fn default() -> Self {
        let level = |svn, status, advisories| Level { svn, pce_svn: 10, status, advisories };
        Self {
            now: 1_750_000_000,
            tee: Tee::Sgx,
            fmspc: [0x00, 0x90, 0x6e, 0xa1, 0x00, 0x00],
            tcb_fmspc: None,
            tcb_pce_id: [0, 0],
            svn: 4,
            pce_svn: 13,
            levels: vec![
                level(4, "UpToDate", &[]),
                level(3, "SWHardeningNeeded", &["INTEL-SA-00334", "INTEL-SA-00615"]),
                level(2, "OutOfDate", &["INTEL-SA-00477"]),
                level(1, "Revoked", &[]),
            ],
            qe_svn: 8,
            qe_signer: [0x51; 32],
            qe_product: None,
            qe_debug: false,
            evaluation: 17,
            forged: None,
            revoked: None,
            expired: None,
            future: None,
        }
    }
}

impl Settings {
    /// From when until when something is valid.
    fn dates(&self, of: Dated) -> (i64, i64) {
        const DAY: i64 = 24 * 3600;
        let now = self.now;
        if self.expired == Some(of) {
            (now - YEAR, now - DAY)
        } else if self.future == Some(of) {
            (now + DAY, now + YEAR)
        } else if matches!(of, Dated::Certificate(_)) {
            (now - YEAR, now + 10 * YEAR)
        } else {
            (now - DAY, now + 29 * DAY)
        }
    }
}

/// What a quote shall say of an enclave.
#[derive(Debug, Clone)]
pub struct Enclave {
    /// MRENCLAVE.
    pub unique_id: [u8; 32],
    /// MRSIGNER.
    pub signer_id: [u8; 32],
    /// ISVPRODID.
    pub product_id: u16,
    /// ISVSVN.
    pub security_version: u16,
    /// The debug attribute.
    pub debug: bool,
    /// Report data.
    pub report_data: [u8; 64],
}

impl Default for Enclave {
    fn default() -> Self {
        Self {
            unique_id: [0xab; 32],
            signer_id: [0xcd; 32],
            product_id: 7,
            security_version: 3,
            debug: false,
            report_data: [0x5d; 64],
        }
    }
}

/// What a quote shall say of a virtual machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// MRTD.
    pub mr_td: [u8; 48],
    /// RTMR0..RTMR3.
    pub rtmrs: [[u8; 48]; 4],
    /// TDATTRIBUTES.
    pub attributes: [u8; 8],
    /// TEE_TCB_SVN.
    pub tee_tcb_svn: [u8; 16],
    /// TEE_TCB_SVN2, what it runs on now, where the quote is of version 5; `None` = what it was started on.
    pub current_tcb_svn: Option<[u8; 16]>,
    /// The signer of the TDX module; the TCB info demands zeros.
    pub seam_signer: [u8; 48],
    /// MRSERVICETD, where the quote is of version 5.
    pub service_td: [u8; 48],
    /// Report data.
    pub report_data: [u8; 64],
}

impl Machine {
    /// SEPT_VE_DISABLE, without which Intel's library accepts no virtual machine.
    pub const ATTRIBUTES: [u8; 8] = [0, 0, 0, 0x10, 0, 0, 0, 0];
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            mr_td: [0xab; 48],
            rtmrs: [[0xa0; 48], [0xa1; 48], [0xa2; 48], [0xa3; 48]],
            attributes: Self::ATTRIBUTES,
            tee_tcb_svn: [4; 16],
            current_tcb_svn: None,
            seam_signer: [0; 48],
            service_td: [0; 48],
            report_data: [0x5d; 64],
        }
    }
}

/// A chain: who signs, and what collateral says.
pub struct Chain {
    settings: Settings,
    certificates: Certificates,
    pck: Signer,
    attestation: Signer,
    stranger: Signer,
    parts: QuoteCollateralV3,
}

impl Chain {
    /// Makes keys, certificates and collateral.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let [pck, tcb_signer, attestation, stranger] = std::array::from_fn(|_| Signer::generate());
        let certificates = Certificates::new(settings, &pck, &tcb_signer);
        let signer = |link| if settings.forged == Some(link) { &stranger } else { &tcb_signer };
        let tcb_info = documents::tcb_info(settings);
        let qe_identity = documents::qe_identity(settings);
        let parts = QuoteCollateralV3 {
            pck_crl_issuer_chain: certificates.pck_crl_issuers(),
            root_ca_crl: certificates.root_crl(settings),
            pck_crl: certificates.pck_crl(settings),
            tcb_info_issuer_chain: certificates.tcb_issuers(),
            tcb_info_signature: signer(Link::TcbInfo).sign(tcb_info.as_bytes()),
            tcb_info,
            qe_identity_issuer_chain: certificates.tcb_issuers(),
            qe_identity_signature: signer(Link::QeIdentity).sign(qe_identity.as_bytes()),
            qe_identity,
            pck_certificate_chain: None,
        };
        Self { settings: settings.clone(), certificates, pck, attestation, stranger, parts }
    }

    /// Whose quotes it signs.
    #[must_use]
    pub fn tee(&self) -> Tee {
        self.settings.tee
    }

    /// The root's certificate, DER.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.certificates.root()
    }

    /// The collateral, as a PCCS would serve it.
    #[must_use]
    pub fn parts(&self) -> QuoteCollateralV3 {
        self.parts.clone()
    }

    /// The collateral.
    #[must_use]
    pub fn collateral(&self) -> Collateral {
        Collateral::from_parts(self.parts()).unwrap()
    }

    /// A quote of version 3, without a frame.
    #[must_use]
    pub fn sgx_quote(&self, enclave: &Enclave) -> Vec<u8> {
        quotes::sgx(self, enclave)
    }

    /// A quote of version 4, or of version 5 with a report of TDX 1.5, without a frame.
    #[must_use]
    pub fn tdx_quote(&self, machine: &Machine, version: u16) -> Vec<u8> {
        quotes::tdx(self, machine, version)
    }

    /// Who signs what is not part of the collateral.
    fn signer(&self, link: Link) -> &Signer {
        match link {
            forged if self.settings.forged == Some(forged) => &self.stranger,
            Link::QeReport => &self.pck,
            _ => &self.attestation,
        }
    }
}

/// A key on P-256 that signs in the form of quotes and in that of certificates.
struct Signer {
    raw: EcdsaKeyPair,
    certified: KeyPair,
}

impl Signer {
    fn generate() -> Self {
        let certified = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pkcs8 = certified.serialize_der();
        Self { raw: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap(), certified }
    }

    /// 64 bytes: r and s.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.raw.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// 64 bytes: x and y.
    fn public(&self) -> Vec<u8> {
        self.raw.public_key().as_ref().iter().skip(1).copied().collect()
    }
}
