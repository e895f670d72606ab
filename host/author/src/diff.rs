//! Where two components answer differently.

use serde::Serialize;
use serde_json::Value;

use crate::asked::Asked;
use crate::corpus::Sample;
use crate::question::Answer;
use crate::words::{request_json, verdict};

/// A request that is answered differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The request's name.
    pub name: String,
    /// Whether a coordinator would do something else, and not only say it.
    #[serde(rename = "verdict-differs")]
    pub verdict_differs: bool,
    /// The request.
    pub request: Value,
    /// The old answer.
    pub old: Answer,
    /// The new answer.
    pub new: Answer,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// How many requests were asked.
    pub asked: usize,
    /// Those that are answered differently, in the order of the samples.
    pub changes: Vec<Change>,
    /// Fuel of all requests with the old component.
    pub fuel_old: u64,
    /// The same with the new one.
    pub fuel_new: u64,
    /// The request whose fuel grew most, with its fuel before and after; none where none grew.
    pub grew_most: Option<(String, u64, u64)>,
}

/// A component with settings that replace those of the samples.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The component.
    pub asked: &'a dyn Asked,
    /// JSON text; `None`: the sample's.
    pub settings: Option<&'a str>,
}

/// Asks both.
#[must_use]
pub fn compare(old: Side<'_>, new: Side<'_>, samples: &[Sample]) -> Comparison {
    let mut comparison = Comparison::default();
    for sample in samples {
        let ask =
            |side: Side<'_>| side.asked.ask(side.settings.unwrap_or(&sample.settings), &sample.question);
        let ((old, old_report), (new, new_report)) = (ask(old), ask(new));
        comparison.asked += 1;
        comparison.fuel_old = comparison.fuel_old.saturating_add(old_report.fuel);
        comparison.fuel_new = comparison.fuel_new.saturating_add(new_report.fuel);
        comparison.watch(&sample.name, old_report.fuel, new_report.fuel);
        if old != new {
            let verdict_differs = verdict(&old) != verdict(&new);
            let request = request_json(&sample.question);
            comparison.changes.push(Change { name: sample.name.clone(), verdict_differs, request, old, new });
        }
    }
    comparison
}

impl Comparison {
    fn watch(&mut self, name: &str, old: u64, new: u64) {
        let growth = new.saturating_sub(old);
        let most = self.grew_most.as_ref().map_or(0, |(_, old, new)| new.saturating_sub(*old));
        if growth > most {
            self.grew_most = Some((name.to_owned(), old, new));
        }
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::decision::Denial;
    use carrara_wasm::World;

    use super::*;
    use crate::corpus::samples;
    use crate::fake::{Fake, deny};
    use crate::question::Question;

    const WORLD: World = World::RoleAuthorization;

    #[test]
    fn what_is_answered_differently_is_listed_and_fuel_is_summed() {
        let old = Fake::new(WORLD, |_, _| Answer::Allow).with_fuel(|_| 10);
        let new = Fake::new(WORLD, |_, question| match question {
            Question::Authorization(request) if request.action == "WriteSecret" => deny("no"),
            _ => Answer::Allow,
        })
        .with_fuel(|call| 10 + call);
        let side = |asked| Side { asked, settings: None };
        let corpus = samples(WORLD);
        let found = compare(side(&old), side(&new), &corpus);
        assert_eq!((found.asked, found.changes.len()), (corpus.len(), 2));
        assert!(found.changes.iter().all(|change| change.verdict_differs && change.new == deny("no")));
        assert_eq!(
            (found.fuel_old, found.grew_most.as_ref().map(|most| most.1)),
            (corpus.len() as u64 * 10, Some(10))
        );
        let same = compare(side(&old), side(&old), &corpus);
        assert!(same.changes.is_empty() && same.grew_most.is_none());
    }

    #[test]
    fn another_text_is_a_change_but_no_other_verdict_and_settings_can_be_replaced() {
        let told =
            |settings: &str| Answer::Deny(Denial { message: settings.to_owned(), ..Denial::default() });
        let policy = Fake::new(WORLD, move |settings, _| told(settings));
        let (old, new) =
            (Side { asked: &policy, settings: None }, Side { asked: &policy, settings: Some("1") });
        let found = compare(old, new, &samples(WORLD));
        assert!(found.changes.iter().all(|change| !change.verdict_differs && change.old == told("null")));
        assert_eq!(found.changes.len(), samples(WORLD).len());
    }
}
