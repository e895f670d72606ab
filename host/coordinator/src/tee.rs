//! Attestation as the core and the store see it.
//!
//! A TEE without sealing keys (TDX) seals with random ones of this process: nothing of the state can be opened by another, so
//! that every later start with a state is a recovery.

use std::sync::Arc;

use async_trait::async_trait;
use carrara_attest::Attestation;
use carrara_core::ports::{Entropy, Evidence, EvidenceError, KeyPolicy, Sealing, SealingKind};
use carrara_types::claims::Claims;
use carrara_types::secret::SecretBytes;
use time::OffsetDateTime;
use tracing::{info, warn};

const KEY_BYTES: usize = 32;

/// The TEE behind the ports.
pub(crate) struct Tee {
    attestation: Attestation,
    passing: Option<PassingKeys>,
}

/// Sealing keys that end with the process.
struct PassingKeys {
    product: SecretBytes,
    unique: SecretBytes,
}

impl PassingKeys {
    fn new(entropy: &dyn Entropy) -> Self {
        let random = || {
            let mut key = vec![0; KEY_BYTES];
            entropy.fill(&mut key);
            SecretBytes::new("passing sealing key", key)
        };
        Self { product: random(), unique: random() }
    }
}

impl Tee {
    pub(crate) fn new(attestation: Attestation, entropy: &dyn Entropy) -> Self {
        let passing = (!attestation.has_sealing_key()).then(|| PassingKeys::new(entropy));
        Self { attestation, passing }
    }

    /// Says in the log what was found.
    pub(crate) fn tell(&self) {
        if !self.attestation.simulated() {
            info!(tee = self.attestation.name(), "found the TEE");
        }
        if self.passing.is_some() {
            warn!(
                tee = self.attestation.name(),
                "this TEE has no sealing key: after each restart the coordinator is in recovery and needs the recovery \
                 secrets; set manifests with RecoveryKeys only"
            );
        }
    }
}

/// Where another process's state can be opened, for who only looks at it.
pub(crate) fn opener(attestation: Attestation) -> Option<Arc<Tee>> {
    attestation.has_sealing_key().then(|| Arc::new(Tee { attestation, passing: None }))
}

#[async_trait]
impl Evidence for Tee {
    fn simulated(&self) -> bool {
        self.attestation.simulated()
    }

    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        self.attestation.issue(report_data).await.map_err(|error| EvidenceError(error.to_string()))
    }

    async fn verify(&self, quote: &[u8], now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        let verified = self.attestation.verify(quote, now.unix_timestamp()).await;
        verified.map_err(|error| {
            if let carrara_attest::EvidenceError::Bundle(cause) = &error {
                // The Marble's operator can do nothing about it.
                warn!(%cause, "the bundle of collateral cannot be read: evidence of SEV-SNP is refused");
            }
            EvidenceError(error.to_string())
        })
    }
}

impl Sealing for Tee {
    fn kind(&self) -> SealingKind {
        if self.attestation.simulated() { SealingKind::Simulation } else { SealingKind::Tee }
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        self.bound_key(policy, &self.binding()?)
    }

    fn binding(&self) -> Result<Vec<u8>, String> {
        if self.passing.is_some() {
            return Ok(Vec::new());
        }
        self.attestation.key_binding().map_err(|error| error.to_string())
    }

    fn bound_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, String> {
        match (&self.passing, policy) {
            (Some(keys), KeyPolicy::Product) => Ok(keys.product.duplicate()),
            (Some(keys), KeyPolicy::Unique) => Ok(keys.unique.duplicate()),
            (None, _) => self.attestation.sealing_key(policy, binding).map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod evidence_tests;
#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read as _, Seek as _};
    use std::path::Path;

    use carrara_attest::RealTee;
    use carrara_attest::chain::{Chain, Settings};
    use carrara_attest::issue::{Places, Platform};

    use super::*;

    /// What is written to the log meanwhile.
    pub(crate) fn logged(work: impl FnOnce()) -> String {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(Arc::clone(&file));
        tracing::subscriber::with_default(lines.finish(), work);
        let (mut text, mut file) = (String::new(), &*file);
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn entropy() -> Counting {
        Counting(1.into())
    }

    /// Gramine's interface, played by files; its quote is over zeros.
    fn gramine(folder: &Path) -> Tee {
        std::fs::create_dir_all(folder.join("keys")).unwrap();
        std::fs::write(folder.join("user_report_data"), []).unwrap();
        let mut quote = vec![0; 1000];
        quote[0] = 3;
        std::fs::write(folder.join("quote"), quote).unwrap();
        let places = Places {
            system: "Linux".to_owned(),
            attestation: folder.to_owned(),
            reports: folder.join("none"),
            ..Places::default()
        };
        let platform = Platform::detect(&places).unwrap();
        Tee::new(Attestation::Tee(RealTee::new(platform)), &entropy())
    }

    // L-35
    #[test]
    fn the_sealing_keys_are_the_tee_s() {
        let folder = tempfile::tempdir().unwrap();
        let tee = gramine(folder.path());
        assert_eq!((tee.kind(), tee.simulated()), (SealingKind::Tee, false));
        let error = tee.key(KeyPolicy::Product).unwrap_err();
        assert!(error.contains("Gramine") && error.contains("_sgx_mrsigner"), "{error}");
        std::fs::write(folder.path().join("keys/_sgx_mrsigner"), [1; 16]).unwrap();
        std::fs::write(folder.path().join("keys/_sgx_mrenclave"), [2; 16]).unwrap();
        let key = |policy| tee.key(policy).unwrap().expose().to_vec();
        assert_eq!(key(KeyPolicy::Product).len(), KEY_BYTES);
        assert_ne!(key(KeyPolicy::Product), key(KeyPolicy::Unique));
        assert_eq!(tee.binding(), Ok(Vec::new()));
    }

    //
    #[tokio::test]
    async fn a_tee_that_gives_no_quote_is_an_error_and_never_simulation() {
        let folder = tempfile::tempdir().unwrap();
        let tee = gramine(folder.path());
        assert!(!tee.issue(&[0; 32]).await.unwrap().is_empty());
        let text = tee.issue(&[7; 32]).await.unwrap_err().to_string();
        assert!(text.contains("Gramine") && text.contains("other report data"), "{text}");
        std::fs::write(folder.path().join("quote"), []).unwrap();
        assert!(tee.issue(&[0; 32]).await.is_err());
        assert!(!tee.simulated());
    }

    //
    #[test]
    fn the_log_names_the_tee_that_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let tee = gramine(folder.path());
        let found = "found the TEE tee=\"SGX (Gramine, /dev/attestation)\"";
        assert_eq!(logged(|| tee.tell()), format!(" INFO carrara_coordinator::tee: {found}\n"));
    }

    // L-16
    #[test]
    fn the_log_says_of_a_tee_without_sealing_keys_what_a_restart_means() {
        let settings = Settings { tee: carrara_attest::collateral::Tee::Tdx, ..Settings::default() };
        let platform = Platform::generated(Arc::new(Chain::new(&settings)));
        let tee = Tee::new(Attestation::Tee(RealTee::new(platform)), &entropy());
        let log = logged(|| tee.tell());
        let [found, warning] = log.lines().collect::<Vec<_>>()[..] else { panic!("two lines: {log}") };
        assert_eq!(found, " INFO carrara_coordinator::tee: found the TEE tee=\"Intel TDX (generated)\"");
        let text = "this TEE has no sealing key: after each restart the coordinator is in recovery and needs the \
                    recovery secrets; set manifests with RecoveryKeys only";
        let expected = format!(" WARN carrara_coordinator::tee: {text} tee=\"Intel TDX (generated)\"");
        assert_eq!(warning, expected);
    }

    // L-16
    #[test]
    fn keys_of_a_tee_without_any_are_random_and_end_with_the_process() {
        let (first, next) = (PassingKeys::new(&entropy()), PassingKeys::new(&Counting(9.into())));
        assert_ne!(first.product.expose(), first.unique.expose());
        assert_ne!(first.product.expose(), next.product.expose());
    }

    #[cfg(feature = "simulation")]
    #[test]
    fn a_simulated_key_is_marked_as_such() {
        let attestation = carrara_attest::open(carrara_attest::Expected::Simulation).unwrap();
        let tee = Tee::new(attestation, &entropy());
        assert_eq!(tee.kind(), SealingKind::Simulation);
        assert!(tee.simulated());
        assert_eq!(tee.key(KeyPolicy::Product).unwrap().len(), KEY_BYTES);
        assert_eq!(logged(|| tee.tell()), "", "there is no TEE to name");
    }
}
