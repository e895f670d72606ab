//! Calls of policies, each by the policy's name. Names come from manifests, also from proposed ones that anybody may send before
//! one is set: there are so many series at most, and those of policies that are in force no more end with the next scrape.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use carrara_core::ports::{CallOutcome, PolicyCall, PolicyInForce, PolicyObserver};
use carrara_types::decision_record::DecisionRecord;
use carrara_types::policy::{Mode, World};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::Family;

/// Policies with series of their own: more than the manifest in force, a proposed one and the built-ins have together.
const POLICIES: usize = 256;

/// The label of those beyond; no policy is named so.
const OTHERS: &str = "(others)";

/// A call of a built-in policy takes from 40 us to some ms; the longest limit is 10 s.
const CALL_SECONDS: [f64; 8] = [0.000_1, 0.000_5, 0.002_5, 0.01, 0.05, 0.25, 1.0, 5.0];

const OUTCOMES: [(CallOutcome, &str); 3] =
    [(CallOutcome::Allowed, "allowed"), (CallOutcome::Refused, "refused"), (CallOutcome::Failed, "failed")];

/// Where policy calls are counted.
pub(crate) struct PolicyCalls {
    calls: IntCounterVec,
    fuel: IntCounterVec,
    seconds: HistogramVec,
    dropped: IntCounter,
    /// By name; one name may be in two worlds, in force and proposed.
    known: RwLock<HashMap<String, Vec<Series>>>,
}

/// What is counted of one policy.
#[derive(Clone)]
struct Series {
    world: World,
    mode: Mode,
    allowed: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
    fuel: IntCounter,
    seconds: Histogram,
}

impl PolicyCalls {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let labels = ["policy", "world", "mode"];
        let [policy, world, mode] = labels;
        let help = "Calls of a policy; refused: it denied or found errors, failed: it could not decide.";
        let calls =
            family.counters("coordinator_policy_calls_total", help, &[policy, world, mode, "outcome"])?;
        let help = "Fuel that a policy used, about one per instruction.";
        let fuel = family.counters("coordinator_policy_fuel_total", help, &labels)?;
        let (name, help) = ("coordinator_policy_call_duration_seconds", "Time until a policy answered.");
        let seconds = family.histograms(name, help, &CALL_SECONDS, &labels)?;
        let (name, help) = (
            "coordinator_policy_shadows_dropped_total",
            "Questions to shadow policies that were dropped, for lack of room.",
        );
        let dropped = family.counter(name, help)?;
        Ok(Self { calls, fuel, seconds, dropped, known: RwLock::default() })
    }

    /// What there is a scrape of: policies in force, called or not, and no others.
    pub(super) fn keep(&self, in_force: &[PolicyInForce]) {
        let is_kept = |name: &str, series: &Series| {
            in_force.iter().any(|policy| {
                policy.name == name && policy.world == series.world && policy.mode == series.mode
            })
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, all| {
            all.retain(|series| {
                let kept = is_kept(name, series);
                if !kept {
                    self.end(name, series);
                }
                kept
            });
            !all.is_empty()
        });
        for policy in in_force {
            self.series(&mut known, &policy.name, policy.world, policy.mode);
        }
    }

    fn count(&self, call: &PolicyCall<'_>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = find(&known, call.policy, call.world, call.mode) {
            return series.count(call);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.series(&mut known, call.policy, call.world, call.mode).count(call);
    }

    /// The policy's series, or those of all that are too many.
    fn series(
        &self,
        known: &mut HashMap<String, Vec<Series>>,
        name: &str,
        world: World,
        mode: Mode,
    ) -> Series {
        if let Some(series) = find(known, name, world, mode) {
            return series.clone();
        }
        let has_place = known.values().map(Vec::len).sum::<usize>() < POLICIES;
        let made = self.made(if has_place { name } else { OTHERS }, world, mode);
        if has_place {
            known.entry(name.to_owned()).or_default().push(made.clone());
        }
        made
    }

    fn made(&self, name: &str, world: World, mode: Mode) -> Series {
        let labels = [name, world.name(), mode.name()];
        let [policy, in_world, in_mode] = labels;
        let calls = |outcome| self.calls.with_label_values(&[policy, in_world, in_mode, outcome]);
        let [allowed, refused, failed] = OUTCOMES.map(|(_, outcome)| calls(outcome));
        Series {
            world,
            mode,
            allowed,
            refused,
            failed,
            fuel: self.fuel.with_label_values(&labels),
            seconds: self.seconds.with_label_values(&labels),
        }
    }

    fn end(&self, name: &str, series: &Series) {
        let labels = [name, series.world.name(), series.mode.name()];
        let [policy, world, mode] = labels;
        // It is an error to end what there is not, and of no consequence.
        for (_, outcome) in OUTCOMES {
            let _ = self.calls.remove_label_values(&[policy, world, mode, outcome]);
        }
        let _ = self.fuel.remove_label_values(&labels);
        let _ = self.seconds.remove_label_values(&labels);
    }
}

fn find<'a>(
    known: &'a HashMap<String, Vec<Series>>,
    name: &str,
    world: World,
    mode: Mode,
) -> Option<&'a Series> {
    known.get(name)?.iter().find(|series| series.world == world && series.mode == mode)
}

impl Series {
    fn count(&self, call: &PolicyCall<'_>) {
        match call.outcome {
            CallOutcome::Allowed => self.allowed.inc(),
            CallOutcome::Refused => self.refused.inc(),
            CallOutcome::Failed => self.failed.inc(),
        }
        self.fuel.inc_by(call.fuel);
        self.seconds.observe(call.duration.as_secs_f64());
    }
}

/// Counts what policies are called; decisions go on to whoever keeps them.
pub(super) struct Counting {
    pub(super) calls: Arc<PolicyCalls>,
    pub(super) decisions: Arc<dyn PolicyObserver>,
}

impl PolicyObserver for Counting {
    fn called(&self, call: &PolicyCall<'_>) {
        self.calls.count(call);
        self.decisions.called(call);
    }

    fn decided(&self, record: DecisionRecord) {
        self.decisions.decided(record);
    }

    fn dropped(&self) {
        self.calls.dropped.inc();
        self.decisions.dropped();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carrara_types::policy::Digest;
    use prometheus::{Registry, TextEncoder};

    use super::*;
    use crate::metrics::tests::sample;

    struct Counted {
        registry: Registry,
        calls: PolicyCalls,
    }

    impl Counted {
        fn new() -> Self {
            let registry = Registry::new();
            let calls = PolicyCalls::new(&Family(&registry)).unwrap();
            Self { registry, calls }
        }

        fn call(&self, policy: &str, mode: Mode, outcome: CallOutcome) {
            let world = World::RoleAuthorization;
            let duration = Duration::from_millis(2);
            self.calls.count(&PolicyCall { policy, world, mode, outcome, fuel: 7, duration });
        }

        fn text(&self, in_force: &[(&str, Mode)]) -> String {
            let policy = |(name, mode): &(&str, Mode)| PolicyInForce {
                name: (*name).to_owned(),
                world: World::RoleAuthorization,
                digest: Digest([0; 32]),
                mode: *mode,
                built_in: false,
            };
            self.calls.keep(&in_force.iter().map(policy).collect::<Vec<_>>());
            TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
        }
    }

    fn named(metric: &str, policy: &str, mode: &str, outcome: &str) -> String {
        let outcome = if outcome.is_empty() { String::new() } else { format!("outcome=\"{outcome}\",") };
        format!(
            "coordinator_policy_{metric}{{mode=\"{mode}\",{outcome}policy=\"{policy}\",world=\"role-authorization\"}}"
        )
    }

    #[test]
    fn each_policy_is_counted_by_its_name_and_mode() {
        let counted = Counted::new();
        counted.call("rooms", Mode::Enforce, CallOutcome::Allowed);
        counted.call("rooms", Mode::Enforce, CallOutcome::Refused);
        counted.call("rooms", Mode::Enforce, CallOutcome::Refused);
        counted.call("rooms", Mode::Shadow, CallOutcome::Failed);
        let text =
            counted.text(&[("rooms", Mode::Enforce), ("rooms", Mode::Shadow), ("idle", Mode::Enforce)]);
        for (policy, mode, outcome, value) in [
            ("rooms", "enforce", "allowed", "1"),
            ("rooms", "enforce", "refused", "2"),
            ("rooms", "enforce", "failed", "0"),
            ("rooms", "shadow", "failed", "1"),
            ("idle", "enforce", "allowed", "0"),
        ] {
            assert_eq!(sample(&text, &named("calls_total", policy, mode, outcome)), value);
        }
        assert_eq!(sample(&text, &named("fuel_total", "rooms", "enforce", "")), "21");
        assert_eq!(sample(&text, &named("call_duration_seconds_count", "rooms", "enforce", "")), "3");
    }

    #[test]
    fn questions_that_shadows_could_not_keep_up_with_are_counted() {
        struct Nobody;

        impl PolicyObserver for Nobody {
            fn called(&self, _: &PolicyCall<'_>) {}

            fn decided(&self, _: DecisionRecord) {}
        }

        let Counted { registry, calls } = Counted::new();
        let counting = Counting { calls: Arc::new(calls), decisions: Arc::new(Nobody) };
        counting.dropped();
        counting.dropped();
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(sample(&text, "coordinator_policy_shadows_dropped_total"), "2");
    }

    #[test]
    fn what_is_in_force_no_more_is_told_no_more() {
        let counted = Counted::new();
        counted.call("gone", Mode::Enforce, CallOutcome::Allowed);
        counted.call("stays", Mode::Enforce, CallOutcome::Allowed);
        assert!(counted.text(&[("gone", Mode::Enforce), ("stays", Mode::Enforce)]).contains("\"gone\""));
        let text = counted.text(&[("stays", Mode::Enforce)]);
        assert!(!text.contains("gone"), "{text}");
        assert_eq!(sample(&text, &named("calls_total", "stays", "enforce", "allowed")), "1");
    }

    // nobody makes series without end, by however many manifests that are refused
    #[test]
    fn there_are_so_many_series_at_most() {
        let counted = Counted::new();
        for number in 0..POLICIES + 10 {
            counted.call(&format!("p{number}"), Mode::Enforce, CallOutcome::Refused);
        }
        assert_eq!(counted.calls.known.read().unwrap().len(), POLICIES);
        let text = TextEncoder::new().encode_to_string(&counted.registry.gather()).unwrap();
        assert_eq!(sample(&text, &named("calls_total", OTHERS, "enforce", "refused")), "10");
        let text = counted.text(&[("p300", Mode::Enforce)]);
        assert!(text.contains("\"p300\"") && !text.contains("\"p1\""), "{text}");
    }
}
