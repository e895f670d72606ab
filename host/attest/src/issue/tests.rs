//! Which TEE is found, and what all have in common.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::configfs::tests::Kernel;
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
        sgx: root.join("sgx"),
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
    assert_eq!(
        error.to_string(),
        "no TEE was found; run inside an enclave, or pass --simulation to a build with the feature `simulation`"
    );
}

#[test]
fn gramine_is_found_by_its_files() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("attestation/quote"));
    // Gramine passes the host's devices on: they say nothing.
    put(root.path().join("tdx_guest"));
    let platform = Platform::detect(&places(root.path())).unwrap();
    assert_eq!(platform.name(), "SGX (Gramine, /dev/attestation)");
    assert!(platform.has_sealing_key());
    assert_eq!(platform.key_binding().unwrap(), Vec::<u8>::new());
}

/// configfs-tsm with a driver of this name.
fn driver(provider: &'static str) -> Kernel {
    Kernel::new(provider, |data| (data.to_vec(), None))
}

// a VM is known by the driver that issues its reports
#[test]
fn a_guest_is_found_by_the_provider_of_its_reports() {
    let root = tempfile::tempdir().unwrap();
    // The device beside it says nothing: here it is the other one's.
    for (device, provider, name, seals) in [
        ("sev-guest", "tdx_guest", "Intel TDX (configfs-tsm)", false),
        ("tdx_guest", "sev_guest", "AMD SEV-SNP (configfs-tsm)", true),
    ] {
        put(root.path().join(device));
        let platform = Platform::detect_with(&places(root.path()), driver(provider)).unwrap();
        assert_eq!((platform.name(), platform.has_sealing_key()), (name, seals));
    }
}

//
#[test]
fn a_tee_of_another_kind_is_refused_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("tdx_guest"));
    let error = Platform::detect_with(&places(root.path()), driver("arm_cca_guest")).unwrap_err();
    assert_eq!(error, OpenError::Provider("arm_cca_guest".to_owned()));
    assert_eq!(
        error.to_string(),
        "a TEE was found whose reports this version does not know: \"arm_cca_guest\"; Intel TDX and AMD SEV-SNP are known"
    );
}

// the innermost counts; enclaves see the interfaces of the VM that they run in
#[test]
fn an_enclave_in_a_guest_is_the_enclave() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("attestation/quote"));
    for provider in ["tdx_guest", "sev_guest"] {
        let platform = Platform::detect_with(&places(root.path()), driver(provider)).unwrap();
        assert_eq!(platform.name(), "SGX (Gramine, /dev/attestation)");
    }
    let places = Places { system: "Occlum".to_owned(), ..places(root.path()) };
    let error = Platform::detect_with(&places, driver("tdx_guest")).unwrap_err();
    assert_eq!(error, no_device(root.path()), "it is no guest that happens to have no enclave");
    put(root.path().join("sgx"));
    let platform = Platform::detect_with(&places, driver("tdx_guest")).unwrap();
    assert_eq!(platform.name(), "SGX (Occlum, /dev/sgx)");
}

fn no_device(root: &Path) -> OpenError {
    let device = root.join("sgx");
    OpenError::NoSgxDevice(format!("opening {}: No such file or directory (os error 2)", device.display()))
}

// an enclave without quotes is no reason to look for something else
#[test]
fn gramine_without_dcap_is_refused_also_in_a_guest() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("attestation/quote"));
    std::fs::write(root.path().join("attestation/attestation_type"), "none").unwrap();
    let error = Platform::detect_with(&places(root.path()), driver("sev_guest")).unwrap_err();
    assert_eq!(error, OpenError::GramineWithoutDcap);
    assert!(error.to_string().contains("set sgx.remote_attestation = \"dcap\" in its manifest"), "{error}");
}

// the device of old drivers on a host has the same name
#[test]
fn occlum_is_found_by_its_own_name_and_needs_its_device() {
    let root = tempfile::tempdir().unwrap();
    let host = places(root.path());
    let places = Places { system: "Occlum".to_owned(), ..host.clone() };
    let error = Platform::detect(&places).unwrap_err();
    assert_eq!(error, no_device(root.path()));
    let text = error.to_string();
    let remedy = "; build the image with DCAP, and run it on a machine with SGX";
    assert!(
        text.starts_with("Occlum was found, but not its device: opening ") && text.ends_with(remedy),
        "{text}"
    );
    put(root.path().join("sgx"));
    assert_eq!(Platform::detect(&host).unwrap_err(), OpenError::NoTee);
    let platform = Platform::detect(&places).unwrap();
    assert_eq!((platform.name(), platform.has_sealing_key()), ("SGX (Occlum, /dev/sgx)", true));
}

//
#[test]
fn a_guest_without_reports_is_named_with_the_remedy() {
    for (device, name) in [("tdx_guest", "Intel TDX"), ("sev-guest", "AMD SEV-SNP")] {
        let root = tempfile::tempdir().unwrap();
        put(root.path().join(device));
        let error = Platform::detect(&places(root.path())).unwrap_err();
        assert_eq!(error, OpenError::NoReports(name));
        let text = error.to_string();
        let remedy = "use Linux 6.7 or later with configfs-tsm, load the driver";
        assert!(text.starts_with(&format!("{name} was found, but ")) && text.contains(remedy), "{text}");
    }
}

#[test]
fn a_quote_that_is_cut_off_or_of_an_unknown_version_is_over_nothing() {
    let good = sgx_quote(&[7; 64]);
    assert!(check_intel(&good, &[7; 64]).is_ok());
    let refused =
        |quote: &[u8], data: &[u8; 64]| matches!(check_intel(quote, data), Err(IssueError::OtherReportData));
    assert!(refused(&good, &[8; 64]));
    for end in 0..368 + 64 {
        assert!(refused(&good[..end], &[7; 64]), "{end}");
    }
    let mut other = good;
    other[0] = 6;
    assert!(refused(&other, &[7; 64]));
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
