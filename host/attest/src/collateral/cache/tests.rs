//! With a PCCS on a real socket, and a clock that the tests set.

use super::*;
use crate::collateral::mock::{Answer, MockPccs, samples};
use crate::collateral::{Bundle, Pccs, PccsTrust};

const NOW: i64 = samples::NOW;
const DAY: i64 = 24 * 3600;

fn source(mock: &MockPccs) -> Source {
    Source::default().with_pccs(Pccs::new(mock.url(), PccsTrust::nobody().unwrap()))
}

fn cache(mock: &MockPccs) -> CollateralCache {
    CollateralCache::new(source(mock), Root::INTEL, Limits::default())
}

async fn started() -> (MockPccs, CollateralCache) {
    let mock = MockPccs::start().await;
    mock.serve(&samples::sgx());
    mock.serve(&samples::tdx());
    let cache = cache(&mock);
    (mock, cache)
}

async fn sgx(cache: &CollateralCache, now: i64) -> Result<Arc<Collateral>, CollateralError> {
    of(cache, samples::sgx().key(), now).await
}

async fn of(cache: &CollateralCache, key: Key, now: i64) -> Result<Arc<Collateral>, CollateralError> {
    cache.get(key.fmspc, key.ca, key.tee, now).await
}

fn cause(error: &CollateralError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn what_was_fetched_is_given_out_without_asking_again() {
    let (mock, cache) = started().await;
    for _ in 0..3 {
        assert_eq!(*sgx(&cache, NOW).await.unwrap(), samples::sgx());
    }
    assert_eq!(*of(&cache, samples::tdx().key(), NOW).await.unwrap(), samples::tdx());
    assert_eq!(mock.fetches(), 2);
    let until = samples::sgx().validity().until.min(samples::tdx().validity().until);
    assert_eq!(cache.figures(), CacheFigures { fetches: 2, failures: 0, kept: 2, first_expiry: Some(until) });
}

#[tokio::test]
async fn one_fetch_serves_all_who_wait_also_when_the_first_goes_away() {
    let (mock, cache) = started().await;
    let cache = Arc::new(cache);
    mock.answer(Answer::Wait);
    let first = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { sgx(&cache, NOW).await })
    };
    let begun = async {
        while mock.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    };
    begun.await;
    let others: Vec<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { sgx(&cache, NOW).await })
        })
        .collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    mock.answer(Answer::Right);
    for other in others {
        assert!(other.await.unwrap().is_ok());
    }
    assert_eq!((mock.fetches(), cache.figures().fetches), (1, 1));
}

// G-25
#[tokio::test]
async fn while_the_source_is_down_what_is_valid_is_given_out_and_what_expired_is_not() {
    let (mock, cache) = started().await;
    sgx(&cache, NOW).await.unwrap();
    mock.answer(Answer::Status(503));
    let until = samples::sgx().validity().until;
    for now in [NOW + DAY, NOW + 20 * DAY, until - 1] {
        assert!(sgx(&cache, now).await.is_ok(), "{now}");
    }
    let error = sgx(&cache, until).await.unwrap_err();
    assert!(
        matches!(error, CollateralError::Unavailable { expired: Some(at), .. } if at == until),
        "{error}"
    );
    assert!(
        error.to_string().contains("00A067110000") && error.to_string().contains("was valid until"),
        "{error}"
    );
    assert!(cause(&error).contains("503") && cause(&error).contains("http://localhost"), "{}", cause(&error));
}

#[tokio::test]
async fn a_source_that_fails_is_asked_ever_more_rarely_and_the_answer_says_when() {
    let (mock, cache) = started().await;
    mock.answer(Answer::Status(500));
    let mut now = NOW;
    for wait in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
        let asked = mock.fetches();
        let error = sgx(&cache, now).await.unwrap_err();
        assert!(matches!(error, CollateralError::Unavailable { retry_s, .. } if retry_s == wait), "{error}");
        // Refused without asking until then, with the reason that there was.
        let error = sgx(&cache, now + wait - 1).await.unwrap_err();
        assert!(error.to_string().contains("in 1 s") && cause(&error).contains("500"), "{error}");
        assert_eq!(mock.fetches(), asked + 1);
        now += wait;
    }
    mock.answer(Answer::Right);
    assert!(sgx(&cache, now).await.is_ok());
    // Forgotten with the first success.
    mock.answer(Answer::Status(500));
    let expired = samples::sgx().validity().until;
    let error = sgx(&cache, expired).await.unwrap_err();
    assert!(matches!(error, CollateralError::Unavailable { retry_s: 5, .. }), "{error}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_asking() {
    let (mock, cache) = started().await;
    mock.answer(Answer::Status(500));
    sgx(&cache, NOW + 10 * DAY).await.unwrap_err();
    mock.answer(Answer::Right);
    assert!(sgx(&cache, NOW).await.is_ok());
}

#[tokio::test]
async fn it_is_fetched_anew_a_day_later_and_long_before_it_expires() {
    let (mock, cache) = started().await;
    sgx(&cache, NOW).await.unwrap();
    let told =
        Fetch { key: samples::sgx().key(), outcome: Ok(()), until: Some(samples::sgx().validity().until) };
    assert_eq!(
        cache.refresh(NOW + DAY - 1).await,
        std::slice::from_ref(&told),
        "the first one, which was asked for"
    );
    assert!(cache.refresh(NOW + DAY - 1).await.is_empty(), "told once");
    assert_eq!(cache.refresh(NOW + DAY).await, [told]);
    assert_eq!(mock.fetches(), 2);
    // The last hour: at the half of what is left.
    let cache = super::tests::cache(&mock);
    let late = samples::sgx().validity().until - 3600;
    sgx(&cache, late).await.unwrap();
    cache.refresh(late).await;
    assert!(cache.refresh(late + 1799).await.is_empty());
    assert_eq!(cache.refresh(late + 1800).await.len(), 1);
}

#[tokio::test]
async fn who_asks_for_what_is_due_gets_what_is_there_and_need_not_wait() {
    let (mock, cache) = started().await;
    sgx(&cache, NOW).await.unwrap();
    mock.answer(Answer::Wait);
    assert!(sgx(&cache, NOW + 2 * DAY).await.is_ok());
    assert_eq!(cache.figures().fetches, 2);
}

#[tokio::test]
async fn a_failed_refresh_is_told_and_leaves_what_is_there() {
    let (mock, cache) = started().await;
    sgx(&cache, NOW).await.unwrap();
    cache.refresh(NOW).await;
    mock.answer(Answer::Status(500));
    let refreshed = cache.refresh(NOW + DAY).await;
    let [Fetch { outcome: Err(failure), until: Some(_), .. }] = &refreshed[..] else {
        panic!("{refreshed:?}")
    };
    assert!(failure.to_string().contains("500"));
    assert!(cache.refresh(NOW + DAY + 4).await.is_empty(), "not before the wait is over");
    assert_eq!(cache.refresh(NOW + DAY + 5).await.len(), 1);
    assert!(sgx(&cache, NOW + 2 * DAY).await.is_ok());
    assert_eq!(cache.figures().failures, 2);
}

#[tokio::test]
async fn what_nobody_used_for_a_fortnight_is_forgotten() {
    let (_mock, cache) = started().await;
    sgx(&cache, NOW).await.unwrap();
    cache.refresh(NOW + 14 * DAY - 1).await;
    assert_eq!(cache.figures().kept, 1);
    cache.refresh(NOW + 14 * DAY).await;
    assert_eq!(cache.figures().kept, 0);
}

#[tokio::test]
async fn a_fetch_ends_in_time_and_those_who_wait_are_told() {
    let (mock, _) = started().await;
    mock.answer(Answer::Wait);
    let limits = Limits { fetch: Duration::from_millis(50), ..Limits::default() };
    let cache = CollateralCache::new(source(&mock), Root::INTEL, limits);
    let error = sgx(&cache, NOW).await.unwrap_err();
    assert_eq!(cause(&error), format!("the PCCS {}: no answer within 50 ms", mock.url()));
    mock.answer(Answer::Right);
    assert!(sgx(&cache, NOW + 5).await.is_ok());
}

fn unknown(number: u8) -> Key {
    Key { fmspc: Fmspc([0xff, 0, 0, 0, 0, number]), ..samples::sgx().key() }
}

#[tokio::test]
async fn what_was_never_found_makes_room_for_what_is_wanted_and_not_the_other_way_round() {
    let (mock, _) = started().await;
    let limits = Limits { kept: 3, ..Limits::default() };
    let cache = CollateralCache::new(source(&mock), Root::INTEL, limits);
    sgx(&cache, NOW).await.unwrap();
    for number in 0..20 {
        of(&cache, unknown(number), NOW + 1).await.unwrap_err();
    }
    assert_eq!(cache.shared.lock().entries.len(), 3);
    of(&cache, samples::tdx().key(), NOW).await.unwrap();
    let asked = mock.fetches();
    sgx(&cache, NOW).await.unwrap();
    assert_eq!((mock.fetches(), cache.figures().kept), (asked, 2));
}

//
#[tokio::test]
async fn fetches_are_few_at_once_and_bounded_in_all() {
    let (mock, _) = started().await;
    mock.answer(Answer::Wait);
    let limits = Limits { kept: 3, fetches: 1, ..Limits::default() };
    let cache = Arc::new(CollateralCache::new(source(&mock), Root::INTEL, limits));
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { of(&cache, unknown(number), NOW).await })
        })
        .collect();
    while cache.figures().fetches < 3 || mock.fetches() < 1 {
        tokio::task::yield_now().await;
    }
    let error = sgx(&cache, NOW).await.unwrap_err();
    assert_eq!(error, CollateralError::Busy(3));
    assert_eq!(mock.fetches(), 1, "the others wait for the first");
    mock.answer(Answer::Right);
    for task in waiting {
        assert!(task.await.unwrap().is_err());
    }
    assert!(sgx(&cache, NOW).await.is_ok());
}

#[tokio::test]
async fn what_is_for_another_platform_or_not_signed_by_the_root_is_not_taken() {
    let (mock, cache) = started().await;
    mock.serve_as(
        samples::sgx().key(),
        dcap_qvl::QuoteCollateralV3 {
            tcb_info: samples::sgx().parts().tcb_info.replace("00A067110000", "00A067110001"),
            ..samples::sgx().parts().clone()
        },
    );
    let error = sgx(&cache, NOW).await.unwrap_err();
    assert!(cause(&error).contains("it answered for SGX, FMSPC 00A067110001"), "{}", cause(&error));
    mock.serve(&samples::sgx());
    let other = CollateralCache::new(source(&mock), Root::of(b"other"), Limits::default());
    let error = sgx(&other, NOW).await.unwrap_err();
    assert!(cause(&error).contains("does not end in the expected root"), "{}", cause(&error));
    let expired = samples::sgx().validity().until;
    let error = sgx(&super::tests::cache(&mock), expired).await.unwrap_err();
    assert!(cause(&error).contains("it was valid until 20"), "{}", cause(&error));
}

/// A file with this bundle.
fn bundle(collateral: &[Collateral]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.json");
    let mut bundle = Bundle::default();
    collateral.iter().cloned().for_each(|piece| bundle.add(piece));
    std::fs::write(&path, bundle.to_json()).unwrap();
    (folder, path)
}

#[tokio::test]
async fn a_bundle_suffices_and_is_read_anew_when_it_was_replaced() {
    let (_folder, path) = bundle(&[samples::sgx()]);
    let cache =
        CollateralCache::new(Source::default().with_bundle(path.clone()), Root::INTEL, Limits::default());
    assert!(sgx(&cache, NOW).await.is_ok());
    let error = of(&cache, samples::tdx().key(), NOW).await.unwrap_err();
    assert!(cause(&error).contains("none for this platform"), "{}", cause(&error));
    let (_other, with_both) = bundle(&[samples::sgx(), samples::tdx()]);
    std::fs::rename(with_both, &path).unwrap();
    assert!(of(&cache, samples::tdx().key(), NOW + 5).await.is_ok());
    std::fs::remove_file(&path).unwrap();
    let until = samples::sgx().validity().until;
    assert!(sgx(&cache, until - 1).await.is_ok());
    let error = sgx(&cache, until).await.unwrap_err();
    assert!(cause(&error).contains("bundle.json"), "{}", cause(&error));
}

#[tokio::test]
async fn a_bundle_stands_in_for_a_pccs_that_is_down_and_the_pccs_is_asked_again() {
    let (mock, _) = started().await;
    mock.answer(Answer::Status(500));
    let (_folder, path) = bundle(&[samples::sgx()]);
    let cache = CollateralCache::new(source(&mock).with_bundle(path), Root::INTEL, Limits::default());
    assert!(sgx(&cache, NOW).await.is_ok());
    let refreshed = cache.refresh(NOW + 5).await;
    let [Fetch { outcome: Err(failure), until: Some(_), .. }] = &refreshed[..] else {
        panic!("{refreshed:?}")
    };
    assert!(failure.to_string().contains("500"), "{failure}");
    mock.answer(Answer::Right);
    let refreshed = cache.refresh(NOW + 15).await;
    assert_eq!(refreshed.iter().map(|one| one.outcome.clone()).collect::<Vec<_>>(), [Ok(())]);
    assert!(cache.refresh(NOW + 15 + 600).await.is_empty());
}

//
#[tokio::test]
async fn a_pccs_that_hangs_takes_neither_time_nor_turns_from_the_bundle() {
    let (mock, _) = started().await;
    mock.answer(Answer::Wait);
    let (_folder, path) = bundle(&[samples::sgx()]);
    let limits = Limits { fetches: 1, fetch: Duration::from_millis(50), ..Limits::default() };
    let source = source(&mock).with_bundle(path.clone());
    let cache = Arc::new(CollateralCache::new(source, Root::INTEL, limits));
    let first = Arc::clone(&cache);
    let first = tokio::spawn(async move { of(&first, unknown(1), NOW).await });
    while mock.fetches() < 1 {
        tokio::task::yield_now().await;
    }
    // The only turn is taken.
    assert!(sgx(&cache, NOW).await.is_ok());
    let error = first.await.unwrap().unwrap_err();
    let pccs = format!("the PCCS {}: no answer within 50 ms", mock.url());
    let expected = format!("{pccs}; the bundle {}: it has none for this platform", path.display());
    assert_eq!(cause(&error), expected);
}

#[tokio::test]
async fn without_a_source_the_error_names_what_is_missing() {
    let cache = CollateralCache::new(Source::default(), Root::INTEL, Limits::default());
    let error = sgx(&cache, NOW).await.unwrap_err();
    assert!(!cache.is_configured() && cause(&error).contains("no source is configured"), "{}", cause(&error));
}
