//! The interface of Occlum's quote device: constants and layouts, and nothing else.
//!
//! This crate makes no system call yet: calling `ioctl` needs unsafe code and a machine with SGX to prove it on. Who
//! opens [`DEVICE`] passes [`QUOTE_SIZE`] with a `u32` that receives the size of a quote, then [`GENERATE_QUOTE`] with
//! [`GenerateQuote`].

/// The device inside an Occlum enclave.
pub const DEVICE: &str = "/dev/sgx";

/// Length of a report's user data in bytes.
pub const REPORT_DATA_BYTES: usize = 64;

/// Asks for the size of a quote; the argument is `*mut u32`.
pub const QUOTE_SIZE: u32 = request(READ, size_of::<u32>(), 7);

/// Makes a quote; the argument is `*mut GenerateQuote`.
pub const GENERATE_QUOTE: u32 = request(READ | WRITE, size_of::<GenerateQuote>(), 8);

/// The argument of [`GENERATE_QUOTE`] (64-bit layout: three pointers).
#[repr(C)]
#[derive(Debug)]
pub struct GenerateQuote {
    /// What the quote is to contain; read.
    pub report_data: *const [u8; REPORT_DATA_BYTES],
    /// The buffer's length; read, and written with the quote's length.
    pub quote_length: *mut u32,
    /// The buffer; written.
    pub quote: *mut u8,
}

/// More bytes than a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes of report data, at most {REPORT_DATA_BYTES} fit")]
pub struct TooLong(pub usize);

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

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Linux's encoding of request numbers (asm-generic/ioctl.h): direction, size, the driver's letter `s`, number.
#[allow(clippy::cast_possible_truncation)]
const fn request(direction: u32, size: usize, number: u32) -> u32 {
    direction << 30 | (size as u32) << 16 | (b's' as u32) << 8 | number
}

#[cfg(test)]
mod tests {
    use super::*;

    // marble-api.md section 9
    #[test]
    fn the_request_numbers_are_those_of_the_driver() {
        assert_eq!(QUOTE_SIZE, 2_147_775_239);
        assert_eq!(GENERATE_QUOTE, 3_222_827_784);
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
}
