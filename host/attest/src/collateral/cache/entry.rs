//! What is known of one kind of platform, and when it is asked for again.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Collateral, FetchError, Fetched, Outcome};

/// Intel publishes new TCB information at any time, valid for 30 days. Asking once a day, what it says of new
/// vulnerabilities counts a day later at most (and whatever the PCCS takes on its side).
const REFRESH_S: i64 = 86_400;

/// After the first failure, doubled with each further one.
const FIRST_RETRY_S: i64 = 5;

/// A PCCS that comes back is found within so long.
const LONGEST_RETRY_S: i64 = 600;

/// A fortnight: nobody attests with such a platform any more.
const UNUSED_S: i64 = 1_209_600;

/// What an asker gets.
pub(super) enum Next {
    /// It is there.
    Given(Arc<Collateral>),
    /// It is being fetched.
    Wait(watch::Receiver<Option<Outcome>>),
    /// The source had none, too short a time ago.
    Refuse(FetchError),
}

/// One kind of platform.
#[derive(Debug, Default)]
pub(super) struct Entry {
    kept: Option<Arc<Collateral>>,
    flight: Option<watch::Receiver<Option<Outcome>>>,
    refresh_at: i64,
    retry_at: i64,
    failures: u32,
    failure: Option<FetchError>,
    /// Of all that was ever kept here: a source that goes back behind it is out of date, or false.
    highest: u32,
    last_used: i64,
}

impl Entry {
    /// Notes a use; what can be given, or waited for.
    pub(super) fn used(&mut self, now: i64) -> Option<Next> {
        self.last_used = self.last_used.max(now);
        let kept = self.kept.as_ref().filter(|kept| kept.validity().holds(now));
        match (kept, &self.flight) {
            (Some(kept), _) => Some(Next::Given(Arc::clone(kept))),
            (None, Some(flight)) if is_open(flight) => Some(Next::Wait(flight.clone())),
            _ => None,
        }
    }

    pub(super) fn begin(&mut self, flight: watch::Receiver<Option<Outcome>>) {
        self.flight = Some(flight);
    }

    /// Takes what a fetch gave, if it is no step back. What is there and valid stays where it gave nothing.
    pub(super) fn end(&mut self, fetched: Result<Fetched, FetchError>, now: i64) -> Outcome {
        self.flight = None;
        let Fetched { collateral, passed_over } = fetched.inspect_err(|failure| self.failed(failure, now))?;
        match self.newer(collateral, now) {
            Ok(collateral) => {
                self.highest = self.highest.max(collateral.tcb_evaluation_data_number());
                self.kept = Some(Arc::clone(&collateral));
                match passed_over {
                    Some(failure) => self.failed(&failure, now),
                    None => self.succeeded(collateral.validity().until, now),
                }
                Ok(collateral)
            }
            Err(step_back) => {
                let failure = match passed_over {
                    Some(first) => FetchError::new(format!("{first}; {step_back}")),
                    None => step_back,
                };
                self.failed(&failure, now);
                Err(failure)
            }
        }
    }

    fn succeeded(&mut self, until: i64, now: i64) {
        let left = until.saturating_sub(now).max(0);
        self.refresh_at = now.saturating_add(REFRESH_S.min(left / 2));
        (self.failures, self.failure, self.retry_at) = (0, None, 0);
    }

    fn failed(&mut self, failure: &FetchError, now: i64) {
        let wait = FIRST_RETRY_S.saturating_mul(1 << self.failures.min(16)).min(LONGEST_RETRY_S);
        // At once when the wait is over, also where a bundle stood in.
        self.refresh_at = self.refresh_at.min(now);
        self.retry_at = now.saturating_add(wait);
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure.clone());
    }

    fn newer(&self, fetched: Collateral, now: i64) -> Result<Arc<Collateral>, FetchError> {
        let number = fetched.tcb_evaluation_data_number();
        if number < self.highest {
            return Err(FetchError::new(format!(
                "the source went back from TCB evaluation data number {} to {number}",
                self.highest
            )));
        }
        let kept = self.kept.as_ref().filter(|kept| kept.validity().holds(now));
        match kept {
            // Such as a bundle's, while the PCCS is down.
            Some(kept) if fetched.goes_back_behind(kept) => Err(FetchError::new(
                "the source's collateral, or a part of it, was issued before what is there",
            )),
            _ => Ok(Arc::new(fetched)),
        }
    }

    /// Whether it is to be fetched, and may be.
    pub(super) fn is_due(&self, now: i64) -> bool {
        let holds = self.kept.as_ref().is_some_and(|kept| kept.validity().holds(now));
        !self.is_flying() && self.retry_in(now) == 0 && (!holds || self.refresh_at <= now)
    }

    pub(super) fn is_flying(&self) -> bool {
        self.flight.as_ref().is_some_and(is_open)
    }

    /// Whether it was used lately.
    pub(super) fn is_wanted(&self, now: i64) -> bool {
        self.is_flying() || now.saturating_sub(self.last_used) < UNUSED_S
    }

    /// How long nobody is asked, in seconds. A clock that was set back must not make it long.
    pub(super) fn retry_in(&self, now: i64) -> i64 {
        let left = self.retry_at.saturating_sub(now);
        if left > LONGEST_RETRY_S { 0 } else { left.max(0) }
    }

    pub(super) fn until(&self) -> Option<i64> {
        self.kept.as_ref().map(|kept| kept.validity().until)
    }

    pub(super) fn last_used(&self) -> i64 {
        self.last_used
    }

    pub(super) fn failure(&self) -> Option<&FetchError> {
        self.failure.as_ref()
    }
}

/// Whether somebody is still going to land it.
fn is_open(flight: &watch::Receiver<Option<Outcome>>) -> bool {
    flight.has_changed().is_ok()
}

#[cfg(test)]
mod tests {
    use dcap_qvl::QuoteCollateralV3;

    use super::*;
    use crate::chain::{Chain, Settings};

    const NOW: i64 = 1_750_000_000;

    fn fetched(evaluation: u32, now: i64) -> Fetched {
        let settings = Settings { evaluation, now, ..Settings::default() };
        Fetched { collateral: Chain::new(&settings).collateral(), passed_over: None }
    }

    // architecture.md, Trust: lower collateral is refused
    #[test]
    fn a_source_that_goes_back_is_refused_also_when_what_is_there_expired() {
        let mut entry = Entry::default();
        assert!(entry.end(Ok(fetched(18, NOW)), NOW).is_ok());
        let later = NOW + 40 * 24 * 3600;
        for now in [NOW, later] {
            let error = entry.end(Ok(fetched(17, now)), now).unwrap_err();
            assert!(error.to_string().contains("from TCB evaluation data number 18 to 17"), "{error}");
            assert_eq!(entry.kept.as_ref().unwrap().tcb_evaluation_data_number(), 18);
        }
        assert!(entry.used(later).is_none(), "what expired is not given");
        assert!(entry.end(Ok(fetched(18, later)), later).is_ok());
    }

    #[test]
    fn what_was_issued_earlier_takes_the_place_of_what_expired_only() {
        let mut entry = Entry::default();
        assert!(entry.end(Ok(fetched(17, NOW)), NOW).is_ok());
        let error = entry.end(Ok(fetched(17, NOW - 3600)), NOW).unwrap_err();
        assert!(error.to_string().contains("issued before"), "{error}");
        let passed_over = Some(FetchError::new("the PCCS: down"));
        let bundle = Fetched { passed_over, ..fetched(17, NOW - 3600) };
        let error = entry.end(Ok(bundle), NOW).unwrap_err().to_string();
        assert!(error.starts_with("the PCCS: down; ") && error.contains("issued before"), "{error}");
        assert!(entry.end(Ok(fetched(17, NOW)), NOW + 40 * 24 * 3600).is_ok());
    }
    // A list of revoked platforms has no evaluation number; an older one hides who was revoked since.
    #[test]
    fn no_part_goes_back_while_what_is_there_is_valid() {
        let parts = |now| Chain::new(&Settings { now, ..Settings::default() }).parts();
        let of = |parts| Fetched { collateral: Collateral::from_parts(parts).unwrap(), passed_over: None };
        let (old, new, newest) = (parts(NOW - 3600), parts(NOW), parts(NOW + 3600));
        let changes: [fn(&mut QuoteCollateralV3, &QuoteCollateralV3); 4] = [
            |parts, from| parts.pck_crl.clone_from(&from.pck_crl),
            |parts, from| parts.root_ca_crl.clone_from(&from.root_ca_crl),
            |parts, from| parts.qe_identity.clone_from(&from.qe_identity),
            |parts, from| parts.tcb_info.clone_from(&from.tcb_info),
        ];
        for change in changes {
            let mut entry = Entry::default();
            assert!(entry.end(Ok(of(new.clone())), NOW).is_ok());
            let mut mixed = newest.clone();
            change(&mut mixed, &old);
            let error = entry.end(Ok(of(mixed.clone())), NOW + 3600).unwrap_err();
            assert!(error.to_string().contains("issued before"), "{error}");
            change(&mut mixed, &new);
            assert!(entry.end(Ok(of(mixed)), NOW + 3600).is_ok());
            assert!(entry.end(Ok(of(newest.clone())), NOW + 3600).is_ok());
        }
    }
}
