//! Any order of starts, acknowledgements, cancellations, package updates and restarts is what a plain model says.

use std::collections::BTreeSet;

use carrara_core::outcome::UpdateProgress;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::update_world::{USERS, Updating};
use crate::common::{self, bytes, manifest};

/// Those who may update the manifest.
const UPDATERS: [&str; 3] = ["alice", "bob", "carol"];
/// What the manifest demands, and what the evidence of `web` has.
const EVIDENT: u64 = 3;
/// Who may raise security versions.
const RAISER: &str = "dave";

#[derive(Debug, Clone)]
enum Step {
    /// A full update with this threshold.
    Start {
        user: usize,
        threshold: u64,
    },
    /// Of the pending manifest, or of it with a space more.
    Acknowledge {
        user: usize,
        exact: bool,
    },
    Cancel {
        user: usize,
    },
    Raise,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    prop_oneof![
        4 => (user.clone(), 0..4_u64).prop_map(|(user, threshold)| Step::Start { user, threshold }),
        8 => (user.clone(), prop::bool::weighted(0.9))
            .prop_map(|(user, exact)| Step::Acknowledge { user, exact }),
        1 => user.prop_map(|user| Step::Cancel { user }),
        1 => Just(Step::Raise),
        1 => Just(Step::Restart),
    ]
}

/// What must be.
struct Model {
    in_force: Value,
    threshold: u64,
    security_version: u64,
    pending: Option<Waiting>,
    /// For manifests that differ.
    serial: u64,
}

struct Waiting {
    manifest: Value,
    acknowledged: BTreeSet<&'static str>,
    needed: usize,
}

impl Waiting {
    fn missing(&self) -> usize {
        self.needed.saturating_sub(self.acknowledged.len())
    }

    fn missing_users(&self) -> Vec<String> {
        let waiting = UPDATERS.iter().filter(|user| !self.acknowledged.contains(*user));
        waiting.map(|user| (*user).to_owned()).collect()
    }
}

impl Model {
    /// Counts an acknowledgement, and applies the update if it was the last one.
    fn acknowledge(&mut self, user: &'static str) -> usize {
        let waiting = self.pending.as_mut().unwrap();
        waiting.acknowledged.insert(user);
        let missing = waiting.missing();
        if missing == 0 {
            let waiting = self.pending.take().unwrap();
            self.threshold = waiting.manifest["Config"]["UpdateThreshold"].as_u64().unwrap();
            self.in_force = waiting.manifest;
            self.security_version = EVIDENT;
        }
        missing
    }
}

async fn run(threshold: u64, steps: Vec<Step>) {
    let mut test = Updating::new(&manifest(), threshold).await;
    let in_force = test.first.clone();
    let mut model = Model { in_force, threshold, security_version: EVIDENT, pending: None, serial: 0 };
    for step in &steps {
        take(&mut test, &mut model, step).await;
        let pending = test.coordinator.pending_update();
        match &model.pending {
            None => assert!(pending.is_err(), "{step:?}"),
            Some(waiting) => {
                let pending = pending.unwrap();
                assert_eq!(pending.manifest, bytes(&waiting.manifest));
                assert_eq!(pending.missing_acknowledgments, waiting.missing(), "{step:?}");
                assert_eq!(pending.missing_users, waiting.missing_users(), "{step:?}");
            }
        }
        assert_eq!(test.in_force(), model.in_force, "{step:?}");
    }
    let activation = test.coordinator.activate(common::request()).await;
    assert_eq!(activation.is_ok(), model.security_version == EVIDENT, "{:?}", activation.err());
    if let Ok(activation) = activation {
        let argument = &model.in_force["Marbles"]["web"]["Parameters"]["Argv"][0];
        assert_eq!(json!(activation.argv[0]), *argument);
    }
}

async fn take(test: &mut Updating, model: &mut Model, step: &Step) {
    match *step {
        Step::Start { user, threshold } => start(test, model, USERS[user].0, threshold).await,
        Step::Acknowledge { user, exact } => acknowledge(test, model, USERS[user].0, exact).await,
        Step::Cancel { user } => {
            let user = USERS[user].0;
            let done = test.coordinator.cancel_update(test.peer(user)).await;
            assert_eq!(done.is_ok(), model.pending.is_some() && UPDATERS.contains(&user));
            if done.is_ok() {
                model.pending = None;
            }
        }
        Step::Raise => {
            let wanted = model.security_version + 1;
            let update = json!({ "Packages": { "app": { "SecurityVersion": wanted } } });
            let done = test.try_update(RAISER, &update).await;
            assert_eq!(done.is_ok(), model.pending.is_none());
            if done.is_ok() {
                model.security_version = wanted;
            }
        }
        Step::Restart => test.coordinator = test.world.start().await,
    }
}

async fn start(test: &Updating, model: &mut Model, user: &'static str, threshold: u64) {
    model.serial += 1;
    let new = test.changed(|manifest| {
        manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!([format!("./web-{}", model.serial)]);
        manifest["Config"]["UpdateThreshold"] = json!(threshold);
    });
    let done = test.try_update(user, &new).await;
    if model.pending.is_some() || !UPDATERS.contains(&user) {
        assert!(done.is_err());
        return;
    }
    let needed =
        if model.threshold == 0 { UPDATERS.len() } else { usize::try_from(model.threshold).unwrap() };
    model.pending = Some(Waiting { manifest: new, acknowledged: BTreeSet::new(), needed });
    let missing = model.acknowledge(user);
    expect(model, &done.unwrap(), missing);
}

async fn acknowledge(test: &Updating, model: &mut Model, user: &'static str, exact: bool) {
    let mut manifest = model.pending.as_ref().map_or_else(|| b"{}".to_vec(), |it| bytes(&it.manifest));
    if !exact {
        manifest.push(b' ');
    }
    let done = test.try_acknowledge(user, &manifest).await;
    if model.pending.is_none() || !exact || !UPDATERS.contains(&user) {
        assert!(done.is_err());
        return;
    }
    let missing = model.acknowledge(user);
    expect(model, &done.unwrap(), missing);
}

fn expect(model: &Model, progress: &UpdateProgress, missing: usize) {
    assert_eq!(progress.missing_acknowledgments, missing);
    assert_eq!(progress.missing_users, model.pending.as_ref().map(Waiting::missing_users));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    // L-50..L-56
    #[test]
    fn any_history_of_updates_is_what_the_model_says(
        threshold in 0..4_u64, steps in prop::collection::vec(step(), 1..16),
    ) {
        common::block_on(run(threshold, steps));
    }
}
