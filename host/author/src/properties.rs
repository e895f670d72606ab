//! Properties that every policy of a world should have, tried on samples and on requests that are made from them.
//!
//! A request that shows that one does not hold is made smaller by leaving things out for as long as it still does.

mod each;
mod once;
mod shrink;
mod texts;

use carrara_wasm::World;
use serde::Serialize;
use serde_json::Value;

use crate::asked::Asked;
use crate::corpus::Sample;
use crate::question::Question;
use crate::words::short_json;

/// What it means that a property does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The policy is wrong.
    Required,
    /// It may be meant so; its author should know.
    Advisory,
}

/// A property and how it is tried.
pub struct Property {
    /// Stable and short.
    pub name: &'static str,
    /// What holds.
    pub says: &'static str,
    /// What it means that it does not.
    pub class: Class,
    worlds: &'static [World],
    trial: Way,
}

/// How a property is tried. What does not hold is said.
enum Way {
    /// On each of at most so many samples.
    Each(usize, fn(&dyn Asked, &str, &Question) -> Option<String>),
    /// By itself, with the settings of the samples.
    Once(fn(&dyn Asked, &str) -> Tried),
}

/// What came of a property that is tried by itself.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// How many questions were asked.
    asked: usize,
    broken: Option<(String, Option<Question>)>,
    settings: Option<String>,
}

/// What came of a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The property.
    pub name: &'static str,
    /// What holds.
    pub says: &'static str,
    /// What it means that it does not.
    pub class: Class,
    /// On how many requests it was tried.
    pub tried: usize,
    /// Where it does not hold.
    pub broken: Option<Counterexample>,
}

/// Where a property does not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counterexample {
    /// What happens.
    pub explanation: String,
    /// The sample that it was found with; says the seed where it was generated.
    pub sample: Option<String>,
    /// The JSON text of the settings.
    pub settings: String,
    /// The request, as small as it could be made; can be given to `carrara policy run`.
    pub request: Option<Value>,
}

const ALL: &[World] = &World::ALL;
const DECIDING: &[World] = &[World::RoleAuthorization, World::MarbleAdmission, World::ManifestValidation];
const OF_USERS: &[World] = &[World::RoleAuthorization, World::ManifestValidation];

/// Those with many variants of each sample, and those that are slow.
const FEW: usize = 12;

/// All properties, in the order in which they are tried.
pub const PROPERTIES: [Property; 9] = [
    Property {
        name: "no-trap",
        says: "every request is answered",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Each(usize::MAX, each::no_trap),
    },
    Property {
        name: "determinism",
        says: "the same request has the same answer, log and fuel",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Each(usize::MAX, each::determinism),
    },
    Property {
        name: "order-independence",
        says: "the order of names, roles, facts and addresses decides nothing",
        class: Class::Required,
        worlds: DECIDING,
        trial: Way::Each(usize::MAX, each::order_independence),
    },
    Property {
        name: "unknown-facts",
        says: "facts that the policy does not know change nothing",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Each(usize::MAX, each::unknown_facts),
    },
    Property {
        name: "hostile-texts",
        says: "control characters, very long names and the like are answered",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Each(FEW, texts::hostile_texts),
    },
    Property {
        name: "settings",
        says: "settings are accepted or refused with a place and a text, and what is accepted works",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Once(once::settings),
    },
    Property {
        name: "limits",
        says: "a large request takes at most half of the fuel and of the deadline",
        class: Class::Required,
        worlds: ALL,
        trial: Way::Once(once::limits),
    },
    Property {
        name: "time-shift",
        says: "the answer does not depend on the time, which the host of an enclave can change",
        class: Class::Advisory,
        worlds: DECIDING,
        trial: Way::Each(usize::MAX, each::time_shift),
    },
    Property {
        name: "fewer-roles",
        says: "whoever has fewer roles, names or actions may not do more",
        class: Class::Advisory,
        worlds: OF_USERS,
        trial: Way::Each(usize::MAX, each::fewer_roles),
    },
];

/// The properties of a world.
pub fn of_world(world: World) -> impl Iterator<Item = &'static Property> {
    PROPERTIES.iter().filter(move |property| property.worlds.contains(&world))
}

impl Property {
    /// Tries it on samples. `settings` are for what is tried without one.
    #[must_use]
    pub fn run(&self, asked: &dyn Asked, settings: &str, samples: &[Sample]) -> Outcome {
        let (tried, broken) = match self.trial {
            Way::Once(trial) => {
                let Tried { asked, broken, settings: own } = trial(asked, settings);
                let broken = broken.map(|(explanation, question)| Counterexample {
                    explanation,
                    sample: None,
                    settings: own.unwrap_or_else(|| settings.to_owned()),
                    request: question.as_ref().map(short_json),
                });
                (asked, broken)
            }
            Way::Each(most, check) => {
                let samples = samples.get(..most.min(samples.len())).unwrap_or_default();
                let broken = samples
                    .iter()
                    .position(|sample| check(asked, &sample.settings, &sample.question).is_some());
                let tried = broken.map_or(samples.len(), |index| index + 1);
                let example = broken.and_then(|index| samples.get(index));
                (tried, example.and_then(|sample| smallest(asked, sample, check)))
            }
        };
        Outcome { name: self.name, says: self.says, class: self.class, tried, broken }
    }
}

fn smallest(
    asked: &dyn Asked,
    sample: &Sample,
    check: fn(&dyn Asked, &str, &Question) -> Option<String>,
) -> Option<Counterexample> {
    let breaks = |question: &Question| check(asked, &sample.settings, question);
    let question = shrink::shrink(&sample.question, &|question| breaks(question).is_some());
    // Only what is not the same each time can hold here; the request as it was found is the better report then.
    let (question, explanation) = match breaks(&question) {
        Some(explanation) => (question, explanation),
        None => (sample.question.clone(), "it happened once and not again".to_owned()),
    };
    Some(Counterexample {
        explanation,
        sample: Some(sample.name.clone()),
        settings: sample.settings.clone(),
        request: Some(short_json(&question)),
    })
}

#[cfg(test)]
mod tests;
