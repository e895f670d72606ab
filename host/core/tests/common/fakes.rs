//! Evidence, time and randomness.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use carrara_core::ports::{Clock, Entropy, Evidence, EvidenceError};
use carrara_types::claims::{Claims, Identity, Platform, SgxIdentity, Tee};
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// When the tests take place.
pub const NOW: OffsetDateTime = datetime!(2031-02-03 04:05:06.789 UTC);

/// Claims that match the package of `manifest()` and are bound to `PEER`.
pub fn claims() -> Claims {
    let mut report_data = Sha256::digest(super::PEER).to_vec();
    report_data.resize(64, 0);
    Claims {
        tee: Tee::Sgx,
        debug: false,
        tcb_status: "UpToDate".to_owned(),
        advisories: Some(Vec::new()),
        report_data,
        identity: Identity::Sgx(SgxIdentity {
            unique_id: [0xab; 32],
            signer_id: [0xcd; 32],
            product_id: 7,
            security_version: 3,
        }),
        platform: Platform {
            cpu_svn: vec![1; 16],
            qe_svn: 2,
            pce_svn: 3,
            root_ca_sha256: vec![4; 32],
            tcb_evaluation: None,
        },
    }
}

/// A verifier that returns what a test says, and an issuer whose quotes show what they are over.
pub struct FakeEvidence {
    simulated: bool,
    /// What the next verification yields.
    pub verdict: Mutex<Result<Claims, String>>,
    /// The quotes that were verified.
    pub verified: Mutex<Vec<Vec<u8>>>,
    pub issued: AtomicUsize,
    pub cannot_issue: AtomicBool,
}

impl FakeEvidence {
    pub fn tee() -> Self {
        Self {
            simulated: false,
            verdict: Mutex::new(Ok(claims())),
            verified: Mutex::default(),
            issued: AtomicUsize::new(0),
            cannot_issue: AtomicBool::new(false),
        }
    }

    pub fn simulation() -> Self {
        Self { simulated: true, ..Self::tee() }
    }

    /// Changes what the verifier will claim.
    pub fn claim(&self, change: impl FnOnce(&mut Claims)) {
        let mut claims = claims();
        change(&mut claims);
        *self.verdict.lock().unwrap() = Ok(claims);
    }

    pub fn fail(&self, text: &str) {
        *self.verdict.lock().unwrap() = Err(text.to_owned());
    }

    pub fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Evidence for FakeEvidence {
    fn simulated(&self) -> bool {
        self.simulated
    }

    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        if self.cannot_issue.load(Ordering::SeqCst) {
            return Err(EvidenceError(super::INTERNAL.to_owned()));
        }
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        if self.simulated {
            return Ok(Vec::new());
        }
        let number = u8::try_from(number).unwrap();
        Ok([b"quote over ", report_data, &[number]].concat())
    }

    async fn verify(&self, quote: &[u8], _now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        assert!(!self.simulated, "evidence is never verified in simulation");
        self.verified.lock().unwrap().push(quote.to_vec());
        self.verdict.lock().unwrap().clone().map_err(EvidenceError)
    }
}

/// A clock that a test sets.
pub struct HandClock(Mutex<OffsetDateTime>);

impl Default for HandClock {
    fn default() -> Self {
        Self(Mutex::new(NOW))
    }
}

impl HandClock {
    pub fn move_by(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap();
        *now += duration;
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}

/// The operating system's randomness.
pub struct Random;

impl Entropy for Random {
    fn fill(&self, buffer: &mut [u8]) {
        OsRng.fill_bytes(buffer);
    }
}
