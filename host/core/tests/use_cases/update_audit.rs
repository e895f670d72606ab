//! Who set, updated, acknowledged, cancelled and was refused stands in the audit trail.

use carrara_core::ports::Store as _;
use serde_json::{Value, json};

use super::update_world::{Updating, fingerprint};
use crate::common::{bytes, manifest};

/// User, action, resources and outcome of the entries from index `from` on.
async fn entries(test: &Updating, from: u64) -> Vec<Value> {
    test.coordinator.write_out_audit().await.unwrap();
    let lines = test.world.store.snapshot().audit_lines(from, 100).unwrap();
    let read = |line: String| {
        let entry: Value = serde_json::from_str(&line).unwrap();
        json!([entry["user"], entry["action"], entry["resources"], entry["outcome"]])
    };
    lines.into_iter().map(read).collect()
}

#[tokio::test]
async fn setting_a_manifest_is_recorded_in_the_same_commit() {
    let test = Updating::alone(&manifest()).await;
    let lines = test.world.store.snapshot().audit_lines(0, 100).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(entries(&test, 0).await, [json!([null, "SetManifest", [fingerprint(&test.first)], "done"])]);
}

#[tokio::test]
async fn updates_acknowledgements_and_refusals_are_recorded() {
    let test = Updating::new(&manifest(), 2).await;
    let new = test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]));
    let broken =
        test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{fail}}" }));
    test.update("dave", &json!({ "Packages": { "app": { "SecurityVersion": 3 } } })).await;
    test.try_update("erin", &new).await.unwrap_err();
    test.update("alice", &new).await;
    test.try_acknowledge("erin", &bytes(&new)).await.unwrap_err();
    test.try_update("erin", &broken).await.unwrap_err();
    let raised = json!({ "Packages": { "app": { "SecurityVersion": 4 } } });
    test.try_update("dave", &raised).await.unwrap_err();
    test.try_acknowledge("bob", &bytes(&broken)).await.unwrap_err();
    test.coordinator.cancel_update(test.peer("dave")).await.unwrap_err();
    test.acknowledge("bob", &new).await;
    test.update("alice", &broken).await;
    test.try_acknowledge("bob", &bytes(&broken)).await.unwrap_err();
    test.update("alice", &new).await;
    test.coordinator.cancel_update(test.peer("alice")).await.unwrap();
    let (new, broken) = (fingerprint(&new), fingerprint(&broken));
    let mut found = entries(&test, 1).await;
    // Refusals are written out later than changes.
    found.sort_by_key(|entry| entry[3] == "refused" && entry[1] != "ApplyUpdate");
    assert_eq!(
        found,
        [
            json!(["dave", "UpdateSecurityVersion", ["app"], "done"]),
            json!(["alice", "UpdateManifest", [new], "done"]),
            json!(["bob", "AcknowledgeUpdate", [new], "done"]),
            json!(["bob", "ApplyUpdate", [new], "done"]),
            json!(["alice", "UpdateManifest", [broken], "done"]),
            json!(["bob", "AcknowledgeUpdate", [broken], "done"]),
            json!(["bob", "ApplyUpdate", [broken], "refused"]),
            json!(["alice", "UpdateManifest", [new], "done"]),
            json!(["alice", "CancelUpdate", [new], "done"]),
            json!(["erin", "UpdateManifest", [new], "refused"]),
            json!(["erin", "AcknowledgeUpdate", [new], "refused"]),
            // Another one was pending.
            json!(["erin", "UpdateManifest", [broken], "refused"]),
            json!(["dave", "UpdateSecurityVersion", ["app"], "refused"]),
            // Not what was pending.
            json!(["bob", "AcknowledgeUpdate", [broken], "refused"]),
            json!(["dave", "CancelUpdate", [], "refused"]),
        ]
    );
}
