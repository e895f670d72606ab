use carrara_types::decision::Decision;
use carrara_types::policy::World;
use serde_json::json;

use super::*;
use crate::fake::{Fake, deny};

fn authorization(sequence: u64, user: &str, answer: &Value) -> Value {
    json!({
        "sequence": sequence, "time-ms": 1_768_478_400_000_i64, "revision": 3, "world": "role-authorization",
        "policy": "rooms", "digest": format!("sha256:{}", "aa".repeat(32)), "mode": "shadow",
        "settings": Digest(Sha256::digest("null").into()),
        "request": { "authorization": { "principal": { "name": user }, "action": "ReadSecret", "resource-names": ["a"] } },
        "answer": answer, "fuel": 10, "duration-us": 5,
    })
}

fn validation(manifest: &str, current: Option<&str>) -> DecisionRecord {
    let digest = |text: &str| Digest(Sha256::digest(text).into()).to_string();
    let mut record = authorization(1, "x", &json!({ "findings": [] }));
    record["world"] = json!("manifest-validation");
    record["request"] = json!({ "validation": {
        "change": "full-update", "now": 5, "manifest-sha256": digest(manifest),
        "current-sha256": current.map(|current| digest(&ParsedManifest::parse(current.as_bytes()).unwrap().normalised_json())),
        "proposer": null,
    } });
    serde_json::from_value(record).unwrap()
}

fn records() -> Vec<Value> {
    let denied = json!({ "decision": { "deny": { "code": "no", "message": "m" } } });
    vec![
        authorization(1, "alice", &json!({ "decision": "allow" })),
        authorization(2, "bob", &json!({ "decision": "allow" })),
        authorization(3, "carol", &denied),
        authorization(4, "dave", &json!({ "failed": "out of fuel" })),
    ]
}

/// Denies bob with the code `no`, everybody else may.
fn but_bob() -> Fake {
    Fake::new(World::RoleAuthorization, |_, question| match question {
        Question::Authorization(request) if request.principal.name == "bob" => deny("no"),
        _ => Answer::Allow,
    })
}

#[test]
fn records_are_read_from_a_list_an_answer_of_the_coordinator_or_lines() {
    let lines: String = records().iter().map(|record| format!("{record}\n")).collect();
    let texts = [
        Value::from(records()).to_string(),
        json!({ "first": 1, "records": records() }).to_string(),
        json!({ "status": "success", "data": { "first": 1, "records": records() } }).to_string(),
        lines,
    ];
    let read: Vec<_> = texts.iter().map(|text| parse_records(text).unwrap()).collect();
    assert!(read.iter().all(|records| *records == read[0]) && read[0].len() == 4);
    assert_eq!(read[0][0].answer, Recorded::Decision(Decision::Allow));
    assert!(parse_records("").unwrap().is_empty());
}

#[test]
fn what_is_no_record_is_named() {
    for (text, expected) in [("{\"a\": 1}", "no decisions"), ("3", "no decisions"), ("[]\n{", "line 2")] {
        let error = parse_records(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let mut records = records();
    records[1]["verb"] = json!("x");
    let error = parse_records(&Value::from(records).to_string()).unwrap_err().to_string();
    assert!(error.starts_with("decision 2: ") && error.contains("verb"), "{error}");
}

#[test]
fn what_would_change_is_counted_by_verdict_and_listed() {
    let records = parse_records(&Value::from(records()).to_string()).unwrap();
    let policy = but_bob();
    let replay = replay(&policy, "null", &records, &Manifests::default());
    assert_eq!((replay.replayed, replay.not_replayable, replay.other_settings), (4, 0, 0));
    assert_eq!(replay.verdicts["allow"], BTreeMap::from([("allow", 1), ("deny", 1)]));
    assert_eq!((replay.verdicts["deny"]["allow"], replay.verdicts["failed"]["allow"]), (1, 1));
    let changed: Vec<u64> = replay.changes.iter().map(|change| change.sequence).collect();
    assert_eq!(changed, [2, 3, 4]);
    assert_eq!(replay.changes[0].summary, "bob ReadSecret a");
    assert_eq!((replay.changes[0].old, replay.changes[0].new), ("allow", "deny"));
    assert_eq!(replay.changes[0].new_answer, "deny no: m");
    assert_eq!((replay.fuel_old, replay.fuel_new), (40, 4));
}

#[test]
fn other_settings_and_other_texts_are_counted_and_other_worlds_are_left_out() {
    let mut records = parse_records(&Value::from(records()).to_string()).unwrap();
    records.push(validation("{}", None));
    let policy = Fake::new(World::RoleAuthorization, |_, question| match question {
        Question::Authorization(request) if request.principal.name == "carol" => deny("other"),
        _ => Answer::Allow,
    });
    let replay = replay(&policy, "1", &records, &Manifests::default());
    assert_eq!((replay.replayed, replay.other_settings, replay.other_texts), (4, 4, 1));
    assert_eq!(policies_of(&records, &policy), BTreeSet::from(["rooms".to_owned()]));
}

#[test]
fn a_validation_is_asked_again_where_its_manifests_are_at_hand() {
    let (old, new) = (
        r#"{"Packages":{"web":{"SignerID":"00","ProductID":1,"SecurityVersion":4}}}"#,
        r#"{ "Packages": { "web": { "SignerID": "00", "ProductID": 1, "SecurityVersion": 5 } } }"#,
    );
    let policy = Fake::new(World::ManifestValidation, |_, question| {
        let Question::Validation(proposal) = question else { panic!() };
        assert_eq!(
            (proposal.context.now, proposal.current_versions.clone()),
            (5, vec![("web".to_owned(), 4)])
        );
        assert!(proposal.manifest.contains("5") && proposal.current.is_some());
        Answer::Findings(Vec::new())
    });
    let record = validation(new, Some(old));
    let mut manifests = Manifests::default();
    assert_eq!(replay(&policy, "null", [&record], &manifests).not_replayable, 1);
    assert!(manifests.add(new.as_bytes()) && !manifests.add(b"no manifest"));
    assert_eq!(
        replay(&policy, "null", [&record], &manifests).not_replayable,
        1,
        "the one in force is missing"
    );
    assert!(manifests.add(old.as_bytes()));
    let found = replay(&policy, "null", [&record], &manifests);
    assert_eq!((found.replayed, found.not_replayable, found.changes.len()), (1, 0, 0));
}

#[test]
fn a_validation_is_told_the_facts_and_security_versions_that_it_was_told() {
    let manifest = r#"{"Packages":{"web":{"SignerID":"00","ProductID":1,"SecurityVersion":4}}}"#;
    let policy = Fake::new(World::ManifestValidation, |_, question| {
        let Question::Validation(proposal) = question else { panic!() };
        assert_eq!(proposal.current_versions, [("web".to_owned(), 7)]);
        assert_eq!(proposal.context.facts.len(), 1);
        assert_eq!(proposal.context.facts[0].name, "secret-last-set:token");
        Answer::Findings(Vec::new())
    });
    let mut record = serde_json::to_value(validation(manifest, Some(manifest))).unwrap();
    record["request"]["validation"]["current-versions"] = json!({ "web": 7 });
    record["request"]["validation"]["facts"] =
        json!([{ "name": "secret-last-set:token", "value": { "number": 5 } }]);
    let records = parse_records(&Value::from(vec![record]).to_string()).unwrap();
    let mut manifests = Manifests::default();
    manifests.add(manifest.as_bytes());
    assert_eq!(replay(&policy, "null", &records, &manifests).replayed, 1);
}

#[test]
fn what_was_cut_is_counted_and_not_asked_again() {
    let mut all = records();
    all[1]["cut"] = json!(true);
    let records = parse_records(&Value::from(all).to_string()).unwrap();
    let replay = replay(&but_bob(), "null", &records, &Manifests::default());
    assert_eq!((replay.replayed, replay.cut, replay.not_replayable), (3, 1, 0));
    let changed: Vec<u64> = replay.changes.iter().map(|change| change.sequence).collect();
    assert_eq!(changed, [3, 4]);
    assert!(sample_of(&records[1], &Manifests::default()).is_none());
    assert!(sample_of(&records[0], &Manifests::default()).is_some());
}
