//! Intel's collateral: from where it is taken, and the task that fetches it anew before it expires.
//!
//! Nothing here decides what is accepted: collateral is signed, and a source that has none stops activations and nothing else.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use carrara_attest::collateral::{
    Bundle, CollateralCache, Fetch, Limits, MOST_BUNDLE_BYTES, Pccs, PccsTrust, Root, Source,
};
use carrara_core::ports::Clock;
use carrara_server::CollateralFigures;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinHandle;
use tokio::time::{Duration, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::collateral::CollateralSource;
use crate::input;

/// The first retry after a failure comes as soon.
const EVERY: Duration = Duration::from_secs(5);

/// A cache of what the configured sources have. Asks none of them yet.
///
/// # Errors
/// The PCCS's certificates cannot be read, or the bundle is none.
pub(crate) fn cache(configured: &CollateralSource) -> Result<Arc<CollateralCache>> {
    let mut source = Source::default();
    if let Some(url) = &configured.pccs {
        let trust = trust(url.is_tls(), configured.pccs_ca.as_deref())?;
        source = source.with_pccs(Pccs::new(url.clone(), trust));
    }
    if let Some(path) = &configured.bundle {
        // Read again whenever it is needed; what is wrong with it now is to be known now.
        let reading = || format!("setting collateral-bundle: reading {}", path.display());
        let text = input::read(path, MOST_BUNDLE_BYTES).with_context(reading)?;
        Bundle::from_json(&text).with_context(reading)?;
        source = source.with_bundle(path.clone());
    }
    Ok(Arc::new(CollateralCache::new(source, Root::INTEL, Limits::default())))
}

fn trust(tls: bool, certificates: Option<&Path>) -> Result<PccsTrust> {
    let Some(path) = certificates else {
        return if tls { PccsTrust::system().context("setting pccs-url") } else { Ok(PccsTrust::nobody()?) };
    };
    let reading = || format!("setting pccs-ca: reading {}", path.display());
    let text = input::read(path, input::SMALL).with_context(reading)?;
    PccsTrust::pem(&text).with_context(reading)
}

/// Says in the log where collateral comes from.
pub(crate) fn tell(configured: &CollateralSource) {
    let (pccs, bundle) = (configured.pccs.as_ref(), configured.bundle.as_ref());
    if pccs.is_none() && bundle.is_none() {
        warn!(
            "no source of collateral is configured: no Marble of SGX or TDX can be activated; set pccs-url or \
             collateral-bundle"
        );
        return;
    }
    info!(
        pccs = pccs.map(tracing::field::display),
        bundle = bundle.map(|path| tracing::field::display(path.display())),
        "where Intel's collateral comes from"
    );
}

/// The task that keeps collateral fresh.
pub(crate) struct Refreshing(JoinHandle<()>);

impl Refreshing {
    /// Begins.
    pub(crate) fn start(
        cache: Arc<CollateralCache>,
        clock: Arc<dyn Clock>,
        figures: CollateralFigures,
    ) -> Self {
        Self(tokio::spawn(refresh(cache, clock, figures)))
    }

    /// Ends at once: what is on its way is of no use any more.
    pub(crate) async fn end(self) {
        self.0.abort();
        // It was cancelled, or had ended.
        let _ = self.0.await;
    }
}

async fn refresh(cache: Arc<CollateralCache>, clock: Arc<dyn Clock>, told_to: CollateralFigures) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        refresh_once(&cache, clock.now(), &told_to).await;
    }
}

async fn refresh_once(cache: &CollateralCache, now: OffsetDateTime, told_to: &CollateralFigures) {
    for fetch in cache.refresh(now.unix_timestamp()).await {
        told(&fetch);
    }
    let figures = cache.figures();
    told_to.set(figures.fetches, figures.failures, figures.kept, figures.first_expiry);
}

fn told(fetch: &Fetch) {
    let until = fetch.until.and_then(|until| OffsetDateTime::from_unix_timestamp(until).ok());
    let until = until.and_then(|until| until.format(&Rfc3339).ok());
    let platform = tracing::field::display(fetch.key);
    match &fetch.outcome {
        Ok(()) => info!(platform, valid_until = until, "collateral fetched"),
        Err(error) => warn!(
            platform,
            valid_until = until,
            error = %error,
            "collateral could not be fetched; what is there is used until it expires"
        ),
    }
}

#[cfg(test)]
mod tests {
    use carrara_attest::collateral::mock::{Answer, MockPccs, samples};

    use super::*;
    use crate::tee::tests::logged;

    #[test]
    fn the_files_of_certificates_that_are_no_such_files_end_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let configured = CollateralSource {
            pccs: Some("https://h:8081".parse().unwrap()),
            pccs_ca: Some(path.clone()),
            bundle: None,
        };
        let error = format!("{:#}", cache(&configured).unwrap_err());
        assert!(error.contains("pccs-ca") && error.contains("ca.pem"), "{error}");
        std::fs::write(&path, "no PEM").unwrap();
        let error = format!("{:#}", cache(&configured).unwrap_err());
        assert!(error.contains("pccs-ca") && error.contains("no certificates"), "{error}");
    }

    #[test]
    fn a_pccs_of_this_machine_needs_no_certificates() {
        let none = cache(&CollateralSource::default()).unwrap();
        assert!(!none.is_configured());
        let pccs = Some("http://127.0.0.1:8081".parse().unwrap());
        let configured = CollateralSource { pccs, ..CollateralSource::default() };
        assert!(cache(&configured).unwrap().is_configured());
    }

    #[test]
    fn a_bundle_that_is_none_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.json");
        let configured = CollateralSource { bundle: Some(path.clone()), ..CollateralSource::default() };
        for text in [None, Some("{}")] {
            text.map_or(Ok(()), |text| std::fs::write(&path, text)).unwrap();
            let error = format!("{:#}", cache(&configured).unwrap_err());
            assert!(error.contains("collateral-bundle") && error.contains("bundle.json"), "{error}");
        }
        std::fs::write(&path, Bundle::default().to_json()).unwrap();
        assert!(cache(&configured).unwrap().is_configured());
    }

    struct At(i64);

    impl Clock for At {
        fn now(&self) -> OffsetDateTime {
            OffsetDateTime::from_unix_timestamp(self.0).unwrap()
        }
    }

    fn figures() -> CollateralFigures {
        let build = carrara_server::Build { version: "", commit: "" };
        carrara_server::Metrics::new(build, Arc::new(At(0))).unwrap().tell_collateral().unwrap()
    }

    const DAY: i64 = 24 * 3600;

    /// A cache with collateral of [`samples::NOW`], and its PCCS.
    async fn filled() -> (MockPccs, Arc<CollateralCache>) {
        let mock = MockPccs::start().await;
        mock.serve(&samples::sgx());
        let source = Source::default().with_pccs(Pccs::new(mock.url(), PccsTrust::nobody().unwrap()));
        let cache = Arc::new(CollateralCache::new(source, Root::INTEL, Limits::default()));
        let key = samples::sgx().key();
        cache.get(key.fmspc, key.ca, key.tee, samples::NOW).await.unwrap();
        // What was fetched for those who asked is told by the next one.
        refresh_once(&cache, At(samples::NOW).now(), &figures()).await;
        (mock, cache)
    }

    //
    #[test]
    fn collateral_is_fetched_again_long_before_it_ends_and_the_log_says_how_that_went() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mock, cache) = runtime.block_on(filled());
        let refreshed_at = |now| logged(|| runtime.block_on(refresh_once(&cache, At(now).now(), &figures())));
        assert_eq!(refreshed_at(samples::NOW + DAY - 1), "");
        let fetched = refreshed_at(samples::NOW + DAY);
        let platform = format!("platform={} valid_until=\"20", samples::sgx().key());
        let said = " INFO carrara_coordinator::collateral: collateral fetched ";
        assert!(fetched.starts_with(&format!("{said}{platform}")), "{fetched}");
        mock.answer(Answer::Status(500));
        let failed = refreshed_at(samples::NOW + 2 * DAY);
        let text = "collateral could not be fetched; what is there is used until it expires ";
        let said = format!(" WARN carrara_coordinator::collateral: {text}{platform}");
        assert!(failed.starts_with(&said) && failed.contains("it answered with 500"), "{failed}");
        assert_eq!((cache.figures().fetches, cache.figures().failures), (3, 1));

        // And by the task, without being asked. In the same test: what another one logs meanwhile would change what is heard of it.
        mock.answer(Answer::Right);
        runtime.block_on(async {
            let then = Arc::new(At(samples::NOW + 3 * DAY));
            let refreshing = Refreshing::start(Arc::clone(&cache), then, figures());
            let fetched = async {
                while cache.figures().fetches < 4 {
                    tokio::task::yield_now().await;
                }
            };
            // Only a hang takes so long.
            tokio::time::timeout(2 * EVERY, fetched).await.unwrap();
            refreshing.end().await;
        });
    }

    #[tokio::test]
    async fn the_task_ends_when_it_is_told_to() {
        let cache = cache(&CollateralSource::default()).unwrap();
        let refreshing = Refreshing::start(Arc::clone(&cache), Arc::new(At(0)), figures());
        tokio::task::yield_now().await;
        refreshing.end().await;
        assert_eq!(Arc::strong_count(&cache), 1);
    }
}
