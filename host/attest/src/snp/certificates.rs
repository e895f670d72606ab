//! The chain of the key that signed a report: VCEK or VLEK, ASK or ASVK, ARK (AMD 57230, VCEK certificates and KDS).

use carrara_types::claims::SnpTcb;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::oid_registry::OID_NIST_HASH_SHA384;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use super::Generation;
use super::report::{Report, SigningKey, tcb};
use crate::EvidenceError;

/// AMD's arc 1.3.6.1.4.1.3704.1.
const AMD: [u64; 8] = [1, 3, 6, 1, 4, 1, 3704, 1];
const HWID: [u64; 1] = [4];
/// Who a VLEK was given to.
const CSP_ID: [u64; 1] = [5];

/// Length of Turin's chip ids; others have 64 bytes.
const SHORT_HWID: usize = 8;

pub(super) fn refused(why: impl Into<String>) -> EvidenceError {
    EvidenceError::Refused(why.into())
}

/// A certificate, all of the bytes.
pub(super) fn read<'a>(der: &'a [u8], name: &str) -> Result<X509Certificate<'a>, EvidenceError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(refused(format!("the certificate of the {name} cannot be read"))),
    }
}

/// Whether `authority` certified it.
pub(super) fn check_signature(
    certificate: &X509Certificate<'_>,
    authority: &X509Certificate<'_>,
    name: &str,
) -> Result<(), EvidenceError> {
    let named = certificate.issuer().as_raw() == authority.subject().as_raw();
    let signed = is_pss(&certificate.signature_algorithm)
        && certificate.verify_signature(Some(authority.public_key())).is_ok();
    if named && signed { Ok(()) } else { Err(refused(format!("the {name} is not certified by AMD"))) }
}

/// Whether it is valid at `now`.
pub(super) fn check_time(
    certificate: &X509Certificate<'_>,
    now: i64,
    name: &str,
) -> Result<(), EvidenceError> {
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(refused(format!("the certificate of the {name} is not valid yet")));
    }
    if now > validity.not_after.timestamp() {
        return Err(refused(format!("the certificate of the {name} is not valid any more")));
    }
    Ok(())
}

/// AMD's only algorithm. Whoever finds a weakness in another one that the library knows gains nothing.
fn is_pss(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(params)) => *params.hash_algorithm_oid() == OID_NIST_HASH_SHA384,
        _ => false,
    }
}

/// Whether the key's certificate is for the chip and the versions that the report names.
pub(super) fn check_binding(
    leaf: &X509Certificate<'_>,
    report: &Report<'_>,
    generation: Generation,
) -> Result<(), EvidenceError> {
    let hwid = extension(leaf, &HWID)?;
    match (report.signing_key, hwid, extension(leaf, &CSP_ID)?) {
        (SigningKey::Vcek, Some(hwid), None) => {
            // MaskChipId: then no certificate says whose the key is.
            if report.chip_id.iter().all(|byte| *byte == 0) {
                return Err(refused(
                    "the report does not name its chip: let the machine's owner switch MASK_CHIP_ID off, or use a VLEK",
                ));
            }
            if !is_chip(hwid, &report.chip_id, generation) {
                return Err(refused("the VCEK is of another chip than the report"));
            }
        }
        (SigningKey::Vlek, None, Some(_)) => {}
        (SigningKey::Vcek, ..) => return Err(refused("the report's key is said to be a VCEK, and is none")),
        (SigningKey::Vlek, ..) => return Err(refused("the report's key is said to be a VLEK, and is none")),
    }
    if certified_tcb(leaf, generation)? == tcb(report.reported_tcb, generation) {
        return Ok(());
    }
    Err(refused("the report's key is certified for another TCB than the report's"))
}

/// The chip id without the zeros behind it, which only Turin's has. Some certificates have it as an octet string.
fn is_chip(hwid: &[u8], chip_id: &[u8; 64], generation: Generation) -> bool {
    let length = if generation == Generation::Turin { SHORT_HWID } else { chip_id.len() };
    let Some((id, rest)) = chip_id.split_at_checked(length) else { return false };
    let wrapped = hwid.strip_prefix(&[4, u8::try_from(length).unwrap_or_default()]);
    (hwid == id || wrapped == Some(id)) && rest.iter().all(|byte| *byte == 0)
}

/// The versions that the key was derived for.
pub(super) fn certified_tcb(
    leaf: &X509Certificate<'_>,
    generation: Generation,
) -> Result<SnpTcb, EvidenceError> {
    let part = |number| integer(extension(leaf, &[3, number])?);
    Ok(SnpTcb {
        boot_loader: part(1)?,
        tee: part(2)?,
        snp: part(3)?,
        microcode: part(8)?,
        fmc: if generation == Generation::Turin { part(9)? } else { 0 },
    })
}

/// The content of an extension of AMD's, of which there is one at most.
fn extension<'a>(leaf: &'a X509Certificate<'_>, arcs: &[u64]) -> Result<Option<&'a [u8]>, EvidenceError> {
    let unreadable = || refused("the extensions of the report's key cannot be read");
    let oid = Oid::from(&[&AMD[..], arcs].concat()).map_err(|_| unreadable())?;
    let found = leaf.get_extension_unique(&oid).map_err(|_| unreadable())?;
    Ok(found.map(|extension| extension.value))
}

/// A DER INTEGER of 0 to 255.
fn integer(value: Option<&[u8]>) -> Result<u8, EvidenceError> {
    match value {
        Some([2, 1, value @ 0..=0x7f] | [2, 2, 0, value @ 0x80..=0xff]) => Ok(*value),
        _ => Err(refused("the certificate of the report's key does not name its TCB")),
    }
}

/// Whether a list, where it is of this authority, is right and does not name the certificate.
pub(super) fn check_revocation(
    list: &[u8],
    authority: &X509Certificate<'_>,
    certificate: &X509Certificate<'_>,
    now: i64,
) -> Result<(), EvidenceError> {
    let list = read_list(list)?;
    if list.issuer().as_raw() != authority.subject().as_raw() {
        return Ok(());
    }
    check_list(&list, authority, now)?;
    if list.iter_revoked_certificates().any(|revoked| revoked.raw_serial() == certificate.raw_serial()) {
        return Err(refused("the key that certified the report's is revoked"));
    }
    Ok(())
}

/// A revocation list, all of the bytes.
pub(super) fn read_list(der: &[u8]) -> Result<CertificateRevocationList<'_>, EvidenceError> {
    match CertificateRevocationList::from_der(der) {
        Ok(([], list)) => Ok(list),
        _ => Err(refused("a revocation list of the collateral cannot be read")),
    }
}

/// Whether the authority signed a list, and it is valid at `now`.
pub(super) fn check_list(
    list: &CertificateRevocationList<'_>,
    authority: &X509Certificate<'_>,
    now: i64,
) -> Result<(), EvidenceError> {
    if !is_pss(&list.signature_algorithm) || list.verify_signature(authority.public_key()).is_err() {
        return Err(refused("a revocation list of the collateral is not signed by AMD"));
    }
    let until = list.next_update().map(|until| until.timestamp());
    if now < list.last_update().timestamp() || until.is_none_or(|until| now > until) {
        return Err(refused("a revocation list of the collateral is not valid now"));
    }
    Ok(())
}

/// The chip that a VCEK's certificate is for.
pub(super) fn chip<'a>(leaf: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    extension(leaf, &HWID).ok().flatten()
}

/// Whether it is the certificate of a provider's key.
pub(super) fn is_vlek(leaf: &X509Certificate<'_>) -> bool {
    extension(leaf, &CSP_ID).is_ok_and(|id| id.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unnamed() -> EvidenceError {
        refused("the certificate of the report's key does not name its TCB")
    }

    #[test]
    fn a_real_turin_keys_certificate_is_certified_and_names_chip_and_versions() {
        let leaf = read(include_bytes!("../../tests/fixtures/amd/vcek_turin.der"), "VCEK").unwrap();
        let ask = read(include_bytes!("amd/turin-ask.der"), "ASK").unwrap();
        check_signature(&leaf, &ask, "VCEK").unwrap();
        let expected = SnpTcb { microcode: 9, ..SnpTcb::default() };
        assert_eq!(certified_tcb(&leaf, Generation::Turin).unwrap(), expected);
        let hwid = extension(&leaf, &HWID).unwrap().unwrap();
        let mut chip_id = [0; 64];
        chip_id.iter_mut().zip(hwid).for_each(|(place, byte)| *place = *byte);
        assert!(is_chip(hwid, &chip_id, Generation::Turin));
        assert!(!is_chip(hwid, &chip_id, Generation::Genoa));
        assert_eq!(certified_tcb(&ask, Generation::Turin), Err(unnamed()));
        let milan = read(include_bytes!("amd/milan-ask.der"), "ASK").unwrap();
        let foreign = refused("the VCEK is not certified by AMD");
        assert_eq!(check_signature(&leaf, &milan, "VCEK"), Err(foreign));
    }

    #[test]
    fn numbers_of_extensions_are_bytes_in_their_shortest_form() {
        assert_eq!(integer(Some(&[2, 1, 0x7f])), Ok(0x7f));
        assert_eq!(integer(Some(&[2, 2, 0, 0x80])), Ok(0x80));
        for wrong in [&[2, 1, 0x80][..], &[2, 2, 0, 0x7f], &[2, 2, 1, 0], &[2, 1], &[4, 1, 1], &[2, 1, 1, 0]]
        {
            assert_eq!(integer(Some(wrong)), Err(unnamed()), "{wrong:?}");
        }
        assert_eq!(integer(None), Err(unnamed()));
    }
}
