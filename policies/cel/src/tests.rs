//! Expressions over documents, natively.

use carrara_policy_language::{check, decide, validate};
use serde_json::json;

use super::Cel;

fn settings(text: &str) -> String {
    json!(text).to_string()
}

#[test]
fn places() {
    for text in [
        "a +",
        "\n  request.action ==\n  ) x",
        "1 +* 2",
        "foo == 1",
        "has(a",
        "request.nope()",
        "[1,2].all(x, y)",
        "x'y",
        "\"abc",
    ] {
        println!("{text:?}: {:?}", check::<Cel>(&settings(text)));
    }
    println!("{:?}", decide::<Cel>(&settings("request.nope"), &json!({})));
    println!(
        "{:?}",
        decide::<Cel>(
            &settings("request.now - 5 > 2 && request.x.all(a, a == 'b')"),
            &json!({"now": 8, "x": ["b"]})
        )
    );
    println!("{:?}", decide::<Cel>(&settings("nope(1)"), &json!({})));
    println!("{:?}", validate::<Cel>(&settings("manifest.a == 2"), &json!({"manifest": {"a": 1}})));
    println!("{:?}", decide::<Cel>(&settings("1"), &json!({})));
}
