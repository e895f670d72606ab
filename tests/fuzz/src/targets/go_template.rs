//! Template text in the language of Go.

pub(super) fn run(input: &[u8]) {
    super::templates::run(input, carrara_plugin_go_template::render);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../../../fixtures/go-template/cases.json")).expect("JSON");
    let mut seeds = Vec::new();
    collect(&cases, &mut seeds);
    seeds
}

/// Every text with an action in it.
fn collect(value: &serde_json::Value, seeds: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) if text.contains("{{") => seeds.push(text.clone().into_bytes()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, seeds)),
        serde_json::Value::Object(members) => members.values().for_each(|member| collect(member, seeds)),
        _ => {}
    }
}
