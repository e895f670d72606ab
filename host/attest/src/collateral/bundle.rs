//! Collateral in a file, for where no PCCS can be reached: JSON that `carrara collateral fetch` writes and a coordinator or
//! client reads.
//!
//! ```json
//! {
//!   "format": "carrara collateral 1",
//!   "collateral": [
//!     {
//!       "tee": "sgx", "fmspc": "00A067110000", "ca": "processor",
//!       "tcbInfo": "{...}", "tcbInfoSignature": "9ad0...", "tcbInfoIssuerChain": "-----BEGIN CERTIFICATE-----...",
//!       "qeIdentity": "{...}", "qeIdentitySignature": "f130...", "qeIdentityIssuerChain": "-----BEGIN CERTIFICATE-----...",
//!       "pckCrl": "3082...", "pckCrlIssuerChain": "-----BEGIN CERTIFICATE-----...", "rootCaCrl": "3082..."
//!     }
//!   ],
//!   "snp": { "certificates": ["3082..."], "revocationLists": ["3082..."] }
//! }
//! ```
//!
//! Documents are texts, since their signatures cover the very bytes; signatures and revocation lists (DER) are hex; chains are
//! PEM, the issuer first. `snp`, which may be left out, has certificates and revocation lists (DER, hex) of AMD's. `tee`, `fmspc` and `ca` must be what the parts say. Nothing in the file is trusted for being there.

use dcap_qvl::QuoteCollateralV3;
use serde::{Deserialize, Serialize};

use super::facts::Malformed;
use super::{Collateral, Key};
use crate::snp::SnpCollateral;

/// What the file says that it is.
pub const FORMAT: &str = "carrara collateral 1";

/// One piece has about 25 kB.
pub const MOST_BYTES: usize = 16 << 20;

/// Intel knows fewer kinds of platform.
const MOST_PIECES: usize = 512;

/// Collateral for any number of kinds of platform, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    pieces: Vec<Collateral>,
    snp: SnpCollateral,
}

/// Why a file is no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not JSON, or of another form.
    #[error("it is no bundle of collateral ({0}); `carrara collateral fetch` writes one")]
    Form(String),
    /// Of a version that this one does not know.
    #[error("its format is \"{0}\"; this version reads \"{FORMAT}\"")]
    Format(String),
    /// More than there are platforms.
    #[error("it holds more than {MOST_PIECES} pieces, or is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// One of them cannot be read.
    #[error("collateral {number}: {cause}")]
    Malformed {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// One of them is for something else than it says.
    #[error("collateral {number} says that it is for {said}, and is for {found}")]
    OtherKey {
        /// Counted from 1.
        number: usize,
        /// By `tee`, `fmspc` and `ca`.
        said: String,
        /// By its parts.
        found: Key,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    collateral: Vec<Piece>,
    #[serde(default, skip_serializing_if = "SnpPiece::is_empty")]
    snp: SnpPiece,
}

/// DER in hex.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SnpPiece {
    certificates: Vec<Hex>,
    revocation_lists: Vec<Hex>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Hex(#[serde(with = "hex::serde")] Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Piece {
    tee: String,
    fmspc: String,
    ca: String,
    tcb_info: String,
    #[serde(with = "hex::serde")]
    tcb_info_signature: Vec<u8>,
    tcb_info_issuer_chain: String,
    qe_identity: String,
    #[serde(with = "hex::serde")]
    qe_identity_signature: Vec<u8>,
    qe_identity_issuer_chain: String,
    #[serde(with = "hex::serde")]
    pck_crl: Vec<u8>,
    pck_crl_issuer_chain: String,
    #[serde(with = "hex::serde")]
    root_ca_crl: Vec<u8>,
}

impl Bundle {
    /// Reads a file's content.
    ///
    /// # Errors
    /// It is no bundle, or one of another version.
    pub fn from_json(text: &[u8]) -> Result<Self, BundleError> {
        if text.len() > MOST_BYTES {
            return Err(BundleError::TooLarge);
        }
        // First what it is: another version's fields may be others.
        let format: Format =
            serde_json::from_slice(text).map_err(|error| BundleError::Form(error.to_string()))?;
        if format.format != FORMAT {
            return Err(BundleError::Format(format.format.chars().take(64).collect()));
        }
        let file: File =
            serde_json::from_slice(text).map_err(|error| BundleError::Form(error.to_string()))?;
        let SnpPiece { certificates, revocation_lists } = file.snp;
        if [file.collateral.len(), certificates.len(), revocation_lists.len()]
            .into_iter()
            .any(|n| n > MOST_PIECES)
        {
            return Err(BundleError::TooLarge);
        }
        let mut bundle = Self::default();
        for (index, piece) in file.collateral.into_iter().enumerate() {
            bundle.add(piece.read(index + 1)?);
        }
        let bytes = |list: Vec<Hex>| list.into_iter().map(|Hex(bytes)| bytes).collect();
        bundle.snp =
            SnpCollateral { certificates: bytes(certificates), revocation_lists: bytes(revocation_lists) };
        Ok(bundle)
    }

    /// The content of a file, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let hex = |list: &[Vec<u8>]| list.iter().cloned().map(Hex).collect();
        let file = File {
            format: FORMAT.to_owned(),
            collateral: self.pieces.iter().map(Piece::of).collect(),
            snp: SnpPiece {
                certificates: hex(&self.snp.certificates),
                revocation_lists: hex(&self.snp.revocation_lists),
            },
        };
        // Texts only: nothing in it can fail to be written.
        serde_json::to_string_pretty(&file).map(|text| text + "\n").unwrap_or_default()
    }

    /// Adds a piece, in place of one for the same.
    pub fn add(&mut self, collateral: Collateral) {
        self.pieces.retain(|piece| piece.key() != collateral.key());
        self.pieces.push(collateral);
    }

    /// What is for `key`.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<&Collateral> {
        self.pieces.iter().find(|piece| piece.key() == key)
    }

    /// The same with this for SEV-SNP's evidence, in place of what was there.
    #[must_use]
    pub fn with_snp(self, snp: SnpCollateral) -> Self {
        Self { snp, ..self }
    }

    /// What is there for SEV-SNP's evidence.
    #[must_use]
    pub const fn snp(&self) -> &SnpCollateral {
        &self.snp
    }

    /// All of Intel's.
    pub fn iter(&self) -> impl Iterator<Item = &Collateral> {
        self.pieces.iter()
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Format {
    format: String,
}

impl SnpPiece {
    fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.revocation_lists.is_empty()
    }
}

impl Piece {
    fn of(collateral: &Collateral) -> Self {
        let (key, parts) = (collateral.key(), collateral.parts().clone());
        Self {
            tee: key.tee.word().to_owned(),
            fmspc: key.fmspc.to_string(),
            ca: key.ca.word().to_owned(),
            tcb_info: parts.tcb_info,
            tcb_info_signature: parts.tcb_info_signature,
            tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
            qe_identity: parts.qe_identity,
            qe_identity_signature: parts.qe_identity_signature,
            qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
            pck_crl: parts.pck_crl,
            pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
            root_ca_crl: parts.root_ca_crl,
        }
    }

    fn read(self, number: usize) -> Result<Collateral, BundleError> {
        let said = format!("{}, FMSPC {}, {} CA", self.tee, self.fmspc, self.ca);
        let said_key = match (self.tee.parse(), self.fmspc.parse(), self.ca.parse()) {
            (Ok(tee), Ok(fmspc), Ok(ca)) => Some(Key { tee, fmspc, ca }),
            _ => None,
        };
        let collateral = Collateral::from_parts(QuoteCollateralV3 {
            pck_crl_issuer_chain: self.pck_crl_issuer_chain,
            root_ca_crl: self.root_ca_crl,
            pck_crl: self.pck_crl,
            tcb_info_issuer_chain: self.tcb_info_issuer_chain,
            tcb_info: self.tcb_info,
            tcb_info_signature: self.tcb_info_signature,
            qe_identity_issuer_chain: self.qe_identity_issuer_chain,
            qe_identity: self.qe_identity,
            qe_identity_signature: self.qe_identity_signature,
            pck_certificate_chain: None,
        })
        .map_err(|cause| BundleError::Malformed { number, cause })?;
        if said_key != Some(collateral.key()) {
            return Err(BundleError::OtherKey { number, said, found: collateral.key() });
        }
        Ok(collateral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collateral::mock::samples;

    fn both() -> Bundle {
        let mut bundle = Bundle::default();
        bundle.add(samples::sgx());
        bundle.add(samples::tdx());
        bundle
    }

    #[test]
    fn a_bundle_reads_back_as_it_was() {
        let text = both().to_json();
        assert!(text.ends_with("}\n"));
        let read = Bundle::from_json(text.as_bytes()).unwrap();
        assert_eq!(read, both());
        assert_eq!(read.find(samples::sgx().key()), Some(&samples::sgx()));
        let other = Key { ca: crate::collateral::PckCa::Platform, ..samples::sgx().key() };
        assert_eq!(read.find(other), None);
    }

    #[test]
    fn certificates_and_lists_for_snp_read_back_and_may_be_left_out() {
        let snp = SnpCollateral { certificates: vec![vec![0x30, 1]], revocation_lists: vec![vec![0x30, 2]] };
        let text = both().with_snp(snp.clone()).to_json();
        assert_eq!(Bundle::from_json(text.as_bytes()).unwrap().snp(), &snp);
        assert!(!both().to_json().contains("snp"));
        let alone =
            format!("{{\"format\":\"{FORMAT}\",\"collateral\":[],\"snp\":{{\"certificates\":[\"3001\"]}}}}");
        assert_eq!(Bundle::from_json(alone.as_bytes()).unwrap().snp().certificates, [[0x30, 1]]);
        for wrong in ["{\"certificates\":[\"3\"]}", "{\"other\":[]}"] {
            let text = format!("{{\"format\":\"{FORMAT}\",\"collateral\":[],\"snp\":{wrong}}}");
            assert!(matches!(Bundle::from_json(text.as_bytes()), Err(BundleError::Form(_))), "{wrong}");
        }
    }

    #[test]
    fn a_second_piece_for_the_same_takes_the_place_of_the_first() {
        let mut bundle = both();
        bundle.add(samples::sgx());
        assert_eq!(bundle.iter().count(), 2);
    }

    #[test]
    fn what_is_no_bundle_is_refused_with_what_it_is() {
        let refused = |text: &str| Bundle::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("").contains("carrara collateral fetch"));
        assert!(refused("{\"collateral\":[]}").contains("carrara collateral fetch"));
        assert!(refused("{\"format\":\"carrara collateral 2\",\"x\":1}").contains("collateral 2"));
        let text = both().to_json();
        assert!(
            refused(&text.replace("\"ca\": \"processor\"", "\"ca\": \"platform\"")).contains("processor CA")
        );
        assert!(
            refused(&text.replace("\"fmspc\": \"00A067110000\"", "\"fmspc\": \"x\""))
                .contains("collateral 1")
        );
        assert!(refused(&text.replace("\"tee\"", "\"TEE\"")).contains("unknown field"));
        assert!(
            refused(&text.replace("\"rootCaCrl\": \"30", "\"rootCaCrl\": \"31"))
                .contains("root's revocation")
        );
        assert!(matches!(Bundle::from_json(&vec![b' '; MOST_BYTES + 1]), Err(BundleError::TooLarge)));
    }
}
