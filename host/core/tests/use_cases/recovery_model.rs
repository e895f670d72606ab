//! Any order of right, repeated, wrong and wrongly signed secrets and restarts is what a plain model says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::recovery_world::{Locked, OWNERS, input};
use crate::common;

#[derive(Debug, Clone)]
enum Step {
    /// An owner's secret, signed by the key of this one; garbage where there is no such owner.
    Send { owner: usize, signer: usize },
    /// Bytes that are nobody's secret, signed by a good key.
    Wrong { length: usize, byte: u8 },
    /// All that was sent is forgotten.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let owner = 0..OWNERS.len();
    prop_oneof![
        8 => owner.clone().prop_map(|owner| Step::Send { owner, signer: owner }),
        2 => (owner, 0..OWNERS.len() + 1).prop_map(|(owner, signer)| Step::Send { owner, signer }),
        2 => (prop::sample::select(vec![16, 32, 33]), any::<u8>())
            .prop_map(|(length, byte)| Step::Wrong { length, byte }),
        1 => Just(Step::Restart),
    ]
}

/// Whose secrets are there, and which key signed each.
type Model = BTreeMap<usize, usize>;

/// Each by a key of the manifest, and no two by the same.
fn well_signed(model: &Model, count: usize) -> bool {
    let mut signers: Vec<usize> = model.values().copied().collect();
    signers.sort_unstable();
    signers.dedup();
    signers.len() == model.len() && signers.iter().all(|signer| *signer < count)
}

async fn run(count: usize, threshold: u64, steps: Vec<Step>) {
    let mut test = Locked::new(count, threshold).await;
    let needed = if threshold == 0 { count } else { usize::try_from(threshold).unwrap() };
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Send { owner, signer } => {
                let owner = owner % count;
                if send(&test, &mut model, (owner, signer), (count, needed)).await {
                    return test.expect_recovered().await;
                }
            }
            Step::Wrong { length, byte } => {
                let wrong = vec![byte; length];
                test.refusal(input(&wrong, test.keys[OWNERS[0]].sign(&wrong))).await;
            }
            Step::Restart => {
                test.coordinator = test.world.start().await;
                model.clear();
            }
        }
        test.expect_locked();
    }
    // Whatever was sent before: the right ones open it.
    test.coordinator = test.world.start().await;
    for (index, owner) in OWNERS[..needed].iter().enumerate() {
        assert_eq!(test.remaining(owner).await, needed - index - 1);
    }
    test.expect_recovered().await;
}

/// Whether the state is open afterwards.
async fn send(
    test: &Locked,
    model: &mut Model,
    (owner, signer): (usize, usize),
    (count, needed): (usize, usize),
) -> bool {
    let secret = &test.secrets[OWNERS[owner]];
    let signature = match OWNERS.get(signer).and_then(|name| test.keys.get(name)) {
        Some(key) => key.sign(secret),
        None => vec![7; 256],
    };
    let answer = test.send(input(secret, signature)).await;
    // Without a key of hers the signature is the same garbage.
    let signer = signer.min(count);
    let before = model.insert(owner, signer);
    if before == Some(signer) {
        let text = common::message(&answer.unwrap_err());
        assert!(text.contains("uploaded an invalid or already used secret"), "{text}");
        return false;
    }
    let remaining = needed - model.len();
    if remaining > 0 {
        assert_eq!(answer.unwrap().remaining, remaining);
        return false;
    }
    let good = well_signed(model, count);
    assert_eq!(answer.is_ok(), good, "{model:?} of {count}: {answer:?}");
    // All progress is dropped.
    model.clear();
    good
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    // L-42, L-43, L-47, L-48, L-49, X-29
    #[test]
    fn any_history_of_a_recovery_is_what_the_model_says(
        (count, threshold) in prop::sample::select(vec![(2, 0), (2, 2), (3, 0), (3, 2), (3, 3)]),
        steps in prop::collection::vec(step(), 0..10),
    ) {
        common::block_on(run(count, threshold, steps));
    }
}
