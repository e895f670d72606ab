//! Makes requests from others by small changes. The same seed makes the same requests.

use std::collections::BTreeMap;
use std::path::Path;

use carrara_wasm::World;
use serde_json::{Map, Value};

use super::Sample;
use crate::question::Question;
use crate::words::request_json;

/// Numbers made from a seed (SplitMix64): the same everywhere, and for no other purpose.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins again with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One less than `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.number() % end.max(1)).unwrap_or_default()
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// Changes that make no request are given up after so many times the wanted number.
const ATTEMPTS: usize = 20;

/// Most changes of one request.
const EDITS: usize = 3;

/// So many requests like those of `base`, with their settings: words are exchanged with those of the same field elsewhere,
/// things are left out, doubled, reversed. Names of resources stay sorted and single, as a coordinator sends them.
#[must_use]
pub fn generated(base: &[Sample], seed: u64, count: usize) -> Vec<Sample> {
    let forms: Vec<Value> = base.iter().map(|sample| request_json(&sample.question)).collect();
    let mut vocabulary = Vocabulary::default();
    forms.iter().for_each(|form| vocabulary.learn("", form));
    let (mut random, mut made) = (Random::new(seed), Vec::new());
    for _ in 0..count.saturating_mul(ATTEMPTS) {
        let index = random.below(base.len());
        let (Some(from), Some(form), true) = (base.get(index), forms.get(index), made.len() < count) else {
            break;
        };
        let mut form = form.clone();
        for _ in 0..=random.below(EDITS) {
            edit(&mut form, &vocabulary, &mut random);
        }
        if let Some(question) = read(from.question.world(), form) {
            let name = format!("generated {} of seed {seed}, from {}", made.len() + 1, from.name);
            made.push(Sample { name, settings: from.settings.clone(), question });
        }
    }
    made
}

/// A request as a coordinator would send it; `None` for what is none.
pub(crate) fn read(world: World, form: Value) -> Option<Question> {
    let mut question = Question::read(world, form, Path::new(".")).ok()?;
    if let Question::Authorization(request) = &mut question {
        request.resource_names.sort_unstable();
        request.resource_names.dedup();
    }
    Some(question)
}

/// The texts of each field.
#[derive(Default)]
struct Vocabulary(BTreeMap<String, Vec<String>>);

impl Vocabulary {
    fn learn(&mut self, field: &str, value: &Value) {
        match value {
            Value::String(text) => {
                let texts = self.0.entry(field.to_owned()).or_default();
                if !texts.contains(text) {
                    texts.push(text.clone());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(field, item)),
            Value::Object(members) => members.iter().for_each(|(name, member)| self.learn(name, member)),
            _ => {}
        }
    }

    fn like(&self, field: &str, text: &str, random: &mut Random) -> String {
        match random.below(6) {
            0 => String::new(),
            1 => format!("{text}-2"),
            2 => text.to_uppercase(),
            _ => {
                let texts = self.0.get(field).map(Vec::as_slice).unwrap_or_default();
                random.pick(texts).cloned().unwrap_or_default()
            }
        }
    }
}

/// Pointers to all that can be changed, each with the name of its field.
pub(crate) fn places(value: &Value) -> Vec<(String, String)> {
    fn collect(value: &Value, pointer: &str, field: &str, found: &mut Vec<(String, String)>) {
        if !value.is_null() && !pointer.is_empty() {
            found.push((pointer.to_owned(), field.to_owned()));
        }
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    collect(item, &format!("{pointer}/{index}"), field, found);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let token = name.replace('~', "~0").replace('/', "~1");
                    collect(member, &format!("{pointer}/{token}"), name, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, "", "", &mut found);
    found
}

fn edit(form: &mut Value, vocabulary: &Vocabulary, random: &mut Random) {
    let places = places(form);
    let Some((pointer, field)) = random.pick(&places) else { return };
    let Some(place) = form.pointer_mut(pointer) else { return };
    match place {
        Value::String(text) => *text = vocabulary.like(field, text, random),
        Value::Bool(truth) => *truth = !*truth,
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            let numbers =
                [0, 1, number.saturating_add(1), number.saturating_sub(1), u64::from(u32::MAX), u64::MAX];
            *place = random.pick(&numbers).copied().unwrap_or_default().into();
        }
        Value::Array(items) => edit_items(items, random),
        Value::Object(members) => leave_one_out(members, random),
        Value::Null => {}
    }
}

fn edit_items(items: &mut Vec<Value>, random: &mut Random) {
    let index = random.below(items.len());
    match (random.below(4), items.get(index).cloned()) {
        (0, Some(item)) => items.push(item),
        (1, _) => items.reverse(),
        (2, _) => items.clear(),
        (_, Some(_)) => drop(items.remove(index)),
        (_, None) => {}
    }
}

fn leave_one_out(members: &mut Map<String, Value>, random: &mut Random) {
    let names: Vec<String> = members.keys().cloned().collect();
    if let Some(name) = random.pick(&names) {
        members.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::samples;

    #[test]
    fn a_seed_makes_the_same_requests_again_and_another_seed_others() {
        for world in World::ALL {
            let base = samples(world);
            let made = generated(&base, 1, 40);
            assert_eq!(made.len(), 40, "{world}");
            assert_eq!(made, generated(&base, 1, 40));
            assert_ne!(made, generated(&base, 2, 40));
            let new = made.iter().filter(|made| base.iter().all(|sample| sample.question != made.question));
            assert!(new.count() > 20, "{world}: they are not new");
        }
    }

    #[test]
    fn names_of_resources_are_as_a_coordinator_sends_them() {
        for made in generated(&samples(World::RoleAuthorization), 3, 200) {
            let Question::Authorization(request) = made.question else { panic!() };
            assert!(request.resource_names.is_sorted_by(|a, b| a < b), "{:?}", request.resource_names);
        }
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert!(generated(&[], 1, 5).is_empty());
    }
}
