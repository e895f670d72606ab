//! SGX under Gramine: the pseudo files in /dev/attestation (Gramine's manual, Attestation and Secret Provisioning).
//!
//! The files belong to the process, so that report data and quote of two requests could cross: one request at a time.
//! Sealing keys are `keys/_sgx_mrsigner` and `keys/_sgx_mrenclave`, 16 bytes each. Gramine derives them for the versions of
//! the CPU and the enclave of now and gives no others: after an update of either, a state starts in recovery.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::REPORT_DATA_BYTES;
use zeroize::Zeroizing;

use super::{IssueError, Source, check_intel, key, read, write};
use crate::{OpenError, framing};

/// marble-api.md section 9: a quote is shorter.
const MAX_QUOTE_BYTES: usize = 8191;
const KEY_BYTES: usize = 16;

/// The interface in a folder.
#[derive(Debug)]
pub(super) struct Gramine {
    folder: PathBuf,
    request: Mutex<()>,
}

impl Gramine {
    /// Gramine's interface, if it is there. It must be one of DCAP.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>, OpenError> {
        if !folder.join("quote").exists() {
            return Ok(None);
        }
        match std::fs::read_to_string(folder.join("attestation_type")) {
            Ok(kind) if kind.trim() == "dcap" => {}
            // Gramine before 1.4 does not say.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(_) | Err(_) => return Err(OpenError::GramineWithoutDcap),
        }
        Ok(Some(Self { folder: folder.to_owned(), request: Mutex::new(()) }))
    }
}

impl Source for Gramine {
    fn name(&self) -> &'static str {
        "SGX (Gramine, /dev/attestation)"
    }

    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        // The lock guards no data that a panic could have left half done.
        let _one = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join("user_report_data");
        let written = write(&path, report_data);
        written.map_err(|source| IssueError::File { doing: "writing", path, source })?;
        let path = self.folder.join("quote");
        let quote = read(&path, MAX_QUOTE_BYTES)?;
        if quote.is_empty() {
            return Err(IssueError::Length { path, bytes: 0, expected: "1 to 8191" });
        }
        check_intel(&quote, report_data)?;
        Ok(framing::frame(&quote))
    }

    fn sealing_key(&self, policy: KeyPolicy, _: &[u8]) -> Result<SecretBytes, IssueError> {
        let name = match policy {
            KeyPolicy::Product => "_sgx_mrsigner",
            KeyPolicy::Unique => "_sgx_mrenclave",
        };
        let path = self.folder.join("keys").join(name);
        let given = Zeroizing::new(read(&path, KEY_BYTES)?);
        if given.len() != KEY_BYTES {
            return Err(IssueError::Length { path, bytes: given.len(), expected: "16" });
        }
        key::derive("gramine", policy, &given)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::issue::tests::sgx_quote;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            files.put("user_report_data", &[0; 64]);
            files.put("quote", &sgx_quote(&[7; 64]));
            files
        }

        fn put(&self, name: &str, content: &[u8]) {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }

        fn open(&self) -> Gramine {
            Gramine::find(self.0.path()).unwrap().unwrap()
        }
    }

    // G-30, marble-api.md section 9
    #[test]
    fn a_quote_is_read_after_the_report_data_was_written_and_gets_the_header() {
        let files = Files::new();
        let framed = files.open().issue(&[7; 64]).unwrap();
        assert_eq!(std::fs::read(files.0.path().join("user_report_data")).unwrap(), [7; 64]);
        assert_eq!(framing::unframe(&framed), Ok(&sgx_quote(&[7; 64])[..]));
    }

    // Pipes: whoever opens them waits for the other side, so that order and number of the calls are seen.
    #[test]
    fn report_data_is_written_in_one_piece_before_the_quote_is_opened() {
        let files = Files::new();
        for name in ["user_report_data", "quote"] {
            let path = files.0.path().join(name);
            std::fs::remove_file(&path).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
        }
        let folder = files.0.path().to_owned();
        let kernel = std::thread::spawn(move || {
            let mut buffer = [0; 128];
            let mut data = std::fs::File::open(folder.join("user_report_data")).unwrap();
            assert_eq!(data.read(&mut buffer).unwrap(), 64);
            assert_eq!(data.read(&mut buffer[64..]).unwrap(), 0);
            let quote = sgx_quote(&buffer[..64].try_into().unwrap());
            let mut answer = std::fs::OpenOptions::new().write(true).open(folder.join("quote")).unwrap();
            // As a driver may: in two reads.
            answer.write_all(&quote[..100]).unwrap();
            answer.write_all(&quote[100..]).unwrap();
        });
        let framed = files.open().issue(&[9; 64]).unwrap();
        kernel.join().unwrap();
        assert_eq!(framing::unframe(&framed), Ok(&sgx_quote(&[9; 64])[..]));
    }

    // marble-api.md section 9: 0 < n < 8192
    #[test]
    fn a_quote_of_no_or_too_many_bytes_is_refused() {
        let files = Files::new();
        let mut longest = sgx_quote(&[7; 64]);
        longest.resize(8191, 0);
        files.put("quote", &longest);
        assert!(files.open().issue(&[7; 64]).is_ok());
        longest.push(0);
        for content in [&longest[..], &[]] {
            files.put("quote", content);
            let error = files.open().issue(&[7; 64]).unwrap_err();
            assert!(matches!(error, IssueError::Length { .. }), "{error}");
        }
    }

    #[test]
    fn a_quote_over_other_report_data_is_not_given_out() {
        let files = Files::new();
        let error = files.open().issue(&[8; 64]).unwrap_err();
        assert!(matches!(error, IssueError::OtherReportData), "{error}");
    }

    #[test]
    fn report_data_is_only_written_to_a_file_that_is_there() {
        let files = Files::new();
        let path = files.0.path().join("user_report_data");
        std::fs::remove_file(&path).unwrap();
        let text = files.open().issue(&[7; 64]).unwrap_err().chain();
        assert!(text.contains("writing") && text.contains("user_report_data"), "{text}");
        assert!(!path.exists());
    }

    // L-35
    #[test]
    fn each_policy_has_the_key_of_its_file() {
        let files = Files::new();
        files.put("keys/_sgx_mrsigner", &[1; 16]);
        files.put("keys/_sgx_mrenclave", &[2; 16]);
        for (policy, given) in [(KeyPolicy::Product, [1; 16]), (KeyPolicy::Unique, [2; 16])] {
            let key = files.open().sealing_key(policy, &[]).unwrap();
            assert_eq!(key.expose(), key::derive("gramine", policy, &given).unwrap().expose());
        }
        for wrong in [&[1; 15][..], &[1; 17], &[]] {
            files.put("keys/_sgx_mrsigner", wrong);
            let text = files.open().sealing_key(KeyPolicy::Product, &[]).unwrap_err().to_string();
            assert!(text.contains("_sgx_mrsigner"), "{text}");
        }
    }

    #[test]
    fn only_dcap_is_taken() {
        let files = Files::new();
        files.put("attestation_type", b"dcap");
        assert!(Gramine::find(files.0.path()).unwrap().is_some());
        for other in [&b"none"[..], b"epid", b"\xff"] {
            files.put("attestation_type", other);
            let error = Gramine::find(files.0.path()).unwrap_err();
            assert!(error.to_string().contains("sgx.remote_attestation"), "{error}");
        }
        assert!(Gramine::find(&files.0.path().join("missing")).unwrap().is_none());
    }
}
