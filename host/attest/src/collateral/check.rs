//! Whether collateral is signed by whom it says, so that what a false source serves takes the place of nothing that is good.
//!
//! Not a second verifier: revocation and the meaning of the documents are judged where quotes are.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Collateral;
use super::facts::{self, Malformed};

/// The certificate in which every chain must end, by the SHA-256 of its DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root([u8; 32]);

impl Root {
    /// Intel SGX Root CA, valid until 2049, as published with Intel's provisioning certification service.
    pub const INTEL: Self = Self([
        0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35, 0x0e,
        0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
    ]);

    /// Another one, DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, der).as_ref());
        Self(hash)
    }
}

/// Why collateral is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Every part was read before; this one cannot be any more.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A chain ends elsewhere.
    #[error("the {0} does not end in the expected root")]
    Root(&'static str),
    /// A signature is wrong.
    #[error("the signature of the {0} is wrong")]
    Signature(&'static str),
    /// One of the parts is not valid yet.
    #[error("it is not valid before {}", shown(*.0))]
    Future(i64),
    /// One of the parts is not valid any more.
    #[error("it was valid until {}", shown(*.0))]
    Expired(i64),
}

/// A moment as people read it.
pub(super) fn shown(seconds: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    text.unwrap_or_else(|| format!("{seconds} s"))
}

pub(super) fn check(collateral: &Collateral, root: &Root, now: i64) -> Result<(), CheckError> {
    let validity = collateral.validity();
    if now >= validity.until {
        return Err(CheckError::Expired(validity.until));
    }
    if now < validity.from {
        return Err(CheckError::Future(validity.from));
    }
    let parts = &collateral.parts;
    let [tcb, qe, pck] = facts::chains(parts);
    signed_by(tcb, root, |issuer, _| {
        let key = issuer.public_key();
        is_signature(key, parts.tcb_info.as_bytes(), &parts.tcb_info_signature, "TCB information")
    })?;
    signed_by(qe, root, |issuer, _| {
        let (text, signature) = (parts.qe_identity.as_bytes(), &parts.qe_identity_signature);
        is_signature(issuer.public_key(), text, signature, "quoting enclave's identity")
    })?;
    signed_by(pck, root, |issuer, root| {
        is_crl_of(issuer, &parts.pck_crl, "PCK revocation list")?;
        is_crl_of(root, &parts.root_ca_crl, "root's revocation list")
    })
}

/// Verifies a chain's links and hands its first and last certificate on.
fn signed_by(
    (part, pem): (&'static str, &str),
    root: &Root,
    then: impl FnOnce(&X509Certificate<'_>, &X509Certificate<'_>) -> Result<(), CheckError>,
) -> Result<(), CheckError> {
    let chain = facts::chain(part, pem)?;
    if chain.last().map(|der| Root::of(der)) != Some(*root) {
        return Err(CheckError::Root(part));
    }
    let certificates: Vec<_> =
        chain.iter().map(|der| facts::certificate(part, der)).collect::<Result<_, _>>()?;
    for (subject, issuer) in certificates.iter().zip(certificates.iter().skip(1)) {
        let signed = subject.verify_signature(Some(issuer.public_key()));
        signed.map_err(|_| CheckError::Signature(part))?;
    }
    match (certificates.first(), certificates.last()) {
        (Some(first), Some(last)) => then(first, last),
        _ => Err(CheckError::Root(part)),
    }
}

fn is_crl_of(issuer: &X509Certificate<'_>, der: &[u8], part: &'static str) -> Result<(), CheckError> {
    let crl = facts::parse_crl(part, der)?;
    crl.verify_signature(issuer.public_key()).map_err(|_| CheckError::Signature(part))
}

/// Intel signs its documents with P-256 and SHA-256, r and s side by side.
fn is_signature(
    key: &SubjectPublicKeyInfo<'_>,
    text: &[u8],
    signature: &[u8],
    part: &'static str,
) -> Result<(), CheckError> {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.subject_public_key.data);
    key.verify(text, signature).map_err(|_| CheckError::Signature(part))
}

#[cfg(test)]
mod tests {
    use dcap_qvl::QuoteCollateralV3;

    use super::*;
    use crate::collateral::mock::samples;

    #[test]
    fn intels_own_collateral_is_signed_by_intels_root_while_it_is_valid() {
        for collateral in [samples::sgx(), samples::tdx()] {
            let until = collateral.validity().until;
            assert_eq!(collateral.check(&Root::INTEL, samples::NOW), Ok(()));
            assert_eq!(collateral.check(&Root::INTEL, until - 1), Ok(()));
            assert_eq!(collateral.check(&Root::INTEL, until), Err(CheckError::Expired(until)));
            let from = collateral.validity().from;
            assert_eq!(collateral.check(&Root::INTEL, from - 1), Err(CheckError::Future(from)));
            assert!(matches!(collateral.check(&Root::of(b"x"), samples::NOW), Err(CheckError::Root(_))));
        }
    }

    #[test]
    fn a_changed_part_is_named_by_its_signature() {
        let sgx = samples::sgx().parts().clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        };
        let tcb_info = sgx.tcb_info.replace("\"pceId\":\"0000\"", "\"pceId\":\"0001\"");
        let qe_identity = sgx.qe_identity.replace("\"isvprodid\":1", "\"isvprodid\":2");
        for (changed, named) in [
            (QuoteCollateralV3 { tcb_info, ..sgx.clone() }, "TCB information"),
            (QuoteCollateralV3 { qe_identity, ..sgx.clone() }, "quoting enclave's identity"),
            (QuoteCollateralV3 { pck_crl: flip(&sgx.pck_crl), ..sgx.clone() }, "PCK revocation list"),
            (
                QuoteCollateralV3 { root_ca_crl: flip(&sgx.root_ca_crl), ..sgx.clone() },
                "root's revocation list",
            ),
            (
                QuoteCollateralV3 { pck_crl_issuer_chain: sgx.tcb_info_issuer_chain.clone(), ..sgx.clone() },
                "PCK revocation list",
            ),
        ] {
            let error = Collateral::from_parts(changed).unwrap().check(&Root::INTEL, samples::NOW);
            assert_eq!(error, Err(CheckError::Signature(named)));
        }
    }
}
