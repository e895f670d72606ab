//! Makes a request smaller for as long as it still shows something: leaves out, empties, halves.

use serde_json::Value;

use crate::corpus::{places, read};
use crate::question::Question;
use crate::words::short_json;

/// Each may cost several calls of the policy.
const MAX_ATTEMPTS: usize = 300;

/// The smallest request that was found for which `shows` still holds.
pub(super) fn shrink(question: &Question, shows: &dyn Fn(&Question) -> bool) -> Question {
    let mut best = question.clone();
    let mut attempts = 0;
    'smaller: loop {
        let form = short_json(&best);
        for candidate in smaller(&form) {
            let Some(found) = read(best.world(), candidate) else { continue };
            if size(&found) >= size(&best) {
                continue;
            }
            attempts += 1;
            if attempts > MAX_ATTEMPTS {
                return best;
            }
            if shows(&found) {
                best = found;
                continue 'smaller;
            }
        }
        return best;
    }
}

fn size(question: &Question) -> usize {
    short_json(question).to_string().len()
}

/// Forms with one thing less, large things first.
fn smaller(form: &Value) -> Vec<Value> {
    let mut candidates = Vec::new();
    for (pointer, _) in places(form) {
        let Some((parent, token)) = pointer.rsplit_once('/') else { continue };
        let mut without = form.clone();
        match without.pointer_mut(parent) {
            Some(Value::Object(members)) => {
                members.remove(&token.replace("~1", "/").replace("~0", "~"));
                candidates.push(without);
            }
            Some(Value::Array(items)) => {
                if let Some(index) = token.parse().ok().filter(|index: &usize| *index < items.len()) {
                    items.remove(index);
                    candidates.push(without);
                }
            }
            _ => {}
        }
        let Some(place) = form.pointer(&pointer) else { continue };
        for less in less(place) {
            let mut changed = form.clone();
            if let Some(place) = changed.pointer_mut(&pointer) {
                *place = less;
                candidates.push(changed);
            }
        }
    }
    candidates.sort_by_cached_key(|candidate| candidate.to_string().len());
    candidates
}

fn less(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            let half = text.chars().take(text.chars().count() / 2).collect::<String>();
            vec!["".into(), "a".into(), half.into()]
        }
        Value::Number(_) => vec![0.into(), 1.into()],
        Value::Array(items) => vec![items.iter().take(items.len() / 2).cloned().collect()],
        _ => Vec::new(),
    }
}
