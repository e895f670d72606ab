//! A manifest's templates, checked by the embedded renderers without a coordinator.

#![allow(clippy::unwrap_used)]

use carrara_types::manifest::ParsedManifest;
use carrara_wasm::PolicyHost;

fn faults(manifest: &serde_json::Value) -> Vec<(String, u32)> {
    let manifest = ParsedManifest::parse(manifest.to_string().as_bytes()).unwrap();
    let faults = PolicyHost::builtin().unwrap().check_templates_here(&manifest).unwrap();
    faults.into_iter().map(|fault| (fault.path, fault.line)).collect()
}

// S-60, S-61: user-defined secrets have all parts, none is looked at
#[test]
fn templates_that_render_are_no_faults() {
    let manifest = serde_json::json!({
        "Marbles": { "m": { "TLS": ["t"], "Parameters": {
            "Env": { "A": "{{ string .Secrets.u }}", "R": { "Data": "{{ broken", "Renderer": "other" } },
            "Files": {
                "/a": "{{ hex .Secrets.k }}{{ pem .MarbleRun.RootCA.Cert }}",
                "/b": { "Data": "{{ broken", "NoTemplates": true },
                "/c": { "Data": "{{ Secrets.k | hex }}", "Renderer": "liquid" },
            },
        } } },
        "Secrets": {
            "u": { "Type": "plain", "UserDefined": true },
            "k": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        },
        "TLS": { "t": { "Outgoing": [{ "Addr": "{{ string .Secrets.u }}", "Port": "1" }] } },
    });
    assert_eq!(faults(&manifest), []);
}

#[test]
fn every_template_that_does_not_render_is_told_with_its_place() {
    let manifest = serde_json::json!({
        "Marbles": { "m/1": { "TLS": ["t"], "Parameters": {
            "Env": { "A": "{{ hex .Secrets.missing }}" },
            "Files": { "/a": "x\n{{ if }}", "/b": { "Data": "{{ nope", "Renderer": "liquid" } },
        } } },
        "TLS": {
            "t": { "Outgoing": [{ "Addr": "{{ nope }}", "Port": "1" }] },
            "unused": { "Outgoing": [{ "Addr": "{{ nope }}", "Port": "1" }] },
        },
    });
    let found = faults(&manifest);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "/Marbles/m~11/Parameters/Files/~1a/Data",
        "/Marbles/m~11/Parameters/Files/~1b/Data",
        "/Marbles/m~11/Parameters/Env/A/Data",
        "/TLS/t/Outgoing/0/Addr",
    ];
    assert_eq!(paths, expected);
    assert_eq!(found.first().unwrap().1, 2);
}
