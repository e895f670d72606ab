//! SGX under Occlum: quotes and keys by `ioctl` on /dev/sgx (see the crate `occlum-dcap`).
//!
//! A sealing key is made of two of 128 bits with different key ids. It is bound to the versions of CPU and enclave of when it
//! was derived, which are kept beside what it seals (20 bytes: CPU SVN, ISV SVN, configuration SVN, little-endian): a newer
//! enclave or CPU derives it again, an older one cannot (L-32, L-35).

use std::fmt;
use std::path::Path;

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::{
    DeviceError, KEY_BYTES, KeyRequest, REPORT_DATA_BYTES, SecurityVersions, Sgx, report_data,
};
use zeroize::Zeroizing;

use super::{IssueError, Source, check_intel, key};
use crate::{OpenError, framing};

/// What `uname -s` says inside.
pub(super) const SYSTEM: &str = "Occlum";

const BINDING_BYTES: usize = 20;

/// What the enclave's device does.
pub(super) trait Enclave: Send + Sync + fmt::Debug {
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, DeviceError>;
    fn security_versions(&self) -> Result<SecurityVersions, DeviceError>;
    fn key(&self, request: &KeyRequest) -> Result<Zeroizing<[u8; KEY_BYTES]>, DeviceError>;
}

impl Enclave for Sgx {
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, DeviceError> {
        Self::quote(self, report_data)
    }

    fn security_versions(&self) -> Result<SecurityVersions, DeviceError> {
        Self::security_versions(self)
    }

    fn key(&self, request: &KeyRequest) -> Result<Zeroizing<[u8; KEY_BYTES]>, DeviceError> {
        Self::key(self, request)
    }
}

/// An enclave of Occlum.
#[derive(Debug)]
pub(super) struct Occlum<E = Sgx>(E);

impl Occlum {
    pub(super) fn open(device: &Path) -> Result<Self, OpenError> {
        Sgx::open(device).map(Self).map_err(|error| OpenError::NoSgxDevice(IssueError::from(error).chain()))
    }
}

impl<E: Enclave> Source for Occlum<E> {
    fn name(&self) -> &'static str {
        "SGX (Occlum, /dev/sgx)"
    }

    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        let quote = self.0.quote(report_data)?;
        check_intel(&quote, report_data)?;
        Ok(framing::frame(&quote))
    }

    fn key_binding(&self) -> Result<Vec<u8>, IssueError> {
        let versions = self.0.security_versions()?;
        Ok([&versions.cpu[..], &versions.isv.to_le_bytes(), &versions.config.to_le_bytes()].concat())
    }

    fn sealing_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, IssueError> {
        let versions = versions(binding).ok_or(IssueError::Binding)?;
        let identity = match policy {
            KeyPolicy::Product => occlum_dcap::KeyPolicy::Signer,
            KeyPolicy::Unique => occlum_dcap::KeyPolicy::Enclave,
        };
        let mut given = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        for id in [&b"carrara sealing key 1"[..], b"carrara sealing key 2"] {
            let id = report_data(id).ok().and_then(|padded| padded.first_chunk().copied());
            let request = KeyRequest::seal(identity, &versions, &id.ok_or(IssueError::Derivation)?);
            given.extend_from_slice(self.0.key(&request)?.as_slice());
        }
        key::derive("occlum", policy, &given)
    }
}

fn versions(binding: &[u8]) -> Option<SecurityVersions> {
    let binding: &[u8; BINDING_BYTES] = binding.try_into().ok()?;
    let (cpu, rest) = binding.split_first_chunk()?;
    let (isv, config) = rest.split_first_chunk()?;
    let config = config.first_chunk()?;
    let config = u16::from_le_bytes(*config);
    Some(SecurityVersions { cpu: *cpu, isv: u16::from_le_bytes(*isv), config })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::tests::sgx_quote;

    /// An enclave that gives keys for its own and lower ISV versions, as a CPU does.
    #[derive(Debug)]
    struct Fake {
        isv: u16,
        cross: bool,
    }

    impl Enclave for Fake {
        fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, DeviceError> {
            Ok(sgx_quote(if self.cross { &[0; 64] } else { report_data }))
        }

        fn security_versions(&self) -> Result<SecurityVersions, DeviceError> {
            Ok(SecurityVersions { cpu: [0xc0; 16], isv: self.isv, config: 1 })
        }

        fn key(&self, request: &KeyRequest) -> Result<Zeroizing<[u8; KEY_BYTES]>, DeviceError> {
            let bytes = request.bytes();
            if u16::from_le_bytes([bytes[4], bytes[5]]) > self.isv {
                return Err(DeviceError::Length { what: "a key", bytes: 0 });
            }
            // Any function of all that the CPU would look at.
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            Ok(Zeroizing::new(digest.as_ref()[..16].try_into().unwrap()))
        }
    }

    const NOW: Fake = Fake { isv: 2, cross: false };

    fn key(fake: Fake, policy: KeyPolicy, binding: &[u8]) -> Result<String, IssueError> {
        Ok(hex::encode(Occlum(fake).sealing_key(policy, binding)?.expose()))
    }

    // G-30, marble-api.md section 9
    #[test]
    fn a_quote_gets_the_header_and_must_be_over_what_was_asked_for() {
        let framed = Occlum(NOW).issue(&[7; 64]).unwrap();
        assert_eq!(framing::unframe(&framed), Ok(&sgx_quote(&[7; 64])[..]));
        let error = Occlum(Fake { cross: true, ..NOW }).issue(&[7; 64]).unwrap_err();
        assert!(matches!(error, IssueError::OtherReportData), "{error}");
    }

    // L-35
    #[test]
    fn a_newer_enclave_gets_the_older_one_s_key_and_not_the_reverse() {
        let binding = Occlum(NOW).key_binding().unwrap();
        assert_eq!(binding, [&[0xc0; 16][..], &[2, 0, 1, 0]].concat());
        let policy = KeyPolicy::Product;
        let own = key(NOW, policy, &binding).unwrap();
        assert_eq!(key(Fake { isv: 3, ..NOW }, policy, &binding).unwrap(), own);
        let older = key(Fake { isv: 1, ..NOW }, policy, &binding).unwrap_err();
        assert!(matches!(older, IssueError::Device(DeviceError::Length { what: "a key", .. })), "{older}");
        let newer = Occlum(Fake { isv: 3, ..NOW }).key_binding().unwrap();
        assert_ne!(key(Fake { isv: 3, ..NOW }, policy, &newer).unwrap(), own);
    }

    // L-32, L-35
    #[test]
    fn the_two_policies_have_different_keys_of_256_bits() {
        let binding = Occlum(NOW).key_binding().unwrap();
        let product = key(NOW, KeyPolicy::Product, &binding).unwrap();
        assert_eq!(product.len(), 64);
        assert_ne!(product, key(NOW, KeyPolicy::Unique, &binding).unwrap());
    }

    #[test]
    fn without_the_versions_there_is_no_key() {
        for wrong in [&[][..], &[0; 19], &[0; 21]] {
            assert!(matches!(key(NOW, KeyPolicy::Product, wrong), Err(IssueError::Binding)));
        }
    }
}
