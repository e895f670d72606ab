//! Request numbers and structures, byte for byte; the sources are in the crate's documentation.

use std::ffi::c_void;

use crate::TooLong;

/// Length of a report's user data in bytes.
pub const REPORT_DATA_BYTES: usize = 64;
/// Length of `sgx_report_t`.
pub const REPORT_BYTES: usize = 432;
/// Length of `sgx_key_request_t`.
pub const KEY_REQUEST_BYTES: usize = 512;
/// Length of `sgx_key_128bit_t`.
pub const KEY_BYTES: usize = 16;
/// Length of an SEV-SNP guest's derived key.
pub const GUEST_KEY_BYTES: usize = 32;

/// Makes a report of this enclave; the argument is a `CreateReport`.
pub const CREATE_REPORT: u32 = request(READ | WRITE, size_of::<CreateReport>(), b's', 4);
/// Asks for the size of a quote; the argument is a `u32`.
pub const QUOTE_SIZE: u32 = request(READ, size_of::<u32>(), b's', 7);
/// Makes a quote; the argument is a `GenerateQuote`.
pub const GENERATE_QUOTE: u32 = request(READ | WRITE, size_of::<GenerateQuote>(), b's', 8);
/// Asks for the size of what a verification gives besides its result; the argument is a `u32`.
pub const SUPPLEMENTAL_SIZE: u32 = request(READ, size_of::<u32>(), b's', 9);
/// Verifies a quote; the argument is a `VerifyQuote`.
pub const VERIFY_QUOTE: u32 = request(READ | WRITE, size_of::<VerifyQuote>(), b's', 10);
/// Derives a key of this enclave; the argument is a `GetKey`.
pub const KEY: u32 = request(READ | WRITE, size_of::<GetKey>(), b's', 11);
/// Derives a key of this SEV-SNP guest; the argument is a `GuestRequest`.
pub const DERIVED_KEY: u32 = request(READ | WRITE, size_of::<GuestRequest>(), b'S', 1);

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Linux's encoding of request numbers (asm-generic/ioctl.h): direction, size, the driver's letter, number.
#[allow(clippy::cast_possible_truncation)]
const fn request(direction: u32, size: usize, letter: u8, number: u32) -> u32 {
    direction << 30 | (size as u32) << 16 | (letter as u32) << 8 | number
}

/// `sgxioc_create_report_arg_t`.
#[repr(C)]
pub(crate) struct CreateReport {
    pub(crate) target_info: *const c_void,
    pub(crate) report_data: *const [u8; REPORT_DATA_BYTES],
    pub(crate) report: *mut [u8; REPORT_BYTES],
}

/// `sgxioc_gen_dcap_quote_arg_t`.
#[repr(C)]
pub(crate) struct GenerateQuote {
    pub(crate) report_data: *const [u8; REPORT_DATA_BYTES],
    pub(crate) quote_length: *mut u32,
    pub(crate) quote: *mut u8,
}

/// `sgxioc_ver_dcap_quote_arg_t`.
#[repr(C)]
pub(crate) struct VerifyQuote {
    pub(crate) quote: *const u8,
    pub(crate) quote_length: u32,
    pub(crate) collateral_expiration: *mut u32,
    pub(crate) result: *mut u32,
    pub(crate) supplemental_length: u32,
    pub(crate) supplemental: *mut u8,
}

/// `sgxioc_get_key_arg_t`.
#[repr(C)]
pub(crate) struct GetKey {
    pub(crate) request: *const [u8; KEY_REQUEST_BYTES],
    pub(crate) key: *mut [u8; KEY_BYTES],
}

/// `struct snp_guest_request_ioctl`.
#[repr(C)]
pub(crate) struct GuestRequest {
    pub(crate) version: u8,
    pub(crate) request: u64,
    pub(crate) response: u64,
    pub(crate) error: u64,
}

/// What Occlum's own verification says about a quote, in the quoting library's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// 0 while the collateral is not expired.
    pub collateral_expiration: u32,
    /// `sgx_ql_qv_result_t`; 0 is OK.
    pub result: u32,
    /// `sgx_ql_qv_supplemental_t`, not interpreted.
    pub supplemental: Vec<u8>,
}

/// Pads report data with zeros to a report's length.
///
/// # Errors
/// More than [`REPORT_DATA_BYTES`].
pub fn report_data(data: &[u8]) -> Result<[u8; REPORT_DATA_BYTES], TooLong> {
    let mut padded = [0; REPORT_DATA_BYTES];
    let head = padded.get_mut(..data.len()).ok_or(TooLong(data.len()))?;
    head.copy_from_slice(data);
    Ok(padded)
}

/// Which identity of the enclave a sealing key is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    /// MRENCLAVE: this very code.
    Enclave,
    /// MRSIGNER and the product id.
    Signer,
}

/// The security versions that a sealing key is bound to: an enclave or CPU gets the keys of its own and of lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityVersions {
    /// Of the CPU.
    pub cpu: [u8; 16],
    /// Of the enclave.
    pub isv: u16,
    /// Of its configuration.
    pub config: u16,
}

impl SecurityVersions {
    /// Those in a report (`sgx_report_body_t`: CPU SVN at 0, ISV SVN at 258, configuration SVN at 260).
    pub(crate) fn of_report(report: &[u8; REPORT_BYTES]) -> Self {
        let at = |offset: usize| [byte(report, offset), byte(report, offset + 1)];
        let (cpu, _) = report.split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self { cpu: *cpu, isv: u16::from_le_bytes(at(258)), config: u16::from_le_bytes(at(260)) }
    }
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// `sgx_key_request_t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest([u8; KEY_REQUEST_BYTES]);

impl KeyRequest {
    /// Asks for a sealing key (key name 4). Keys of different ids are independent of each other.
    #[must_use]
    pub fn seal(policy: KeyPolicy, versions: &SecurityVersions, id: &[u8; 32]) -> Self {
        const SEAL: u16 = 4;
        /// INIT, DEBUG, and the reserved bits that Intel's SDK covers, too (`TSEAL_DEFAULT_FLAGSMASK`).
        const ATTRIBUTES: u64 = 0xFF00_0000_0000_000B;
        /// `TSEAL_DEFAULT_MISCMASK`.
        const MISCSELECT: u32 = 0xF000_0000;
        let policy: u16 = match policy {
            KeyPolicy::Enclave => 1,
            KeyPolicy::Signer => 2,
        };
        let fields: [&[u8]; 10] = [
            &SEAL.to_le_bytes(),
            &policy.to_le_bytes(),
            &versions.isv.to_le_bytes(),
            &[0; 2],
            &versions.cpu,
            &ATTRIBUTES.to_le_bytes(),
            &[0; 8],
            id,
            &MISCSELECT.to_le_bytes(),
            &versions.config.to_le_bytes(),
        ];
        let mut bytes = [0; KEY_REQUEST_BYTES];
        for (byte, field) in bytes.iter_mut().zip(fields.concat()) {
            *byte = field;
        }
        Self(bytes)
    }

    /// As the device takes it.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_REQUEST_BYTES] {
        &self.0
    }
}

/// What of a guest's identity is mixed into its derived key (GUEST_FIELD_SELECT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestFields(u64);

impl GuestFields {
    /// The guest's policy, image id, family id and launch measurement.
    ///
    /// The measurement always: the ids alone are words of the host, who could start another guest with them.
    pub const IDENTITY: Self = Self(0b1111);
}

/// `struct snp_derived_key_req`: from the root key of the chip, or the one that is loaded in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivedKeyRequest {
    /// What is mixed in.
    pub fields: GuestFields,
    /// The guest's privilege level, not below the one it runs at.
    pub vmpl: u32,
}

impl DerivedKeyRequest {
    /// Root key, reserved, fields, VMPL, guest SVN, TCB version; the last two are not mixed in.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, field) in bytes.iter_mut().skip(8).zip(self.fields.0.to_le_bytes()) {
            *byte = field;
        }
        for (byte, vmpl) in bytes.iter_mut().skip(16).zip(self.vmpl.to_le_bytes()) {
            *byte = vmpl;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // marble-api.md section 9
    #[test]
    fn the_request_numbers_are_those_of_the_drivers() {
        assert_eq!(QUOTE_SIZE, 2_147_775_239);
        assert_eq!(GENERATE_QUOTE, 3_222_827_784);
        let others = [CREATE_REPORT, SUPPLEMENTAL_SIZE, VERIFY_QUOTE, KEY, DERIVED_KEY];
        assert_eq!(others, [0xC018_7304, 0x8004_7309, 0xC030_730A, 0xC010_730B, 0xC020_5301]);
    }

    #[test]
    fn report_data_is_padded_with_zeros() {
        let padded = report_data(&[7; 32]).unwrap();
        assert_eq!((&padded[..32], &padded[32..]), (&[7; 32][..], &[0; 32][..]));
        assert_eq!(report_data(&[9; 64]).unwrap(), [9; 64]);
    }

    #[test]
    fn report_data_that_does_not_fit_is_refused() {
        assert_eq!(report_data(&[0; 65]), Err(TooLong(65)));
    }

    // L-35
    #[test]
    fn a_key_request_is_laid_out_as_the_manual_says() {
        let versions = SecurityVersions { cpu: [0xc0; 16], isv: 0x0102, config: 0x0304 };
        let mut expected = vec![4, 0, 2, 0, 0x02, 0x01, 0, 0];
        expected.extend([0xc0; 16]);
        expected.extend([0x0b, 0, 0, 0, 0, 0, 0, 0xff]);
        expected.extend([0; 8]);
        expected.extend([0x1d; 32]);
        expected.extend([0, 0, 0, 0xf0]);
        expected.extend([0x04, 0x03]);
        expected.resize(KEY_REQUEST_BYTES, 0);
        let request = KeyRequest::seal(KeyPolicy::Signer, &versions, &[0x1d; 32]);
        assert_eq!(request.bytes()[..], expected[..]);
        expected[2] = 1;
        assert_eq!(KeyRequest::seal(KeyPolicy::Enclave, &versions, &[0x1d; 32]).bytes()[..], expected[..]);
    }

    // An enclave that can be debugged would show its keys.
    #[test]
    fn the_attribute_debug_is_part_of_every_sealing_key() {
        let versions = SecurityVersions { cpu: [0; 16], isv: 0, config: 0 };
        for policy in [KeyPolicy::Enclave, KeyPolicy::Signer] {
            let request = KeyRequest::seal(policy, &versions, &[0; 32]);
            assert_eq!(request.bytes()[24] & 0b10, 0b10);
        }
    }

    #[test]
    fn the_versions_of_a_report_are_where_intel_puts_them() {
        let mut report = [0; REPORT_BYTES];
        report[..16].fill(0xaa);
        report[258..262].copy_from_slice(&[1, 2, 3, 4]);
        let versions = SecurityVersions { cpu: [0xaa; 16], isv: 0x0201, config: 0x0403 };
        assert_eq!(SecurityVersions::of_report(&report), versions);
    }

    #[test]
    fn a_guest_s_key_request_is_laid_out_as_in_the_kernel_s_header() {
        let request = DerivedKeyRequest { fields: GuestFields::IDENTITY, vmpl: 2 };
        let mut expected = [0; 32];
        expected[8] = 0x0f;
        expected[16] = 2;
        assert_eq!(request.bytes(), expected);
    }
}
