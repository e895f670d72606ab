//! A chain of SEV-SNP of our own, for tests: ARK, ASK, VCEK or VLEK, revocation list and report, as AMD makes them.
//!
//! [`SnpChain::new`] makes one that is right; [`SnpSettings`] says what shall be wrong. Reports are changed before they
//! are signed. Keys of RSA are made once in a process, and have 2,048 bits: making AMD's 4,096 takes seconds.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384};
use time::OffsetDateTime;

use super::YEAR;
use super::der::{element, integer, octets, sequence};
use crate::framing::snp::{REPORT_BYTES, SnpEvidence};
use crate::snp::{Generation, SnpRoot};

const DAY: i64 = 24 * 3600;

/// What is signed; and, in [`SnpSettings::forged`], by somebody else than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnpLink {
    /// The ASK, by the ARK.
    Ask,
    /// VCEK or VLEK, by the ASK.
    Leaf,
    /// The revocation list, by the ARK.
    RevocationList,
    /// The report, by VCEK or VLEK.
    Report,
}

/// What has a time of validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnpDated {
    /// The ARK.
    Ark,
    /// The ASK.
    Ask,
    /// VCEK or VLEK.
    Leaf,
    /// The revocation list.
    RevocationList,
}

/// What a chain is made of. The default is right in all things.
#[derive(Debug, Clone)]
pub struct SnpSettings {
    /// Around when everything is valid, Unix seconds.
    pub now: i64,
    /// Whose root it has.
    pub generation: Generation,
    /// A VLEK instead of a VCEK: the certificate, and what the report says.
    pub vlek: bool,
    /// What the certificate has as HWID; `None` = the report's chip id.
    pub hwid: Option<Vec<u8>>,
    /// What the certificate has as TCB: boot loader, TEE, SNP, microcode, FMC; `None` = the report's.
    pub certified: Option<[u8; 5]>,
    /// Whether the ASK is a certification authority.
    pub authority: bool,
    /// Which key is not the one it should be.
    pub forged: Option<SnpLink>,
    /// Whether the list names the ASK.
    pub revoked: bool,
    /// What was valid only until the day before.
    pub expired: Option<SnpDated>,
    /// What is valid only from the next day on.
    pub future: Option<SnpDated>,
}

impl Default for SnpSettings {
    fn default() -> Self {
        Self {
            now: 1_750_000_000,
            generation: Generation::Milan,
            vlek: false,
            hwid: None,
            certified: None,
            authority: true,
            forged: None,
            revoked: false,
            expired: None,
            future: None,
        }
    }
}

/// A chain: certificates, and the key that signs reports.
pub struct SnpChain {
    settings: SnpSettings,
    leaf_key: EcdsaKeyPair,
    root: Vec<u8>,
    intermediate: Vec<u8>,
    leaf: Vec<u8>,
}

/// Boot loader, TEE, SNP, microcode and FMC of good reports; FMC counts on Turin only.
pub const TCB: [u8; 5] = [4, 1, 22, 211, 3];

/// ARK, ASK, and somebody else.
fn keys() -> &'static [RsaKeyPair; 3] {
    static KEYS: OnceLock<[RsaKeyPair; 3]> = OnceLock::new();
    KEYS.get_or_init(|| std::array::from_fn(|_| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
}

impl SnpChain {
    /// Makes the certificates.
    #[must_use]
    pub fn new(settings: &SnpSettings) -> Self {
        let [ark, ask, stranger] = keys();
        let by = |link, right| if settings.forged == Some(link) { stranger } else { right };
        let leaf_key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let certificate = |names: [&str; 2], of, public: &[u8], extensions: &[Vec<u8>], key: &RsaKeyPair| {
            let tbs = sequence(&[
                element(0xa0, &integer(2)),
                integer(serial(of)),
                algorithm(),
                name(names[0]),
                settings.dates(of),
                name(names[1]),
                public.to_vec(),
                element(0xa3, &sequence(extensions)),
            ]);
            signed(tbs, key)
        };
        // basicConstraints, critical
        let constraints = |ca: &[u8]| {
            let critical = vec![0x01, 0x01, 0xff];
            sequence(&[element(0x06, &[0x55, 0x1d, 0x13]), critical, octets(&element(0x30, ca))])
        };
        let authority = constraints(&[0x01, 0x01, 0xff]);
        let middle = if settings.authority { authority.clone() } else { constraints(&[]) };
        Self {
            settings: settings.clone(),
            root: certificate(["ARK", "ARK"], SnpDated::Ark, &rsa(ark), &[authority], ark),
            intermediate: certificate(
                ["ARK", "ASK"],
                SnpDated::Ask,
                &rsa(ask),
                &[middle],
                by(SnpLink::Ask, ark),
            ),
            leaf: certificate(
                ["ASK", "Leaf"],
                SnpDated::Leaf,
                &p384(&leaf_key),
                &settings.extensions(),
                by(SnpLink::Leaf, ask),
            ),
            leaf_key,
        }
    }

    /// The root, for a verifier, and without keys below it.
    #[must_use]
    pub fn root(&self) -> SnpRoot {
        let certificate = self.root.clone();
        SnpRoot { generation: self.settings.generation, certificate, intermediates: Vec::new() }
    }

    /// ASK, then VCEK or VLEK, DER.
    #[must_use]
    pub fn certificates(&self) -> [Vec<u8>; 2] {
        [self.intermediate.clone(), self.leaf.clone()]
    }

    /// The root's list of revoked certificates, DER.
    #[must_use]
    pub fn revocation_list(&self) -> Vec<u8> {
        let [ark, _, stranger] = keys();
        let settings = &self.settings;
        let key = if settings.forged == Some(SnpLink::RevocationList) { stranger } else { ark };
        let [from, until] = settings.times(SnpDated::RevocationList).map(utc);
        let of = if settings.revoked { SnpDated::Ask } else { SnpDated::RevocationList };
        let revoked = sequence(&[sequence(&[integer(serial(of)), from.clone()])]);
        signed(sequence(&[integer(1), algorithm(), name("ARK"), from, until, revoked]), key)
    }

    /// A good report, changed by whom it shall not be, and signed.
    #[must_use]
    pub fn report(&self, change: impl FnOnce(&mut [u8; REPORT_BYTES])) -> [u8; REPORT_BYTES] {
        let mut report = self.settings.report();
        change(&mut report);
        let key = if self.settings.forged == Some(SnpLink::Report) {
            &EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()
        } else {
            &self.leaf_key
        };
        let (message, place) = report.split_at_mut(0x2a0);
        let signature = key.sign(&SystemRandom::new(), message).unwrap();
        for (scalar, place) in signature.as_ref().chunks(48).zip(place.chunks_mut(72)) {
            scalar.iter().rev().zip(place).for_each(|(byte, place)| *place = *byte);
        }
        report
    }

    /// Framed evidence of a report, with all certificates.
    #[must_use]
    pub fn framed(&self, report: &[u8; REPORT_BYTES]) -> Vec<u8> {
        SnpEvidence { report, leaf: &self.leaf, intermediate: &self.intermediate, root: &self.root }.frame()
    }

    /// Framed evidence of a good report over this report data.
    #[must_use]
    pub fn evidence(&self, report_data: &[u8; 64]) -> Vec<u8> {
        self.framed(&self.report(|report| put(report, 0x50, report_data)))
    }
}

/// Writes into a report.
pub fn put(report: &mut [u8; REPORT_BYTES], at: usize, bytes: &[u8]) {
    report.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = *byte);
}

impl SnpSettings {
    /// TCB_VERSION of this generation.
    #[must_use]
    pub fn tcb(&self, [boot_loader, tee, snp, microcode, fmc]: [u8; 5]) -> [u8; 8] {
        match self.generation {
            Generation::Turin => [fmc, boot_loader, tee, snp, 0, 0, 0, microcode],
            Generation::Milan | Generation::Genoa => [boot_loader, tee, 0, 0, 0, 0, snp, microcode],
        }
    }

    fn chip_id(&self) -> Vec<u8> {
        vec![0xc1; if self.generation == Generation::Turin { 8 } else { 64 }]
    }

    fn report(&self) -> [u8; REPORT_BYTES] {
        let mut report = [0; REPORT_BYTES];
        let tcb = self.tcb(TCB);
        let fields: [(usize, &[u8]); 18] = [
            (0x00, &[3, 0, 0, 0]),
            (0x04, &[5, 0, 0, 0]),
            (0x08, &[0, 0, 3, 0, 0, 0, 0, 0]),
            (0x10, &[0xfa; 16]),
            (0x20, &[0x1a; 16]),
            (0x30, &[1, 0, 0, 0]),
            (0x34, &[1, 0, 0, 0]),
            (0x38, &tcb),
            (0x48, &[u8::from(self.vlek) << 2]),
            (0x50, &[0x5d; 64]),
            (0x90, &[0xab; 48]),
            (0xc0, &[0x0d; 32]),
            (0xe0, &[0x1d; 48]),
            (0x110, &[0xa0; 48]),
            (0x180, &tcb),
            (0x1a0, &self.chip_id()),
            (0x1e0, &tcb),
            (0x1f0, &tcb),
        ];
        fields.into_iter().for_each(|(at, bytes)| put(&mut report, at, bytes));
        report
    }

    fn times(&self, of: SnpDated) -> [i64; 2] {
        if self.expired == Some(of) {
            [self.now - YEAR, self.now - DAY]
        } else if self.future == Some(of) {
            [self.now + DAY, self.now + YEAR]
        } else {
            [self.now - YEAR, self.now + YEAR]
        }
    }

    fn dates(&self, of: SnpDated) -> Vec<u8> {
        sequence(&self.times(of).map(utc))
    }

    /// HWID or CSP_ID, and the TCB.
    fn extensions(&self) -> Vec<Vec<u8>> {
        let [boot_loader, tee, snp, microcode, fmc] = self.certified.unwrap_or(TCB);
        let part = |number, value: u8| amd(&[3, number], &integer(value.into()));
        let mut all = vec![part(1, boot_loader), part(2, tee), part(3, snp), part(8, microcode)];
        if self.generation == Generation::Turin {
            all.push(part(9, fmc));
        }
        let hwid = self.hwid.clone().unwrap_or_else(|| self.chip_id());
        all.push(if self.vlek { amd(&[5], &element(0x16, b"provider")) } else { amd(&[4], &hwid) });
        all
    }
}

fn serial(of: SnpDated) -> u16 {
    match of {
        SnpDated::Ark => 0x100,
        SnpDated::Ask => 0x101,
        SnpDated::Leaf => 0,
        SnpDated::RevocationList => 0x1ff,
    }
}

/// An extension below 1.3.6.1.4.1.3704.1.
fn amd(arcs: &[u8], value: &[u8]) -> Vec<u8> {
    let oid = [&[0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1], arcs].concat();
    sequence(&[element(0x06, &oid), octets(value)])
}

/// RSASSA-PSS with SHA-384 for both, 48 bytes of salt.
fn algorithm() -> Vec<u8> {
    hex::decode(concat!(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402020500",
        "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
    ))
    .unwrap()
}

fn name(common: &str) -> Vec<u8> {
    let attribute = sequence(&[element(0x06, &[0x55, 0x04, 0x03]), element(0x0c, common.as_bytes())]);
    sequence(&[element(0x31, &attribute)])
}

fn utc(seconds: i64) -> Vec<u8> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let (year, month, day) = (time.year() % 100, u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    element(0x17, format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
}

fn bits(content: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], content].concat())
}

/// SubjectPublicKeyInfo.
fn rsa(key: &RsaKeyPair) -> Vec<u8> {
    let algorithm = hex::decode("300d06092a864886f70d0101010500").unwrap();
    sequence(&[algorithm, bits(key.public_key().as_ref())])
}

fn p384(key: &EcdsaKeyPair) -> Vec<u8> {
    let algorithm = hex::decode("301006072a8648ce3d020106052b81040022").unwrap();
    sequence(&[algorithm, bits(key.public_key().as_ref())])
}

fn signed(tbs: Vec<u8>, key: &RsaKeyPair) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), &tbs, &mut signature).unwrap();
    sequence(&[tbs, algorithm(), bits(&signature)])
}
