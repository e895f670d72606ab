//! The calls. The only module of the workspace with unsafe code, but for allocators.
//!
//! Every argument is built here and lives on this thread's stack or heap until the call is over, so that a driver never sees a
//! pointer of somebody else. All buffers are aligned for what lies at their end of the interface.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::ptr;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use zeroize::Zeroizing;

use crate::layout::{
    CREATE_REPORT, CreateReport, DERIVED_KEY, GENERATE_QUOTE, GUEST_KEY_BYTES, GenerateQuote, GetKey,
    GuestRequest, KEY, KEY_BYTES, QUOTE_SIZE, REPORT_BYTES, REPORT_DATA_BYTES, SUPPLEMENTAL_SIZE,
    VERIFY_QUOTE, VerifyQuote,
};
use crate::{
    DerivedKeyRequest, DeviceError, KeyRequest, MAX_QUOTE_BYTES, SEV_GUEST_DEVICE, SecurityVersions,
    Verification,
};

/// One `ioctl` on an open device.
pub trait Kernel: Send + Sync {
    /// Passes a request to the driver.
    ///
    /// # Errors
    /// The driver's errno.
    ///
    /// # Safety
    /// `argument` must point to the structure that belongs to `request`, and every pointer in it to memory of the size that
    /// the driver reads or writes there. All of it must live and be unaliased until the call returns.
    unsafe fn ioctl(&self, request: u32, argument: *mut c_void) -> io::Result<()>;
}

impl Kernel for File {
    unsafe fn ioctl(&self, request: u32, argument: *mut c_void) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { rustix::ioctl::ioctl(self, Call { request, argument }) }.map_err(io::Error::from)
    }
}

struct Call {
    request: u32,
    argument: *mut c_void,
}

// SAFETY: the output is nothing, and the argument is what the caller of `Kernel::ioctl` answers for.
unsafe impl Ioctl for Call {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        Opcode::from(self.request)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// What SGX's instructions want at such boundaries; Occlum's library copies, but need not.
#[repr(C, align(512))]
struct Aligned<T>(T);

fn asked(what: &'static str) -> impl FnOnce(io::Error) -> DeviceError {
    move |source| DeviceError::Request { what, source }
}

fn open(path: &Path, writes: bool) -> Result<File, DeviceError> {
    let opened = OpenOptions::new().read(true).write(writes).open(path);
    opened.map_err(|source| DeviceError::Open { path: path.display().to_string(), source })
}

/// Occlum's device.
#[derive(Debug)]
pub struct Sgx<K = File>(K);

impl Sgx {
    /// Opens the device, which is [`SGX_DEVICE`](crate::SGX_DEVICE) but in tests.
    ///
    /// # Errors
    /// It is not there, or not for this user.
    pub fn open(device: &Path) -> Result<Self, DeviceError> {
        open(device, false).map(Self)
    }
}

impl<K: Kernel> Sgx<K> {
    /// A device that is open already.
    pub fn of(device: K) -> Self {
        Self(device)
    }

    /// A quote over the report data.
    ///
    /// # Errors
    /// The host's quoting service is not there, or the device answers nonsense.
    pub fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, DeviceError> {
        let size = self.size(QUOTE_SIZE, "the size of a quote")?;
        let what = "a quote";
        let mut quote = vec![0; size as usize];
        let mut length = size;
        let report_data = Aligned(*report_data);
        let mut argument = GenerateQuote {
            report_data: &raw const report_data.0,
            quote_length: &raw mut length,
            quote: quote.as_mut_ptr(),
        };
        // SAFETY: the structure of the request; `length` says how many bytes `quote` has.
        unsafe { self.0.ioctl(GENERATE_QUOTE, (&raw mut argument).cast()) }.map_err(asked(what))?;
        if length == 0 || length > size {
            return Err(DeviceError::Length { what, bytes: length });
        }
        quote.truncate(length as usize);
        Ok(quote)
    }

    /// What Occlum and the host's quoting library say about a quote.
    ///
    /// # Errors
    /// They say nothing.
    pub fn verify(&self, quote: &[u8]) -> Result<Verification, DeviceError> {
        let size = self.size(SUPPLEMENTAL_SIZE, "the size of supplemental data")?;
        let mut supplemental = vec![0; size as usize];
        let (mut collateral_expiration, mut result) = (u32::MAX, u32::MAX);
        let quote_length = u32::try_from(quote.len()).ok().filter(|length| *length <= MAX_QUOTE_BYTES);
        let too_long = DeviceError::Length { what: "the quote", bytes: u32::MAX };
        let mut argument = VerifyQuote {
            quote: quote.as_ptr(),
            quote_length: quote_length.ok_or(too_long)?,
            collateral_expiration: &raw mut collateral_expiration,
            result: &raw mut result,
            supplemental_length: size,
            supplemental: supplemental.as_mut_ptr(),
        };
        // SAFETY: the structure of the request, with the lengths of both buffers.
        let done = unsafe { self.0.ioctl(VERIFY_QUOTE, (&raw mut argument).cast()) };
        done.map_err(asked("a verification"))?;
        Ok(Verification { collateral_expiration, result, supplemental })
    }

    /// The security versions of the CPU and of this enclave, from a report of it.
    ///
    /// # Errors
    /// The device gives no report.
    pub fn security_versions(&self) -> Result<SecurityVersions, DeviceError> {
        let mut report = Aligned([0; REPORT_BYTES]);
        let report_data = Aligned([0; REPORT_DATA_BYTES]);
        let mut argument = CreateReport {
            target_info: ptr::null(),
            report_data: &raw const report_data.0,
            report: &raw mut report.0,
        };
        // SAFETY: the structure of the request; no target info may be given, and the report has its size.
        let done = unsafe { self.0.ioctl(CREATE_REPORT, (&raw mut argument).cast()) };
        done.map_err(asked("a report"))?;
        Ok(SecurityVersions::of_report(&report.0))
    }

    /// A key of this enclave; wiped on drop.
    ///
    /// # Errors
    /// The CPU refuses: its versions or the enclave's are lower than those asked for.
    pub fn key(&self, request: &KeyRequest) -> Result<Zeroizing<[u8; KEY_BYTES]>, DeviceError> {
        let request = Aligned(*request.bytes());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let mut argument = GetKey { request: &raw const request.0, key: &raw mut *key };
        // SAFETY: the structure of the request; request and key have their sizes.
        let done = unsafe { self.0.ioctl(KEY, (&raw mut argument).cast()) };
        done.map_err(asked("a key"))?;
        Ok(key)
    }

    fn size(&self, request: u32, what: &'static str) -> Result<u32, DeviceError> {
        let mut size = 0_u32;
        // SAFETY: both requests for sizes write a `u32`.
        unsafe { self.0.ioctl(request, (&raw mut size).cast()) }.map_err(asked(what))?;
        if size == 0 || size > MAX_QUOTE_BYTES {
            return Err(DeviceError::Length { what, bytes: size });
        }
        Ok(size)
    }
}

/// An SEV-SNP guest's device.
#[derive(Debug)]
pub struct SevGuest<K = File>(K);

impl SevGuest {
    /// Opens [`SEV_GUEST_DEVICE`].
    ///
    /// # Errors
    /// It is not there, or only root may.
    pub fn open() -> Result<Self, DeviceError> {
        open(Path::new(SEV_GUEST_DEVICE), true).map(Self)
    }
}

impl<K: Kernel> SevGuest<K> {
    /// A device that is open already.
    pub fn of(device: K) -> Self {
        Self(device)
    }

    /// A key of this guest; wiped on drop.
    ///
    /// # Errors
    /// The firmware refuses.
    pub fn derived_key(
        &self,
        request: &DerivedKeyRequest,
    ) -> Result<Zeroizing<[u8; GUEST_KEY_BYTES]>, DeviceError> {
        const VERSION: u8 = 1;
        /// The kernel's word for: nobody has answered.
        const UNANSWERED: u64 = 0xFFFF_FFFF;
        let mut request = Aligned(request.bytes());
        let mut response = Zeroizing::new([0_u8; 64]);
        let mut argument = GuestRequest {
            version: VERSION,
            request: (&raw mut request.0).expose_provenance() as u64,
            response: (&raw mut *response).expose_provenance() as u64,
            error: 0,
        };
        // SAFETY: the structure of the request; the kernel reads 32 bytes of the request and writes 64 of the response.
        let done = unsafe { self.0.ioctl(DERIVED_KEY, (&raw mut argument).cast()) };
        match done {
            Err(_) if argument.error != 0 && argument.error != UNANSWERED => {
                return Err(DeviceError::Firmware { status: 0, error: argument.error });
            }
            other => other.map_err(asked("a derived key"))?,
        }
        let (status, rest) = response.split_first_chunk().unwrap_or((&[0xff; 4], &[]));
        let status = u32::from_le_bytes(*status);
        let mut key = Zeroizing::new([0; GUEST_KEY_BYTES]);
        match rest.last_chunk::<GUEST_KEY_BYTES>() {
            Some(found) if status == 0 => key.copy_from_slice(found),
            _ => return Err(DeviceError::Firmware { status, error: argument.error }),
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
