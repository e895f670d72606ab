//! Any order of starts, acknowledgements, cancellations, package updates and restarts is what a plain model says, with policies that
//! judge manifests and users: those in force and those proposed.

use std::collections::BTreeSet;

use carrara_core::outcome::{Reporting, UpdateProgress};
use carrara_core::ports::Store as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::update_world::{USERS, Updating};
use crate::common::{self, bytes, component, digest, manifest};
use crate::own_policies::with_policies;

/// Those who may update the manifest.
const UPDATERS: [&str; 3] = ["alice", "bob", "carol"];
/// What the manifest demands, and what the evidence of `web` has.
const EVIDENT: u64 = 3;
/// Who may raise security versions.
const RAISER: &str = "dave";

#[derive(Debug, Clone)]
enum Step {
    /// A full update with this threshold, these policies, and a word that a validator may forbid.
    Start {
        user: usize,
        threshold: u64,
        policies: Policies,
        word: usize,
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
    /// Components may have to be compiled again.
    Restart {
        compiled: bool,
    },
}

/// What a manifest may say, and what a validator may forbid.
const WORDS: [&str; 2] = ["--one", "--two"];

/// The policies of a manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Policies {
    /// A validator that refuses manifests with this word.
    forbids: Option<usize>,
    /// An authorizer that denies everything to everybody but this user.
    only: Option<usize>,
}

impl Policies {
    /// World, name and component.
    fn components(self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let validator = self.forbids.map(|word| ("manifest-validation", format!("without {}", WORDS[word])));
        let authorizer = self.only.map(|user| ("role-authorization", format!("only {}", USERS[user].0)));
        let made = |(world, answer): (&'static str, String)| {
            let name = if world == "manifest-validation" { "words" } else { "people" };
            (name, world, component(world, &answer))
        };
        validator.into_iter().chain(authorizer).map(made).collect()
    }

    fn keys(self) -> BTreeSet<String> {
        let key = |component: &[u8]| format!("policy:{}", hex::encode(digest(component).0));
        self.components().iter().map(|(_, _, component)| key(component)).collect()
    }

    /// Whether the roles and these policies let the user do it.
    fn allow(self, holders: &[&str], user: &str) -> bool {
        holders.contains(&user) && self.only.is_none_or(|only| USERS[only].0 == user)
    }
}

fn policies() -> impl Strategy<Value = Policies> {
    let (forbids, only) = (0..WORDS.len(), 0..UPDATERS.len());
    (prop::option::of(forbids), prop::option::weighted(0.3, only))
        .prop_map(|(forbids, only)| Policies { forbids, only })
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    prop_oneof![
        4 => (user.clone(), 0..4_u64, policies(), 0..WORDS.len()).prop_map(
            |(user, threshold, policies, word)| Step::Start { user, threshold, policies, word },
        ),
        8 => (user.clone(), prop::bool::weighted(0.9))
            .prop_map(|(user, exact)| Step::Acknowledge { user, exact }),
        1 => user.prop_map(|user| Step::Cancel { user }),
        1 => Just(Step::Raise),
        1 => any::<bool>().prop_map(|compiled| Step::Restart { compiled }),
    ]
}

/// What must be.
struct Model {
    in_force: Value,
    policies: Policies,
    threshold: u64,
    security_version: u64,
    pending: Option<Waiting>,
    /// For manifests that differ.
    serial: u64,
}

struct Waiting {
    manifest: Value,
    policies: Policies,
    /// Who may acknowledge: frozen when it was started.
    holders: Vec<&'static str>,
    acknowledged: BTreeSet<&'static str>,
    needed: usize,
}

impl Waiting {
    fn missing(&self) -> usize {
        self.needed.saturating_sub(self.acknowledged.len())
    }

    fn missing_users(&self) -> Vec<String> {
        let waiting = self.holders.iter().filter(|user| !self.acknowledged.contains(*user));
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
            self.policies = waiting.policies;
            self.security_version = EVIDENT;
        }
        missing
    }
}

async fn run(threshold: u64, steps: Vec<Step>) {
    let mut test = Updating::new(&manifest(), threshold).await;
    let in_force = test.first.clone();
    let mut model = Model {
        in_force,
        policies: Policies::default(),
        threshold,
        security_version: EVIDENT,
        pending: None,
        serial: 0,
    };
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
        let mut keys = model.policies.keys();
        keys.extend(model.pending.iter().flat_map(|waiting| waiting.policies.keys()));
        let stored: BTreeSet<String> = test.world.store.snapshot().keys("policy:").into_iter().collect();
        assert_eq!(stored, keys, "{step:?}");
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
        Step::Start { user, threshold, policies, word } => {
            start(test, model, USERS[user].0, threshold, policies, WORDS[word]).await;
        }
        Step::Acknowledge { user, exact } => acknowledge(test, model, USERS[user].0, exact).await,
        Step::Cancel { user } => {
            let user = USERS[user].0;
            let done = test.coordinator.cancel_update(test.peer(user)).await;
            assert_eq!(done.is_ok(), model.pending.is_some() && model.policies.allow(&UPDATERS, user));
            if done.is_ok() {
                model.pending = None;
            }
        }
        Step::Raise => {
            let wanted = model.security_version + 1;
            let update = json!({ "Packages": { "app": { "SecurityVersion": wanted } } });
            let done = test.try_update(RAISER, &update).await;
            assert_eq!(done.is_ok(), model.pending.is_none() && model.policies.allow(&[RAISER], RAISER));
            if done.is_ok() {
                model.security_version = wanted;
            }
        }
        Step::Restart { compiled } => {
            if !compiled {
                test.world.engine.forget();
            }
            test.coordinator = test.world.start().await;
        }
    }
}

async fn start(
    test: &Updating,
    model: &mut Model,
    user: &'static str,
    threshold: u64,
    policies: Policies,
    word: &str,
) {
    model.serial += 1;
    let components = policies.components();
    let named: Vec<_> = components.iter().map(|(name, world, bytes)| (*name, *world, &bytes[..])).collect();
    let new = test.changed(|manifest| {
        let argv = json!([format!("./web-{}", model.serial), word]);
        manifest["Marbles"]["web"]["Parameters"]["Argv"] = argv;
        manifest["Config"]["UpdateThreshold"] = json!(threshold);
    });
    let new = with_policies(new, &named);
    let sent = components.into_iter().map(|(_, _, bytes)| bytes).collect();
    let done = test.coordinator.update_manifest(test.peer(user), &bytes(&new), sent, Reporting::Full).await;
    // Both sets judge: the authorizers and validators in force, and the proposed validators.
    let fits = |policies: Policies| policies.forbids.is_none_or(|forbidden| WORDS[forbidden] != word);
    let allowed = model.policies.allow(&UPDATERS, user) && fits(model.policies) && fits(policies);
    if model.pending.is_some() || !allowed {
        assert!(done.is_err());
        return;
    }
    let holders: Vec<_> =
        UPDATERS.into_iter().filter(|holder| model.policies.allow(&UPDATERS, holder)).collect();
    let needed = if model.threshold == 0 { holders.len() } else { usize::try_from(model.threshold).unwrap() };
    let acknowledged = BTreeSet::new();
    model.pending = Some(Waiting { manifest: new, policies, holders, acknowledged, needed });
    let missing = model.acknowledge(user);
    expect(model, &done.unwrap(), missing);
}

async fn acknowledge(test: &Updating, model: &mut Model, user: &'static str, exact: bool) {
    let mut manifest = model.pending.as_ref().map_or_else(|| b"{}".to_vec(), |it| bytes(&it.manifest));
    if !exact {
        manifest.push(b' ');
    }
    let done = test.try_acknowledge(user, &manifest).await;
    let holds = model.pending.as_ref().is_some_and(|waiting| waiting.holders.contains(&user));
    if !exact || !holds {
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
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    // L-50..L-56, policy.md "When an update is started the policies of the current manifest and of the proposed one both judge it"
    #[test]
    fn any_history_of_updates_is_what_the_model_says(
        threshold in 0..4_u64, steps in prop::collection::vec(step(), 1..16),
    ) {
        common::block_on(run(threshold, steps));
    }
}
