//! Which TEE is found, and what all have in common.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::*;
use crate::tee::RealTee;

/// A TEE whose quoting service answers when it is told to.
#[derive(Debug)]
struct Slow(Mutex<mpsc::Receiver<()>>);

impl Source for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn issue(&self, _: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        self.0.lock().unwrap().recv().map_err(|_| IssueError::Interference)?;
        Ok(vec![1])
    }

    fn sealing_key(&self, _: KeyPolicy, _: &[u8]) -> Result<SecretBytes, IssueError> {
        Err(IssueError::NoSealingKey("slow"))
    }
}

/// A quote of SGX as far as issuers look at it.
pub(super) fn sgx_quote(report_data: &[u8; 64]) -> Vec<u8> {
    quote(3, 368, report_data)
}

/// A quote of TDX as far as issuers look at it.
pub(super) fn tdx_quote(version: u8, report_data: &[u8; 64]) -> Vec<u8> {
    quote(version, if version == 4 { 568 } else { 574 }, report_data)
}

fn quote(version: u8, offset: usize, report_data: &[u8; 64]) -> Vec<u8> {
    let mut quote = vec![0x51; offset + 64 + 200];
    quote[..2].copy_from_slice(&[version, 0]);
    quote[offset..offset + 64].copy_from_slice(report_data);
    quote
}

fn places(root: &Path) -> Places {
    Places {
        system: "Linux".to_owned(),
        attestation: root.join("attestation"),
        reports: root.join("report"),
        guests: [(root.join("tdx_guest"), tdx::NAME), (root.join("sev-guest"), snp::NAME)],
    }
}

fn put(path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "").unwrap();
}

//
#[test]
fn without_a_tee_there_is_no_platform_and_the_error_names_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let error = Platform::detect(&places(root.path())).unwrap_err();
    assert_eq!(error, OpenError::NoTee);
    assert!(error.to_string().contains("--simulation"));
}

#[test]
fn gramine_is_found_by_its_files() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("attestation/quote"));
    // Gramine passes the host's devices on: they say nothing.
    put(root.path().join("tdx_guest"));
    let platform = Platform::detect(&places(root.path())).unwrap();
    assert!(platform.name().contains("Gramine"));
    assert!(platform.has_sealing_key());
    assert_eq!(platform.key_binding().unwrap(), Vec::<u8>::new());
}

// The device of old drivers on a host has the same name.
#[test]
fn occlum_is_found_by_its_own_name_and_needs_its_device() {
    let root = tempfile::tempdir().unwrap();
    let places = Places { system: "Occlum".to_owned(), ..places(root.path()) };
    if !Path::new(occlum_dcap::SGX_DEVICE).exists() {
        let error = Platform::detect(&places).unwrap_err();
        assert!(error.to_string().contains("/dev/sgx"), "{error}");
    }
}

//
#[test]
fn a_guest_without_reports_is_named_with_the_remedy() {
    for (device, name) in [("tdx_guest", "Intel TDX"), ("sev-guest", "AMD SEV-SNP")] {
        let root = tempfile::tempdir().unwrap();
        put(root.path().join(device));
        let text = Platform::detect(&places(root.path())).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains("/sys/kernel/config/tsm/report"), "{text}");
    }
}

#[test]
fn a_quote_that_is_cut_off_or_of_an_unknown_version_is_over_nothing() {
    let good = sgx_quote(&[7; 64]);
    assert!(check_intel(&good, &[7; 64]).is_ok());
    assert!(check_intel(&good, &[8; 64]).is_err());
    for end in 0..368 + 64 {
        assert!(check_intel(&good[..end], &[7; 64]).is_err(), "{end}");
    }
    let mut other = good;
    other[0] = 6;
    assert!(check_intel(&other, &[7; 64]).is_err());
}

#[test]
fn an_error_tells_its_causes_in_one_line() {
    let error = read(Path::new("/nonexistent/file"), 1).unwrap_err();
    assert_eq!(error.chain(), "reading /nonexistent/file: No such file or directory (os error 2)");
}

// Anybody may ask for a quote over a nonce; in an enclave few threads wait for the kernel, and others need them.
#[test]
fn many_who_ask_for_quotes_leave_threads_for_others() {
    const ASKING: usize = 8;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).max_blocking_threads(4).enable_time().build().unwrap();
    let (answer, waits) = mpsc::channel();
    let tee = RealTee::new(Platform(Box::new(Slow(Mutex::new(waits)))));
    let begun = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let ask = |_| {
            let (tee, begun) = (tee.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                tee.issue(&[0; 32]).await
            })
        };
        let asking: Vec<_> = (0..ASKING).map(ask).collect();
        while begun.load(Ordering::SeqCst) < ASKING {
            tokio::task::yield_now().await;
        }
        let other = tokio::time::timeout(Duration::from_secs(5), tokio::task::spawn_blocking(|| 7)).await;
        assert!(other.is_ok_and(|other| other.unwrap() == 7), "every thread waits for a quote");
        for _ in 0..ASKING {
            answer.send(()).unwrap();
        }
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Ok(vec![1]));
        }
    });
}
