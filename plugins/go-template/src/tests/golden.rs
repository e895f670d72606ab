//! The comparison with Go: `tests/fixtures/go-template/cases.json` holds what Go's text/template answers.

mod exceptions;

use std::collections::BTreeMap;
use std::path::Path;

use carrara_types::decision::Target;
use serde_json::Value;

use super::{Fake, show};
use crate::render;
use exceptions::{EXCEPTIONS, reason};

/// One template and Go's answer: its output or its error.
struct Case {
    target: Target,
    template: Vec<u8>,
    answer: String,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/go-template/cases.json");
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    list.iter().map(case).collect()
}

fn case(value: &Value) -> Case {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let is_hex = value.get("hex").is_some();
    let bytes = |text: &str| if is_hex { hex::decode(text).unwrap() } else { text.as_bytes().to_vec() };
    let answer = match text("error") {
        Some(error) => error.to_owned(),
        None => String::from_utf8_lossy(&bytes(text("output").unwrap())).into_owned(),
    };
    let target = if text("target") == Some("env") { Target::Env } else { Target::File };
    Case { target, template: bytes(text("template").unwrap()), answer }
}

// S-70, S-71, S-71a, S-72, S-73, S-75, S-76, S-77; where it differs, the reason is listed (S-74)
#[test]
fn every_template_renders_or_fails_as_in_go_but_for_the_listed_exceptions() {
    let (mut wrong, mut used) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for case in cases() {
        let ours = show(render(&case.template, case.target, &Fake::new()));
        let template = String::from_utf8_lossy(&case.template).into_owned();
        match reason(&template, &case.answer, &ours) {
            Some(reason) => *used.entry(reason).or_default() += 1,
            None if ours == case.answer => {}
            None => wrong.push(format!("{template:?}\n    Go:   {:?}\n    ours: {ours:?}", case.answer)),
        }
    }
    assert!(wrong.is_empty(), "{} templates differ from Go:\n{}", wrong.len(), wrong.join("\n"));
    // An exception that no template needs any more is removed.
    for exception in EXCEPTIONS {
        assert!(used.contains_key(exception.reason), "no template differs because: {}", exception.reason);
    }
}
