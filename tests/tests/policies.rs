//! Policies inside the real coordinator: one that exceeds its limits denies one request, by name, and nothing else.

use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::Request;
use carrara_tests::manifests;
use serde_json::{Value, json};

/// A manifest whose one template would run for ages: nested loops over all secrets.
fn endless(renderer: &str, open: &str, close: &str) -> Value {
    let mut manifest = manifests::minimal();
    let secrets =
        (0..60).map(|n| (format!("s{n}"), json!({ "Type": "symmetric-key", "Size": 8, "Shared": true })));
    manifest["Secrets"] = Value::Object(secrets.collect());
    let text = format!("{}x{}", open.repeat(8), close.repeat(8));
    manifest["Marbles"]["svc"]["Parameters"]["Files"] =
        json!({ "/f": { "Data": text, "Renderer": renderer } });
    manifest
}

// policy.md, Limits and failure
#[test]
fn a_template_that_never_ends_is_refused_by_the_policys_name_while_others_are_served() {
    let coordinator = Coordinator::start();
    let cases = [
        ("go-template", "{{ range $.Secrets }}", "{{ end }}"),
        ("liquid", "{% for s in Secrets %}", "{% endfor %}"),
    ];
    for (renderer, open, close) in cases {
        let url = coordinator.url("/manifest");
        let manifest = endless(renderer, open, close).to_string();
        let posting = std::thread::spawn(move || Request::post(&url, manifest).send());
        loop {
            assert_eq!(Request::get(&coordinator.url("/status")).send().data()["StatusCode"], 2);
            if posting.is_finished() {
                break;
            }
        }
        let answer = posting.join().unwrap();
        assert_eq!(answer.status, 400, "{}", answer.body);
        let expected = format!(
            "running manifest template dry run: in Marble svc: file /f: policy \"{renderer}\" could not decide"
        );
        assert_eq!(answer.message(), expected);
        let id =
            answer.headers.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
        // The reason is in the log, tied to the request.
        coordinator
            .wait_for_log(|line| line.contains(&id) && line.contains(renderer) && line.contains("fuel"));
    }
    let accepted = Request::post(&coordinator.url("/manifest"), manifests::minimal().to_string()).send();
    assert_eq!(accepted.status, 200, "the next request is decided afresh: {}", accepted.body);
}
