//! Policies over documents, natively.

use carrara_policy_language::{check, decide, validate};
use serde_json::json;

use super::Rego;

fn settings(text: &str) -> String {
    json!(text).to_string()
}

#[test]
fn places() {
    for text in [
        "package a\ndeny contains msg if {\n  msg := \n}",
        "package a\ndeny contains msg if { input.x }",
        "package a\nx := 1",
        "package a\nallow if { time.now_ns() > 5 }",
        "package a\ndeny contains \"x\" if { input.foo == 1; rand.intn(\"a\", 5) == 1 }",
        "package a[\"b c\"]\nallow if true",
        "deny := 1",
        "package a\nallow if { http.send({}) }",
        "package a\nallow if { allow }",
    ] {
        println!("{text:?}: {:?}", check::<Rego>(&settings(text)));
    }
    let p = "package a\nimport rego.v1\ndeny contains {\"msg\": sprintf(\"no %v\", [x]), \"code\": \"c\"} if { some x in input.names; x != \"ok\" }";
    println!("{:?}", decide::<Rego>(&settings(p), &json!({"names": ["ok", "b", "a"]})));
    println!("{:?}", decide::<Rego>(&settings(p), &json!({"names": ["ok"]})));
    println!("{:?}", validate::<Rego>(&settings(p), &json!({"names": ["bad"]})));
    println!("{:?}", decide::<Rego>(&settings("package a\nallow if input.x == 1"), &json!({"x": 2})));
    println!("{:?}", decide::<Rego>(&settings("package a\nallow if input.x == 1"), &json!({"x": 1})));
    println!(
        "{:?}",
        decide::<Rego>(
            &settings("package a\nallow := 1 if input.x == 1\nallow := 2 if input.x == 1"),
            &json!({"x": 1})
        )
    );
}
