//! A manifest's text: reading, the host's own list and the validator's.

use carrara_types::decision::{Change, Severity};
use carrara_types::manifest::{AcceptedManifest, Known, ParsedManifest};

use crate::world;

pub(super) fn run(input: &[u8]) {
    let renderers = ["go-template".to_owned(), "liquid".to_owned()];
    let names = ["localhost".to_owned(), "coordinator.example".to_owned()];
    let known = Known { renderers: Some(&renderers), coordinator_names: &names };
    let parsed = match ParsedManifest::parse(input) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(!error.message.is_empty());
            assert_eq!(ParsedManifest::parse(input).expect_err("refused once"), error);
            return;
        }
    };
    let normal = parsed.normalised_json();
    let again = ParsedManifest::parse(normal.as_bytes()).expect("the normal form reads");
    assert!(again == parsed, "the normal form says something else");
    assert_eq!(again.normalised_json(), normal, "the normal form is not normal");
    let _ = parsed.is_package_update();

    for change in [Change::Initial, Change::PackageUpdate, Change::FullUpdate] {
        let findings = carrara_plugin_manifest_rules::validate(change.name(), &normal);
        assert_eq!(findings, carrara_plugin_manifest_rules::validate(change.name(), &normal));
        for finding in &findings {
            let _ = parsed.locate(&finding.path);
        }
        if change != Change::Initial {
            continue;
        }
        if let Ok(accepted) = AcceptedManifest::judge(parsed.clone(), findings, &known) {
            assert!(accepted.warnings().iter().all(|finding| finding.severity == Severity::Warning));
            let stored = ParsedManifest::parse(input).expect("read once");
            AcceptedManifest::restore(stored, &known).expect("what was accepted survives a restart");
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![world::manifest().into_bytes(), include_bytes!("../../../../examples/quickstart/manifest.json").to_vec()]
}
