//! A coordinator whose quote is accepted, and what is refused beside it, through the program as users run it (cli.md section 2).
//!
//! The quotes are of a chain of the tests' own, so that the program is `carrara-of-tests`, which is `carrara` with that
//! chain's root instead of Intel's (feature `testing`); `carrara` itself refuses them.

// Helpers of tests may do what tests may.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use carrara_attest::chain::{Chain as Platform, Enclave, Settings};
use carrara_attest::framing::frame;
use carrara_client::Chain;
use carrara_client::collateral::Bundle;
use rustls::pki_types::UnixTime;
use serde_json::json;
use sha2::{Digest, Sha256};

use support::{Answers, FakeCoordinator, Run, carrara, run};

const DAY: i64 = 24 * 3600;
const MANIFEST: &str = "{\"Packages\":{}}";
/// The package of [`Enclave::default`].
const POLICY: &str = r#"{"SignerID":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","ProductID":7,"SecurityVersion":3}"#;
const SAVED: &str = ".config/marblerun/coordinator-cert.pem";

fn now() -> i64 {
    UnixTime::now().as_secs().try_into().unwrap()
}

/// A coordinator in an enclave, and a user's folder with a policy and collateral.
struct Stage {
    folder: tempfile::TempDir,
    platform: Platform,
    server: FakeCoordinator,
    host: String,
}

impl Stage {
    fn new(settings: &Settings, enclave: Enclave) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::new(settings);
        let server = serving(&platform, enclave, "");
        let mut bundle = Bundle::default();
        bundle.add(platform.collateral());
        std::fs::write(folder.path().join("collateral.json"), bundle.to_json()).unwrap();
        std::fs::write(folder.path().join("era-config.json"), POLICY).unwrap();
        std::fs::write(folder.path().join("manifest.json"), MANIFEST).unwrap();
        std::fs::write(folder.path().join("root.der"), platform.root()).unwrap();
        let host = server.address.to_string();
        Self { folder, platform, server, host }
    }

    /// All is right, now.
    fn right() -> Self {
        Self::new(&Settings { now: now(), ..Settings::default() }, Enclave::default())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, line: &[&str]) -> Run {
        let mut program = Command::new(env!("CARGO_BIN_EXE_carrara-of-tests"));
        program.env("CARRARA_TEST_ROOT", self.path().join("root.der"));
        run(program, self.path(), line)
    }

    fn verify(&self, options: &[&str]) -> Run {
        let line = ["manifest", "verify", "manifest.json", &self.host, "--collateral", "collateral.json"];
        self.run(&[&line, options].concat())
    }

    /// Judged by another policy.
    fn verify_by(&self, policy: &str) -> Run {
        std::fs::write(self.path().join("era-config.json"), policy).unwrap();
        self.verify(&[])
    }

    /// The error; nothing was pinned by it.
    #[track_caller]
    fn refused(&self, run: &Run) -> String {
        let error = run.error();
        assert!(!self.path().join(SAVED).exists(), "{error}");
        error
    }
}

/// A coordinator with a manifest whose quote is bound to its root certificate and this nonce (C-2).
fn serving(platform: &Platform, enclave: Enclave, nonce: &str) -> FakeCoordinator {
    FakeCoordinator::start(|chain| {
        let ok = |data| (200, json!({ "status": "success", "data": data }).to_string());
        let quote = ok(json!({ "cert": chain, "quote": quote(platform, enclave, chain, nonce) }));
        let manifest = json!({
            "manifest": BASE64_STANDARD.encode(MANIFEST),
            "manifestFingerprint": hex::encode(Sha256::digest(MANIFEST)),
            "manifestSignatureRootECDSA": "AQ==",
        });
        Answers::from([
            ("GET /api/v2/quote", quote.clone()),
            // Of the nonce 0123; a right coordinator would issue another quote.
            ("GET /api/v2/quote?nonce=MDEyMw%3D%3D", quote),
            ("GET /api/v2/manifest", ok(manifest)),
            ("GET /api/v2/status", ok(json!({ "code": 3, "message": "running" }))),
        ])
    })
}

fn quote(platform: &Platform, enclave: Enclave, chain: &str, nonce: &str) -> String {
    let chain = Chain::from_pem(chain.as_bytes()).unwrap();
    let digest = Sha256::new().chain_update(chain.root()).chain_update(nonce).finalize();
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&digest);
    BASE64_STANDARD.encode(frame(&platform.sgx_quote(&Enclave { report_data, ..enclave })))
}

// C-1, C-2, C-5, C-6, X-31
#[test]
fn an_accepted_coordinator_is_pinned_and_later_commands_need_no_quote() {
    let stage = Stage::right();
    let run = stage.verify(&["--save-sgx-quote", "quote.bin"]);
    assert_eq!((run.text().as_str(), run.complaints().as_str()), ("OK\n", ""));
    let saved = Chain::from_pem(&std::fs::read(stage.path().join(SAVED)).unwrap()).unwrap();
    assert_eq!(saved, Chain::from_pem(stage.server.chain_pem.as_bytes()).unwrap());
    let bound = Sha256::digest(saved.root());
    let quote = std::fs::read(stage.path().join("quote.bin")).unwrap();
    assert_eq!(quote[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
    assert!(quote.windows(32).any(|bytes| bytes == bound.as_slice()));

    for name in ["era-config.json", "collateral.json"] {
        std::fs::remove_file(stage.path().join(name)).unwrap();
    }
    let run = stage.run(&["status", &stage.host]);
    assert_eq!((run.text().as_str(), run.complaints().as_str()), ("3: running\n", ""));
    let asked = stage.server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.contains("quote")).count(), 1, "{asked:?}");
    // The root is all that later commands go by.
    carrara(stage.path(), &["status", &stage.host]).text();
}

// C-1, C-3
#[test]
fn attest_writes_the_root_of_an_accepted_coordinator() {
    let stage = Stage::right();
    let run = stage.run(&["attest", &stage.host, "--collateral", "collateral.json", "-o", "root.pem"]);
    assert_eq!(run.text(), "Coordinator verified\nRoot certificate written to root.pem\n");
    let root = std::fs::read_to_string(stage.path().join("root.pem")).unwrap();
    assert!(stage.server.chain_pem.ends_with(&root), "{root}");
}

#[test]
fn the_program_that_users_have_accepts_intels_root_only() {
    let stage = Stage::right();
    let mut program = Command::new(env!("CARGO_BIN_EXE_carrara"));
    program.env("CARRARA_TEST_ROOT", stage.path().join("root.der"));
    let line = ["manifest", "verify", "manifest.json", &stage.host, "--collateral", "collateral.json"];
    let error = stage.refused(&run(program, stage.path(), &line));
    assert!(error.contains("verifying the coordinator's quote"), "{error}");
}

// C-3
#[test]
fn another_enclave_is_refused_with_what_was_found() {
    let stage = Stage::right();
    let unique =
        |byte: &str| format!(r#"{{"UniqueID":"{}","ProductID":7,"SecurityVersion":3}}"#, byte.repeat(32));
    let wrong = [
        (unique("ac"), "UniqueID is abab"),
        (POLICY.replace("cd", "ce"), "SignerID is cdcd"),
        (POLICY.replace('7', "8"), "ProductID is 7, expected 8"),
        (POLICY.replace('3', "4"), "SecurityVersion is 3"),
    ];
    for (policy, expected) in wrong {
        let error = stage.refused(&stage.verify_by(&policy));
        assert!(error.contains("is not the expected one") && error.contains(expected), "{error}");
    }
    let error = stage.refused(&stage.verify_by(&format!(r#"{{"TDX":{{"MRTD":"{}"}}}}"#, "ab".repeat(48))));
    assert!(error.contains("runs in sgx, of which the attestation policy says nothing; add"), "{error}");
    assert_eq!(stage.verify_by(&unique("ab")).text(), "OK\n");
}

// C-3
#[test]
fn debug_mode_is_refused_unless_the_policy_allows_it() {
    let stage = Stage::new(
        &Settings { now: now(), ..Settings::default() },
        Enclave { debug: true, ..Enclave::default() },
    );
    let error = stage.refused(&stage.verify(&[]));
    assert!(error.contains("is in debug mode") && error.contains("policy must allow that"), "{error}");
    stage.verify_by(&POLICY.replace('}', r#","Debug":true}"#)).text();
}

// C-2, R-37
#[test]
fn a_quote_for_another_nonce_is_refused_and_the_right_one_accepted() {
    let stage = Stage::right();
    let error = stage.refused(&stage.verify(&["--nonce", "0123"]));
    assert!(error.contains("the nonce; do not trust this server"), "{error}");
    let fresh = serving(&stage.platform, Enclave::default(), "0123");
    let host = fresh.address.to_string();
    let line = ["attest", &host, "--collateral", "collateral.json", "--nonce"];
    stage.run(&[&line[..], &["0123"]].concat()).text();
    let error = stage.run(&line[..line.len() - 1]).error();
    assert!(error.contains("do not trust this server"), "{error}");
}

#[test]
fn collateral_that_has_expired_or_is_for_others_refuses_with_the_command_that_fetches_it() {
    let stage = Stage::new(&Settings { now: now() - 60 * DAY, ..Settings::default() }, Enclave::default());
    let error = stage.refused(&stage.verify(&[]));
    assert!(error.contains("collateral.json: it was valid until"), "{error}");
    assert!(error.contains("`carrara collateral fetch`"), "{error}");
    std::fs::write(stage.path().join("collateral.json"), Bundle::default().to_json()).unwrap();
    let error = stage.refused(&stage.verify(&[]));
    assert!(error.contains("it has none for this platform"), "{error}");
    assert!(error.contains("`carrara collateral fetch`"), "{error}");
}

// C-4
#[test]
fn a_platform_without_updates_is_refused_unless_its_status_is_accepted() {
    let stage = Stage::new(&Settings { now: now(), svn: 2, ..Settings::default() }, Enclave::default());
    let error = stage.refused(&stage.verify(&[]));
    assert!(error.contains("TCB status OutOfDate") && error.contains("accept it explicitly"), "{error}");
    stage.verify(&["--accepted-tcb-statuses", "UpToDate,OutOfDate"]).text();
}

// C-4
#[test]
fn advisories_that_are_listed_are_accepted_and_no_others() {
    let stage = Stage::new(&Settings { now: now(), svn: 3, ..Settings::default() }, Enclave::default());
    let error = stage.refused(&stage.verify(&["--accepted-advisories", "INTEL-SA-00334"]));
    assert!(error.contains("affected by INTEL-SA-00615"), "{error}");
    stage.verify(&["--accepted-advisories", "INTEL-SA-00334,INTEL-SA-00615"]).text();
}

// C-5
#[test]
fn a_changed_root_is_refused_with_the_command_that_verifies_the_new_one() {
    let stage = Stage::right();
    stage.verify(&[]).text();
    let before = std::fs::read(stage.path().join(SAVED)).unwrap();
    let other = serving(&stage.platform, Enclave::default(), "");
    let host = other.address.to_string();
    let error = stage.run(&["status", &host]).error();
    assert!(error.contains("it presents another root certificate than the trusted one"), "{error}");
    assert!(error.contains("`carrara manifest verify`"), "{error}");
    assert!(!other.asked().iter().any(|asked| asked.contains("status")));
    assert_eq!(std::fs::read(stage.path().join(SAVED)).unwrap(), before);

    let line = ["manifest", "verify", "manifest.json", &host, "--collateral", "collateral.json"];
    let run = stage.run(&line);
    assert_eq!(run.text(), "OK\n");
    assert!(run.complaints().contains("root certificate changed from"), "{}", run.complaints());
    assert_eq!(stage.run(&["status", &host]).text(), "3: running\n");
    stage.run(&["status", &stage.host]).error();
}

// cli.md, `certificate`: what is written is what was verified before
#[test]
fn a_certificate_is_written_only_of_the_coordinator_whose_root_was_saved() {
    let stage = Stage::right();
    let written = stage.path().join("root.pem");
    let get = |host: &str| {
        stage.run(&["certificate", "root", host, "--collateral", "collateral.json", "-o", "root.pem"])
    };
    let nothing = get(&stage.host).error();
    assert!(nothing.contains("saved certificates; run `carrara manifest verify`"), "{nothing}");
    assert!(!written.exists());

    stage.verify(&[]).text();
    assert_eq!(get(&stage.host).text(), "Root certificate written to root.pem\n");
    let root = std::fs::read_to_string(&written).unwrap();
    assert!(stage.server.chain_pem.ends_with(&root), "{root}");
    std::fs::remove_file(&written).unwrap();

    let other = serving(&stage.platform, Enclave::default(), "");
    let changed = get(&other.address.to_string()).error();
    let text = "differs from the saved one; run `carrara manifest verify` to check what it runs";
    assert!(changed.contains(text), "{changed}");
    assert!(!written.exists());
}
