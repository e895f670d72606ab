//! The whole way of a quote, with a PCCS on a real socket.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::chain::snp::{SnpChain, SnpSettings};
use crate::chain::{Chain, Enclave, Machine, Settings};
use crate::collateral::mock::{Answer, MockPccs};
use crate::collateral::{Bundle, Limits, Pccs, PccsTrust, Root, Source, Tee};
use crate::framing::snp::SnpEvidence;
use crate::snp::SnpCollateral;

const NOW: i64 = 1_750_000_000;

async fn service(chain: &Chain) -> (MockPccs, Verification) {
    let mock = MockPccs::start().await;
    mock.serve(&chain.collateral());
    let source = Source::default().with_pccs(Pccs::new(mock.url(), PccsTrust::nobody().unwrap()));
    let cache = CollateralCache::new(source, Root::of(&chain.root()), Limits::default());
    (mock, Verification::with(Verifier::with_root(chain.root()), Arc::new(cache)))
}

fn sgx() -> Chain {
    Chain::new(&Settings::default())
}

// G-25
#[tokio::test]
async fn a_quote_is_verified_with_what_the_pccs_has_and_asks_it_once() {
    let chain = sgx();
    let (mock, verification) = service(&chain).await;
    for debug in [false, true] {
        let quote = chain.sgx_quote(&Enclave { debug, ..Enclave::default() });
        let claims = verification.verify(&crate::framing::frame(&quote), NOW).await.unwrap();
        assert_eq!(claims.debug, debug);
    }
    let tcb = mock.asked().into_iter().filter(|path| path.contains("/tcb")).count();
    assert_eq!(tcb, 1);
}

// G-25
#[tokio::test]
async fn what_does_not_verify_is_refused_and_without_a_chain_nobody_is_asked() {
    let chain = sgx();
    let (mock, verification) = service(&chain).await;
    let quote = sgx().sgx_quote(&Enclave::default());
    let not_intel = EvidenceError::Refused("the platform's certificate is not Intel's".to_owned());
    assert_eq!(verification.verify(&quote, NOW).await, Err(not_intel));
    let short = EvidenceError::Framing(crate::framing::FramingError::Short(5));
    assert_eq!(verification.verify(b"quote", NOW).await, Err(short));
    assert!(mock.asked().is_empty(), "{:?}", mock.asked());
    let mut quote = chain.sgx_quote(&Enclave::default());
    quote[112] ^= 1;
    let error = verification.verify(&quote, NOW).await.unwrap_err();
    assert!(matches!(error, EvidenceError::Refused(_)), "{error}");
}

#[tokio::test]
async fn without_collateral_the_error_says_so() {
    let chain = sgx();
    let (mock, verification) = service(&chain).await;
    mock.answer(Answer::Status(500));
    let error = verification.verify(&chain.sgx_quote(&Enclave::default()), NOW).await.unwrap_err();
    assert!(matches!(error, EvidenceError::Collateral(_)), "{error}");
    assert!(error.to_string().starts_with("there is no valid collateral for "), "{error}");
}

// What is computed is computed off the threads that answer: here there is but one of those.
#[tokio::test]
async fn computing_holds_no_thread_of_the_runtime() {
    let (_mock, verification) = service(&sgx()).await;
    let (go, gone) = std::sync::mpsc::channel();
    // Only a hang takes so long.
    let computing = verification.compute(move |_| Ok(gone.recv_timeout(Duration::from_secs(10)).is_ok()));
    let (went, ()) = tokio::join!(computing, async { go.send(()).unwrap() });
    assert!(went.unwrap(), "the rest of the runtime waited for it");
}

// One slow quote delays no other.
#[tokio::test]
async fn a_quote_whose_collateral_is_slow_delays_no_other() {
    let chain = sgx();
    let (mock, verification) = service(&chain).await;
    let quote = chain.sgx_quote(&Enclave::default());
    verification.verify(&quote, NOW).await.unwrap();
    // Of another kind of platform, more of them than are computed on at once.
    let other = Settings { tee: Tee::Tdx, ..Settings::default() };
    let slow_chain = Chain::new(&other);
    let slow =
        Verification { verifier: Arc::new(Verifier::with_root(slow_chain.root())), ..verification.clone() };
    mock.answer(Answer::Wait);
    let slow_quote = slow_chain.tdx_quote(&Machine::default(), 4);
    let mut waiting: Vec<_> = (0..2 * AT_ONCE).map(|_| Box::pin(slow.verify(&slow_quote, NOW))).collect();
    let mut asked = false;
    while !asked {
        for waits in &mut waiting {
            assert!(poll_once(waits.as_mut()).is_pending());
        }
        tokio::task::yield_now().await;
        asked = mock.asked().iter().any(|path| path.contains("tdx"));
    }
    verification.verify(&quote, NOW).await.unwrap();
    for waits in &mut waiting {
        assert!(poll_once(waits.as_mut()).is_pending());
    }
}

// G-25
#[tokio::test]
async fn evidence_of_snp_asks_nobody_and_takes_from_the_bundle_what_it_lacks() {
    let chain = SnpChain::new(&SnpSettings::default());
    let whole = chain.evidence(&[7; 64]);
    let of = |source| {
        let cache = CollateralCache::new(source, Root::INTEL, Limits::default());
        Verification::with(Verifier::new().with_snp_root(chain.root()), Arc::new(cache))
    };
    let claims = of(Source::default()).verify(&whole, NOW).await.unwrap();
    assert_eq!(claims.report_data, [7; 64]);
    let report = chain.report(|_| ());
    let bare = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    let error = of(Source::default()).verify(&bare, NOW).await.unwrap_err().to_string();
    assert!(error.starts_with("the certificate of "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collateral.json");
    let error = of(Source::default().with_bundle(path.clone())).verify(&whole, NOW).await.unwrap_err();
    // Whoever sent it learns nothing of the coordinator's files; its log does.
    assert_eq!(error.to_string(), "the bundle of collateral cannot be read");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("collateral.json"), "a bundle that is not there: {cause}");
    let snp = SnpCollateral {
        certificates: chain.certificates().to_vec(),
        revocation_lists: vec![chain.revocation_list()],
    };
    std::fs::write(&path, Bundle::default().with_snp(snp).to_json()).unwrap();
    assert!(of(Source::default().with_bundle(path)).verify(&bare, NOW).await.is_ok());
}

// Anybody can send evidence, and a bundle may have megabytes.
#[tokio::test]
async fn a_bundle_is_not_read_for_each_evidence_of_snp() {
    let chain = SnpChain::new(&SnpSettings::default());
    let report = chain.report(|_| ());
    let bare = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collateral.json");
    let certificates = chain.certificates().to_vec();
    let bundle = Bundle::default().with_snp(SnpCollateral { certificates, ..SnpCollateral::default() });
    for (kept_for, is_kept) in [(crate::collateral::SNP_KEPT, true), (std::time::Duration::ZERO, false)] {
        std::fs::write(&path, bundle.to_json()).unwrap();
        let source = Source::default().with_bundle(path.clone()).keeping_snp_for(kept_for);
        let cache = CollateralCache::new(source, Root::INTEL, Limits::default());
        let verification = Verification::with(Verifier::new().with_snp_root(chain.root()), Arc::new(cache));
        assert!(verification.verify(&bare, NOW).await.is_ok());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(verification.verify(&bare, NOW).await.is_ok(), is_kept);
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
