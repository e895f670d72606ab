//! The devices of TEEs that are asked by `ioctl`: Occlum's `/dev/sgx`, and Linux's `/dev/sev-guest` for the key of a guest.
//!
//! # Occlum's `/dev/sgx`
//! Inside an Occlum enclave the device answers these requests; the source is Occlum's own code and headers
//! (`occlum/occlum`: `src/libos/src/fs/dev_fs/dev_sgx/{consts,mod}.rs`, `tools/toolchains/dcap_lib/src/occlum_dcap.rs`, and
//! `SGXIOC_*` of `test/ioctl/main.c`). All numbers are Linux's (`asm-generic/ioctl.h`) with the letter `s`; pointers are 64
//! bits, integers little-endian, and structures are those of C on x86-64.
//!
//! | Request | Number | Argument |
//! |---|---|---|
//! | create a report | 4, `0xC0187304` | pointers: target info (null: none), report data (null: zeros), report (432 bytes, written) |
//! | size of a quote | 7, `0x80047307` | `u32`, written |
//! | make a quote | 8, `0xC0187308` | pointers: report data (64 bytes), `u32` length of the buffer, buffer (written). Occlum fills as many bytes as it gave for the size and leaves the length as it is. |
//! | size of a verification's supplemental data | 9, `0x80047309` | `u32`, written |
//! | verify a quote | 10, `0xC030730A` | pointer to the quote, `u32` its length, pointers to two `u32` (status of the collateral's expiry, result; both written), `u32` length of the supplemental data, pointer to it (written) |
//! | key of the enclave | 11, `0xC010730B` | pointers: `sgx_key_request_t` (512 bytes), key (16 bytes, written) |
//!
//! A key request is laid out as in Intel's manual (volume 3D, KEYREQUEST) and `sgx_key.h`: name (u16), policy (u16), ISV SVN
//! (u16), two reserved bytes, CPU SVN (16 bytes), mask of attributes (flags u64, XFRM u64), key id (32 bytes), mask of
//! MISCSELECT (u32), configuration SVN (u16), and zeros up to 512 bytes. [`KeyRequest::seal`] fills it: the mask covers the
//! attributes INIT and DEBUG (`0xFF0000000000000B`, the SDK's default for sealing), so that an enclave that can be debugged
//! never gets the key of one that cannot.
//!
//! Occlum's verification asks the host's quoting library and is not used by Carrara, which verifies quotes itself; it is here
//! because the interface has it.
//!
//! # Linux's `/dev/sev-guest`
//! `SNP_GET_DERIVED_KEY` (`linux/sev-guest.h`: letter `S`, number 1, `0xC0205301`) with the structures of that header; the
//! answer is MSG_KEY_RSP of AMD's SEV-SNP Firmware ABI (56860): status (u32), 28 reserved bytes, key (32 bytes).
//! Reports come from configfs and not from this device.
//!
//! # What is unsafe
//! `calls.rs` alone: it is the only place of the workspace that calls `ioctl`.

mod calls;
mod layout;

pub use calls::{Kernel, SevGuest, Sgx};
pub use layout::{
    CREATE_REPORT, DERIVED_KEY, DerivedKeyRequest, GENERATE_QUOTE, GUEST_KEY_BYTES, GuestFields, KEY,
    KEY_BYTES, KEY_REQUEST_BYTES, KeyPolicy, KeyRequest, QUOTE_SIZE, REPORT_BYTES, REPORT_DATA_BYTES,
    SUPPLEMENTAL_SIZE, SecurityVersions, VERIFY_QUOTE, Verification, report_data,
};

/// The device inside an Occlum enclave.
pub const SGX_DEVICE: &str = "/dev/sgx";

/// The device inside an SEV-SNP guest.
pub const SEV_GUEST_DEVICE: &str = "/dev/sev-guest";

/// Larger quotes do not exist: one of DCAP with its certificates has about 4.7 KB.
pub const MAX_QUOTE_BYTES: u32 = 64 << 10;

/// More bytes than a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes of report data, at most {REPORT_DATA_BYTES} fit")]
pub struct TooLong(pub usize);

/// Why a device gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It does not open.
    #[error("opening {path}")]
    Open {
        /// The device.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It refused a request.
    #[error("asking the device for {what}")]
    Request {
        /// What was asked for.
        what: &'static str,
        /// The errno.
        #[source]
        source: std::io::Error,
    },
    /// It answered with a length that cannot be.
    #[error("the device says that {what} has {bytes} bytes")]
    Length {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        bytes: u32,
    },
    /// The guest's firmware refused.
    #[error("the firmware gave no key: status {status:#x}, firmware and hypervisor error {error:#x}")]
    Firmware {
        /// MSG_KEY_RSP's status.
        status: u32,
        /// `exitinfo2` of the request.
        error: u64,
    },
}
