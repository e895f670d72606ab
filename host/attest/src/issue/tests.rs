//! Which TEE is found, and what all have in common.

use super::*;

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
