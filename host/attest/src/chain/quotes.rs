//! Quotes, byte by byte (Intel SGX and TDX DCAP quoting library APIs, appendices A.3 and A.4).

use super::{Chain, Enclave, Link, Machine};
use crate::collateral::Tee;
use crate::crypto::sha256;

/// Intel's.
const VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];

/// INIT and MODE64BIT; with DEBUG.
const ATTRIBUTES: u8 = 0x05;
const DEBUG: u8 = 0x02;

/// What stands between attestation key and certificates.
const QE_AUTHENTICATION: [u8; 32] = [0x77; 32];

pub(super) fn sgx(chain: &Chain, enclave: &Enclave) -> Vec<u8> {
    let body = report(
        enclave.debug,
        &enclave.unique_id,
        &enclave.signer_id,
        (enclave.product_id, enclave.security_version),
        chain.settings.svn,
        &enclave.report_data,
    );
    let signed = [header(chain, 3), body].concat();
    let mut signatures = attested(chain, &signed);
    signatures.extend(quoting_enclave(chain));
    [signed, prefixed(&signatures)].concat()
}

pub(super) fn tdx(chain: &Chain, machine: &Machine, version: u16) -> Vec<u8> {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &machine.rtmrs;
    let mut body = [
        &machine.tee_tcb_svn[..],
        &[0x5e; 48],
        &machine.seam_signer,
        &[0; 8],
        &machine.attributes,
        &[0xe7, 0, 6, 0, 0, 0, 0, 0],
        &machine.mr_td,
        &[0xc1; 48],
        &[0xc2; 48],
        &[0xc3; 48],
        rtmr0,
        rtmr1,
        rtmr2,
        rtmr3,
        &machine.report_data,
    ]
    .concat();
    if version == 5 {
        let current = machine.current_tcb_svn.unwrap_or(machine.tee_tcb_svn);
        body.extend([&current[..], &machine.service_td].concat());
        body = [&3_u16.to_le_bytes()[..], &prefixed(&body)].concat();
    }
    let signed = [header(chain, version), body].concat();
    let mut signatures = attested(chain, &signed);
    signatures.extend(6_u16.to_le_bytes());
    signatures.extend(prefixed(&quoting_enclave(chain)));
    [signed, prefixed(&signatures)].concat()
}

fn header(chain: &Chain, version: u16) -> Vec<u8> {
    let tee: u32 = if chain.settings.tee == Tee::Tdx { 0x81 } else { 0 };
    let (qe_svn, pce_svn) = (chain.settings.qe_svn, chain.settings.pce_svn);
    [
        &version.to_le_bytes()[..],
        &2_u16.to_le_bytes(),
        &tee.to_le_bytes(),
        &qe_svn.to_le_bytes(),
        &pce_svn.to_le_bytes(),
        &VENDOR,
        &[0x1d; 20],
    ]
    .concat()
}

/// An enclave's report: 384 bytes.
fn report(
    debug: bool,
    unique_id: &[u8; 32],
    signer_id: &[u8; 32],
    (product, version): (u16, u16),
    svn: u8,
    report_data: &[u8; 64],
) -> Vec<u8> {
    let attributes = if debug { ATTRIBUTES | DEBUG } else { ATTRIBUTES };
    [
        &[svn; 16][..],
        &[0; 32],
        &[attributes],
        &[0; 15],
        unique_id,
        &[0; 32],
        signer_id,
        &[0; 96],
        &product.to_le_bytes(),
        &version.to_le_bytes(),
        &[0; 60],
        report_data,
    ]
    .concat()
}

/// The quote's signature and the key that it is by.
fn attested(chain: &Chain, signed: &[u8]) -> Vec<u8> {
    [chain.signer(Link::Quote).sign(signed), chain.attestation.public()].concat()
}

/// The quoting enclave's report, the platform's signature over it, and the platform's certificates.
fn quoting_enclave(chain: &Chain) -> Vec<u8> {
    let settings = &chain.settings;
    let key = chain.signer(Link::AttestationKey).public();
    let mut report_data = [0; 64];
    let hash = sha256(&[&key[..], &QE_AUTHENTICATION].concat());
    report_data.iter_mut().zip(hash).for_each(|(byte, hash)| *byte = hash);
    let product = settings.qe_product.unwrap_or(if settings.tee == Tee::Tdx { 2 } else { 1 });
    // The identity wants PROVISION_KEY, as Intel's quoting enclaves have it.
    let mut report = report(
        settings.qe_debug,
        &[0x0e; 32],
        &settings.qe_signer,
        (product, settings.qe_svn),
        settings.svn,
        &report_data,
    );
    if let Some(attributes) = report.get_mut(48) {
        *attributes = (*attributes & DEBUG) | 0x11;
    }
    let signature = chain.signer(Link::QeReport).sign(&report);
    let length = u16::try_from(QE_AUTHENTICATION.len()).unwrap().to_le_bytes();
    let certificates = prefixed(chain.certificates.pck_chain().as_bytes());
    [&report[..], &signature, &length, &QE_AUTHENTICATION, &5_u16.to_le_bytes(), &certificates].concat()
}

/// Four bytes of length, then the content.
fn prefixed(content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len()).unwrap().to_le_bytes()[..], content].concat()
}
