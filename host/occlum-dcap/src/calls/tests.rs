//! The drivers' side of the interface, played by fakes that look at the raw bytes.

use std::cell::RefCell;
use std::slice;

use super::*;
use crate::KeyPolicy;
use crate::layout::GuestFields;

/// A driver that runs the next of its steps at each call.
struct Driver(RefCell<Vec<Step>>);

type Step = (u32, Box<dyn Fn(*mut c_void) -> io::Result<()>>);

// SAFETY: a test's driver stays on the test's thread.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

impl Driver {
    fn of(steps: Vec<Step>) -> Self {
        Self(RefCell::new(steps))
    }
}

impl Kernel for Driver {
    unsafe fn ioctl(&self, request: u32, argument: *mut c_void) -> io::Result<()> {
        let (expected, step) = self.0.borrow_mut().remove(0);
        assert_eq!(request, expected, "{request:#x}");
        step(argument)
    }
}

/// The first bytes of the argument.
fn bytes<'a>(argument: *mut c_void, length: usize) -> &'a mut [u8] {
    // SAFETY: the tests ask for as many bytes as the structure of the request has.
    unsafe { slice::from_raw_parts_mut(argument.cast(), length) }
}

/// What the pointer at `offset` of the argument points to.
fn behind<'a>(argument: *mut c_void, offset: usize, length: usize) -> &'a mut [u8] {
    let pointer: [u8; 8] = bytes(argument, offset + 8)[offset..].try_into().unwrap();
    let pointer = usize::from_le_bytes(pointer);
    assert_ne!(pointer, 0);
    // SAFETY: the structures' pointers are those of the interface.
    unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(pointer), length) }
}

fn u32_at(argument: *mut c_void, offset: usize) -> u32 {
    u32::from_le_bytes(bytes(argument, offset + 4)[offset..].try_into().unwrap())
}

fn says(request: u32, size: u32) -> Step {
    (
        request,
        Box::new(move |argument| {
            bytes(argument, 4).copy_from_slice(&size.to_le_bytes());
            Ok(())
        }),
    )
}

fn fails(request: u32, errno: i32) -> Step {
    (request, Box::new(move |_| Err(io::Error::from_raw_os_error(errno))))
}

// marble-api.md section 9
#[test]
fn a_quote_is_asked_for_with_report_data_length_and_buffer() {
    let generate = |argument| {
        assert_eq!(behind(argument, 0, 64), [[7; 32], [0; 32]].concat());
        assert_eq!(behind(argument, 8, 4), 6_u32.to_le_bytes());
        behind(argument, 16, 6).copy_from_slice(b"quote!");
        Ok(())
    };
    let steps: Vec<Step> = vec![says(0x8004_7307, 6), (0xC018_7308, Box::new(generate))];
    let report_data = crate::report_data(&[7; 32]).unwrap();
    assert_eq!(Sgx::of(Driver::of(steps)).quote(&report_data).unwrap(), b"quote!");
}

#[test]
fn a_driver_that_says_how_much_it_wrote_is_believed_up_to_the_buffer_s_size() {
    for (length, expected) in [(4, Some(&b"quot"[..])), (0, None), (7, None)] {
        let generate = move |argument| {
            behind(argument, 16, 6).copy_from_slice(b"quote!");
            behind(argument, 8, 4).copy_from_slice(&u32::to_le_bytes(length));
            Ok(())
        };
        let steps: Vec<Step> = vec![says(0x8004_7307, 6), (0xC018_7308, Box::new(generate))];
        let quote = Sgx::of(Driver::of(steps)).quote(&[0; 64]);
        assert_eq!(quote.as_deref().ok(), expected, "{length}");
    }
}

#[test]
fn a_quote_of_no_or_an_absurd_size_is_not_asked_for() {
    for size in [0, MAX_QUOTE_BYTES + 1, u32::MAX] {
        let error = Sgx::of(Driver::of(vec![says(0x8004_7307, size)])).quote(&[0; 64]).unwrap_err();
        assert!(matches!(error, DeviceError::Length { bytes, .. } if bytes == size), "{error}");
    }
}

#[test]
fn a_refusal_says_what_was_asked_for_and_why() {
    const EIO: i32 = 5;
    let steps = vec![says(0x8004_7307, 6), fails(0xC018_7308, EIO)];
    let error = Sgx::of(Driver::of(steps)).quote(&[0; 64]).unwrap_err();
    assert!(error.to_string().contains("a quote"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("os error 5"), "{source}");
    assert!(Sgx::of(Driver::of(vec![fails(0x8004_7307, EIO)])).quote(&[0; 64]).is_err());
}

#[test]
fn a_verification_passes_the_quote_and_takes_three_answers() {
    let verify = |argument| {
        assert_eq!(behind(argument, 0, 5), b"quote");
        assert_eq!(u32_at(argument, 8), 5);
        behind(argument, 16, 4).copy_from_slice(&1_u32.to_le_bytes());
        behind(argument, 24, 4).copy_from_slice(&0xA001_u32.to_le_bytes());
        assert_eq!(u32_at(argument, 32), 3);
        behind(argument, 40, 3).copy_from_slice(&[1, 2, 3]);
        Ok(())
    };
    let steps: Vec<Step> = vec![says(0x8004_7309, 3), (0xC030_730A, Box::new(verify))];
    let verification = Sgx::of(Driver::of(steps)).verify(b"quote").unwrap();
    let expected = Verification { collateral_expiration: 1, result: 0xA001, supplemental: vec![1, 2, 3] };
    assert_eq!(verification, expected);
    let steps = vec![says(0x8004_7309, 3)];
    assert!(Sgx::of(Driver::of(steps)).verify(&vec![0; MAX_QUOTE_BYTES as usize + 1]).is_err());
}

#[test]
fn the_versions_come_from_a_report_for_no_target() {
    let create = |argument: *mut c_void| {
        assert_eq!(bytes(argument, 8), [0; 8], "no target");
        assert_eq!(behind(argument, 8, 64), [0; 64]);
        let report = behind(argument, 16, 432);
        report[..16].fill(3);
        report[258] = 9;
        Ok(())
    };
    let versions = Sgx::of(Driver::of(vec![(0xC018_7304, Box::new(create))])).security_versions().unwrap();
    assert_eq!(versions, SecurityVersions { cpu: [3; 16], isv: 9, config: 0 });
}

// L-35
#[test]
fn a_key_is_asked_for_with_the_request_s_bytes() {
    let versions = SecurityVersions { cpu: [3; 16], isv: 9, config: 1 };
    let request = KeyRequest::seal(KeyPolicy::Signer, &versions, &[5; 32]);
    let expected = request.clone();
    let key = move |argument| {
        assert_eq!(behind(argument, 0, 512), expected.bytes());
        assert_eq!(behind(argument, 0, 1).as_ptr().align_offset(512), 0);
        behind(argument, 8, 16).fill(0x4b);
        Ok(())
    };
    let sgx = Sgx::of(Driver::of(vec![(0xC010_730B, Box::new(key)), fails(0xC010_730B, 22)]));
    assert_eq!(*sgx.key(&request).unwrap(), [0x4b; 16]);
    assert!(sgx.key(&request).unwrap_err().to_string().contains("a key"));
}

fn guest(answer: impl Fn(*mut c_void) -> io::Result<()> + 'static) -> SevGuest<Driver> {
    SevGuest::of(Driver::of(vec![(0xC020_5301, Box::new(answer))]))
}

const REQUEST: DerivedKeyRequest = DerivedKeyRequest { fields: GuestFields::IDENTITY, vmpl: 1 };

#[test]
fn a_guest_s_key_comes_from_the_second_half_of_the_firmware_s_answer() {
    let answer = |argument: *mut c_void| {
        assert_eq!(bytes(argument, 1), [1], "message version");
        assert_eq!(behind(argument, 8, 32), REQUEST.bytes());
        behind(argument, 16, 64)[32..].fill(0x6b);
        Ok(())
    };
    assert_eq!(*guest(answer).derived_key(&REQUEST).unwrap(), [0x6b; 32]);
}

#[test]
fn a_key_that_the_firmware_refuses_is_no_key() {
    let status = |argument| {
        behind(argument, 16, 64).fill(0x16);
        Ok(())
    };
    let error = guest(status).derived_key(&REQUEST).unwrap_err();
    assert!(matches!(error, DeviceError::Firmware { status: 0x1616_1616, .. }), "{error}");
    let firmware = |argument: *mut c_void| {
        bytes(argument, 32)[24] = 0x16;
        Err(io::Error::from_raw_os_error(5))
    };
    let error = guest(firmware).derived_key(&REQUEST).unwrap_err();
    assert!(matches!(error, DeviceError::Firmware { error: 0x16, .. }), "{error}");
    let driver = |argument: *mut c_void| {
        bytes(argument, 32)[24..28].fill(0xff);
        Err(io::Error::from_raw_os_error(22))
    };
    let error = guest(driver).derived_key(&REQUEST).unwrap_err();
    assert!(matches!(error, DeviceError::Request { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_such_device_refuses() {
    let file = File::open("/dev/null").unwrap();
    let error = Sgx::of(file).quote(&[0; 64]).unwrap_err();
    assert!(matches!(error, DeviceError::Request { .. }), "{error}");
}
