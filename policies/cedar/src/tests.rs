//! Policies over documents, natively.

use carrara_policy_language::{check, decide};
use serde_json::json;

use super::Cedar;

#[test]
fn places() {
    for text in [
        "permit(principal, action, resource)",
        "permit(\n principal, action,\n resource when { 1 };",
        "permit(principal == ?principal, action, resource);",
        "permit(principal, action, resource) when { foo };",
    ] {
        println!("{text:?}: {:?}", check::<Cedar>(&json!(text).to_string()));
    }
}
