//! C-1..C-4 against a server with a quote of a chain of the tests' own, whose collateral is in a file or at a PCCS.

use carrara_attest::chain::{Chain as Platform, Enclave, Machine, Settings};
use carrara_attest::collateral::mock::{Answer, MockPccs};
use carrara_attest::collateral::{Bundle, Pccs, PccsTrust, Source, Tee};
use carrara_attest::framing::frame;
use carrara_types::manifest::TdxPackage;
use tempfile::NamedTempFile;

use super::policy::tests::policy;
use super::*;
use crate::test_server::{Authority, TestServer, authority, success};

/// When everything of [`Settings::default`] is valid.
const NOW: i64 = 1_750_000_000;

fn tdx_policy() -> AttestationPolicy {
    let tdx = TdxPackage { mr_td: Some([0xab; 48]), ..TdxPackage::default() };
    AttestationPolicy { tdx: Some(Box::new(tdx)), ..AttestationPolicy::default() }
}

/// Report data for a root certificate and a nonce (C-2).
fn bound(authority: &Authority, nonce: &[u8]) -> [u8; 64] {
    let mut data = [0; 64];
    data[..32].copy_from_slice(&Sha256::new().chain_update(&authority.root).chain_update(nonce).finalize());
    data
}

/// A coordinator, its platform, and a file of collateral for it.
struct Setting {
    server: TestServer,
    platform: Platform,
    bundle: NamedTempFile,
    quote: Vec<u8>,
}

impl Setting {
    async fn of(settings: &Settings, quote: impl FnOnce(&Platform, &Authority) -> Vec<u8>) -> Self {
        let (platform, authority) = (Platform::new(settings), authority());
        let quote = quote(&platform, &authority);
        let mut bundle = Bundle::default();
        bundle.add(platform.collateral());
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bundle.to_json()).unwrap();
        let server = serving(authority, Some(&quote)).await;
        Self { server, platform, bundle: file, quote }
    }

    /// An SGX coordinator whose quote is bound to its root.
    async fn sgx(settings: &Settings) -> Self {
        Self::enclave(settings, Enclave::default()).await
    }

    async fn enclave(settings: &Settings, enclave: Enclave) -> Self {
        let quote = |platform: &Platform, authority: &Authority| {
            frame(&platform.sgx_quote(&Enclave { report_data: bound(authority, b""), ..enclave }))
        };
        Self::of(settings, quote).await
    }

    async fn tdx(machine: Machine) -> Self {
        let quote = |platform: &Platform, authority: &Authority| {
            frame(&platform.tdx_quote(&Machine { report_data: bound(authority, b""), ..machine }, 4))
        };
        Self::of(&Settings { tee: Tee::Tdx, ..Settings::default() }, quote).await
    }

    fn file(&self) -> Source {
        Source::default().with_bundle(self.bundle.path().to_owned())
    }

    async fn attest(&self, policy: &AttestationPolicy) -> Result<Attested, AttestationError> {
        self.attest_by(policy, self.file(), b"", NOW).await
    }

    async fn attest_by(
        &self,
        policy: &AttestationPolicy,
        source: Source,
        nonce: &[u8],
        now: i64,
    ) -> Result<Attested, AttestationError> {
        let verifier = QuoteVerifier::with_root(self.platform.root(), source);
        attest(&self.server.client_with(Trust::Insecure), policy, &verifier, nonce, now).await
    }
}

async fn serving(authority: Authority, quote: Option<&[u8]>) -> TestServer {
    use base64::Engine as _;
    let quote = quote.map(|quote| base64::prelude::BASE64_STANDARD.encode(quote));
    let data = serde_json::json!({ "cert": authority.chain_pem, "quote": quote }).to_string();
    TestServer::start_as(authority, move |_| success(&data)).await
}

/// The whole chain of causes, as users see it.
fn told(error: &AttestationError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

// C-2; X-31: what was verified is given back
#[tokio::test]
async fn a_coordinator_whose_quote_binds_root_and_nonce_is_accepted() {
    let enclave = Enclave::default();
    let setting = Setting::of(&Settings::default(), |platform, authority| {
        frame(&platform.sgx_quote(&Enclave { report_data: bound(authority, b"nonce"), ..enclave }))
    })
    .await;
    let attested = setting.attest_by(&policy(), setting.file(), b"nonce", NOW).await.unwrap();
    assert_eq!(attested.trust, Trust::Root(setting.server.authority.root.clone()));
    assert_eq!(attested.quote.as_ref(), Some(&setting.quote));
    assert!(attested.warnings.is_empty());
    for nonce in [&b"other"[..], b""] {
        let error = setting.attest_by(&policy(), setting.file(), nonce, NOW).await.unwrap_err();
        assert!(matches!(error, AttestationError::ReportData), "{error:?}");
    }
}

// C-2
#[tokio::test]
async fn a_quote_for_another_root_certificate_is_refused() {
    let setting = Setting::sgx(&Settings::default()).await;
    // Somebody who has the quote, and a root certificate of his own.
    let server = serving(authority(), Some(&setting.quote)).await;
    let thief = Setting { server, ..setting };
    let error = thief.attest(&policy()).await.unwrap_err();
    assert!(matches!(error, AttestationError::ReportData), "{error:?}");
}

// C-5: what was attested is the only server that is trusted from then on.
#[tokio::test]
async fn who_was_attested_is_pinned() {
    let setting = Setting::sgx(&Settings::default()).await;
    let attested = setting.attest(&policy()).await.unwrap();
    setting.server.client_with(attested.trust.clone()).quote(None).await.unwrap();
    let other = serving(authority(), None).await;
    let error = other.client_with(attested.trust).quote(None).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("another root certificate") && cause.contains("`carrara manifest verify`"),
        "{cause}"
    );
    assert!(other.seen().is_empty());
}

// C-3
#[tokio::test]
async fn another_enclave_is_refused_with_what_differs() {
    let enclave = |change: fn(&mut Enclave)| {
        let mut enclave = Enclave::default();
        change(&mut enclave);
        enclave
    };
    let by_build = AttestationPolicy { unique_id: "ab".repeat(32), ..policy() };
    let cases: [(&str, Enclave); 4] = [
        ("SignerID", enclave(|enclave| enclave.signer_id = [0; 32])),
        ("SecurityVersion is 2, expected at least 3", enclave(|enclave| enclave.security_version = 2)),
        ("ProductID", enclave(|enclave| enclave.product_id = 8)),
        ("UniqueID", enclave(|enclave| enclave.unique_id = [0xaa; 32])),
    ];
    for (what, enclave) in cases {
        let error =
            Setting::enclave(&Settings::default(), enclave).await.attest(&by_build).await.unwrap_err();
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
    Setting::sgx(&Settings::default()).await.attest(&by_build).await.unwrap();
}

// C-3
#[tokio::test]
async fn debug_mode_is_accepted_only_if_the_policy_says_so() {
    let debug = Enclave { debug: true, ..Enclave::default() };
    let setting = Setting::enclave(&Settings::default(), debug).await;
    assert!(matches!(setting.attest(&policy()).await, Err(AttestationError::Debug)));
    setting.attest(&AttestationPolicy { debug: true, ..policy() }).await.unwrap();
}

// C-4
#[tokio::test]
async fn the_platforms_status_and_advisories_are_judged() {
    let hardening = Setting::sgx(&Settings { svn: 3, ..Settings::default() }).await;
    hardening.attest(&policy()).await.unwrap();
    let strict = AttestationPolicy { accepted_tcb_statuses: Vec::new(), ..policy() };
    let error = hardening.attest(&strict).await.unwrap_err();
    assert!(error.to_string().contains("SWHardeningNeeded"), "{error}");
    let with = |ids: &[&str]| AttestationPolicy {
        accepted_advisories: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..policy()
    };
    hardening.attest(&with(&["intel-sa-00334", "INTEL-SA-00615"])).await.unwrap();
    let error = hardening.attest(&with(&["INTEL-SA-00334"])).await.unwrap_err();
    assert!(error.to_string().contains("INTEL-SA-00615"), "{error}");
    let old = Setting::sgx(&Settings { svn: 2, ..Settings::default() }).await;
    let error = old.attest(&policy()).await.unwrap_err();
    assert!(error.to_string().contains("TCB status OutOfDate"), "{error}");
}

// C-2
#[tokio::test]
async fn a_quote_that_is_cut_changed_or_not_there_is_refused() {
    let mut setting = Setting::sgx(&Settings::default()).await;
    let quote = setting.quote.clone();
    let mut changed = quote.clone();
    changed[16 + 112] ^= 1;
    let longer = [quote.as_slice(), b"x"].concat();
    let cut = [0, 1, 16, 64, 448, quote.len() / 2, quote.len() - 1].map(|length| quote[..length].to_vec());
    for wrong in [changed, longer].into_iter().chain(cut) {
        setting.server = serving(setting.server.authority.clone(), Some(&wrong)).await;
        let result = setting.attest(&policy()).await;
        let is_refused = matches!(result, Err(AttestationError::Quote(_) | AttestationError::NoQuote));
        assert!(is_refused, "{} bytes: {result:?}", wrong.len());
    }
    setting.server = serving(setting.server.authority.clone(), None).await;
    let result = setting.attest(&policy()).await;
    assert!(matches!(result, Err(AttestationError::NoQuote)), "{result:?}");
    setting.server = serving(setting.server.authority.clone(), Some(&quote)).await;
    setting.attest(&policy()).await.unwrap();
}

#[tokio::test]
async fn a_chain_that_is_not_intels_is_refused() {
    let setting = Setting::sgx(&Settings::default()).await;
    let verifier = QuoteVerifier::new(setting.file());
    let client = setting.server.client_with(Trust::Insecure);
    let error = attest(&client, &policy(), &verifier, b"", NOW).await.unwrap_err();
    assert!(matches!(error, AttestationError::Quote(_)), "{error:?}");
}

#[tokio::test]
async fn collateral_is_from_where_the_user_says() {
    let setting = Setting::sgx(&Settings::default()).await;
    let pccs = MockPccs::start().await;
    pccs.serve(&setting.platform.collateral());
    let source = || Source::default().with_pccs(Pccs::new(pccs.url(), PccsTrust::nobody().unwrap()));
    setting.attest_by(&policy(), source(), b"", NOW).await.unwrap();
    assert_eq!(pccs.fetches(), 1);
    pccs.answer(Answer::Status(500));
    let error = told(&setting.attest_by(&policy(), source(), b"", NOW).await.unwrap_err());
    assert!(error.contains(&pccs.url().to_string()) && error.contains("500"), "{error}");
    // The file stands in.
    let both = source().with_bundle(setting.bundle.path().to_owned());
    setting.attest_by(&policy(), both, b"", NOW).await.unwrap();
    let nowhere = setting.attest_by(&policy(), Source::default(), b"", NOW).await.unwrap_err().to_string();
    assert!(nowhere.contains("--pccs-url URL") && nowhere.contains("--collateral FILE"), "{nowhere}");
}

#[tokio::test]
async fn collateral_that_has_expired_or_is_anothers_is_refused() {
    let setting = Setting::sgx(&Settings::default()).await;
    let late = NOW + 40 * 24 * 3600;
    let error = told(&setting.attest_by(&policy(), setting.file(), b"", late).await.unwrap_err());
    assert!(error.contains("it was valid until 2025-07-"), "{error}");
    let other = Setting::sgx(&Settings { fmspc: [7; 6], ..Settings::default() }).await;
    let error = told(&setting.attest_by(&policy(), other.file(), b"", NOW).await.unwrap_err());
    assert!(error.contains("none for this platform"), "{error}");
}

#[tokio::test]
async fn a_coordinator_in_a_virtual_machine_is_accepted_by_its_own_fields() {
    let setting = Setting::tdx(Machine::default()).await;
    let attested = setting.attest(&tdx_policy()).await.unwrap();
    assert_eq!(attested.trust, Trust::Root(setting.server.authority.root.clone()));
    assert!(attested.warnings[0].contains("RTMR1"), "{:?}", attested.warnings);
    let mut wanted = *tdx_policy().tdx.unwrap();
    wanted.rtmrs = [None, Some([0xa1; 48]), Some([0xa2; 48]), None];
    let measured = AttestationPolicy { tdx: Some(Box::new(wanted.clone())), ..tdx_policy() };
    assert!(setting.attest(&measured).await.unwrap().warnings.is_empty());
    wanted.rtmrs[2] = Some([0; 48]);
    let other = AttestationPolicy { tdx: Some(Box::new(wanted)), ..tdx_policy() };
    let error = setting.attest(&other).await.unwrap_err().to_string();
    assert!(error.contains("TDX.RTMR2 is a2a2"), "{error}");
    let error = setting.attest(&policy()).await.unwrap_err().to_string();
    assert!(error.contains("runs in tdx") && error.contains("add TDX"), "{error}");
    let enclave = Setting::sgx(&Settings::default()).await;
    let error = enclave.attest(&tdx_policy()).await.unwrap_err().to_string();
    assert!(error.contains("runs in sgx") && error.contains("UniqueID"), "{error}");
}

#[tokio::test]
async fn an_incomplete_policy_is_refused_before_anything_is_asked() {
    let setting = Setting::sgx(&Settings::default()).await;
    let error = setting.attest(&AttestationPolicy::default()).await.unwrap_err();
    assert!(matches!(error, AttestationError::Policy(_)), "{error:?}");
    assert!(setting.server.seen().is_empty());
}

#[tokio::test]
async fn insecure_takes_the_chain_and_keeps_trusting_anybody() {
    let server = serving(authority(), None).await;
    let attested = attest_insecure(&server.client_with(Trust::Insecure), b"").await.unwrap();
    assert_eq!(attested.chain.root(), &server.authority.root);
    assert_eq!((attested.trust, attested.quote), (Trust::Insecure, None));
}
