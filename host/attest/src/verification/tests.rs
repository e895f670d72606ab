//! The whole way of a quote, with a PCCS on a real socket.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::chain::{Chain, Enclave, Machine, Settings};
use crate::collateral::mock::{Answer, MockPccs};
use crate::collateral::{Limits, Pccs, PccsTrust, Root, Source, Tee};

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
    assert!(verification.verify(&quote, NOW).await.is_err(), "another root's");
    assert!(verification.verify(b"quote", NOW).await.is_err());
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

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
