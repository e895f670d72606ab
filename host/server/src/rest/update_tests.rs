//! Updates by one user and by several, in both versions of the API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::openapi::tests::ask;
use crate::testing::world::{Caller, World};

const PENDING: &str =
    "update already in progress. Acknowledge the update to apply it, or cancel it to start a new one";

/// A manifest's bytes, then with the JSON of version 2 around.
fn forms(manifest: &Value) -> [Vec<u8>; 2] {
    let raw = serde_json::to_vec(manifest).unwrap();
    let wrapped = json!({ "Manifest": STANDARD.encode(&raw) }).to_string().into_bytes();
    [raw, wrapped]
}

fn packages(version: u8) -> Value {
    json!({ "Packages": { "app": { "SecurityVersion": version } } })
}

/// Another manifest with the same users.
fn proposed(world: &World) -> Value {
    let mut manifest = world.manifest();
    manifest["Marbles"]["worker"] = json!({ "Package": "app" });
    manifest
}

/// The same, for which the initiator alone suffices from then on.
async fn single_handed() -> World {
    let world = World::without_manifest().await;
    let mut manifest = world.manifest();
    manifest["Config"]["UpdateThreshold"] = json!(1);
    let [raw, _] = forms(&manifest);
    assert_eq!(ask(&world, Caller::Nobody, "POST /manifest", raw).await.0, 200);
    world
}

async fn message(world: &World, caller: Caller, endpoint: &str, body: Vec<u8>, expected: u16) -> String {
    let (status, envelope) = ask(world, caller, endpoint, body).await;
    assert_eq!(status, expected, "{endpoint}: {envelope}");
    envelope["message"].as_str().unwrap().to_owned()
}

// R-56, M-100
#[tokio::test]
async fn a_package_update_answers_null_in_v1_and_what_is_missing_in_v2() {
    let world = World::new().await;
    let ([raw, _], [_, wrapped]) = (forms(&packages(4)), forms(&packages(5)));
    let (status, envelope) = ask(&world, Caller::Admin, "POST /update", raw.clone()).await;
    assert_eq!((status, &envelope["data"]), (200, &Value::Null));
    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update", wrapped).await;
    let data = json!({ "missingAcknowledgments": 0, "missingUsers": null });
    assert_eq!((status, &envelope["data"]), (200, &data));
    let refusal = message(&world, Caller::Guest, "POST /update", raw, 400).await;
    assert_eq!(refusal, "user guest is not allowed to update one or more packages of [app]");
}

// R-56; manifest.md section 7
#[tokio::test]
async fn a_text_that_is_no_manifest_is_told_in_each_version_s_words() {
    let world = World::new().await;
    let v1 = message(&world, Caller::Admin, "POST /update", b"{".to_vec(), 400).await;
    assert!(v1.starts_with("unmarshaling update manifest: "), "{v1}");
    let v2 =
        message(&world, Caller::Admin, "POST /api/v2/update", br#"{"manifest":"ew=="}"#.to_vec(), 500).await;
    assert!(v2.starts_with("unmarshaling manifest: "), "{v2}");
    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update", "").await;
    assert_eq!((status, &envelope["status"], &envelope["message"]), (400, &json!("fail"), &json!("EOF")));
}

// R-56, R-57, R-58, R-59, L-53, L-54
#[tokio::test]
async fn two_parties_update_in_version_2() {
    let world = World::new().await;
    let [_, body] = forms(&proposed(&world));
    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update", body.clone()).await;
    let data = json!({ "missingAcknowledgments": 1, "missingUsers": ["second"] });
    assert_eq!((status, &envelope["data"]), (200, &data));
    assert_eq!(message(&world, Caller::Second, "POST /api/v2/update", body.clone(), 500).await, PENDING);
    assert_eq!(
        message(&world, Caller::Second, "POST /update", forms(&packages(9))[0].clone(), 400).await,
        PENDING
    );

    let standing = "1 user still needs to acknowledge the update manifest";
    for endpoint in ["GET /update-manifest", "GET /api/v2/update-manifest"] {
        let (status, envelope) = ask(&world, Caller::Nobody, endpoint, "").await;
        let manifest = STANDARD.encode(&forms(&proposed(&world))[0]);
        let data = json!({ "manifest": manifest, "message": standing, "missingUsers": ["second"] });
        assert_eq!((status, &envelope["data"]), (200, &data));
    }

    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update-manifest", body.clone()).await;
    let text = format!("{standing}.\nThe following users have not yet accepted: second");
    let data = json!({ "message": text, "missingUsers": ["second"], "missingAcknowledgments": 1 });
    assert_eq!((status, &envelope["data"]), (200, &data));
    let (status, envelope) = ask(&world, Caller::Second, "POST /api/v2/update-manifest", body.clone()).await;
    let text = "All users have acknowledged the update manifest. Update successfully applied";
    let data = json!({ "message": text, "missingUsers": null, "missingAcknowledgments": 0 });
    assert_eq!((status, &envelope["data"]), (200, &data));
    let gone = message(&world, Caller::Second, "POST /api/v2/update-manifest", body, 404).await;
    assert_eq!(gone, "no update in progress");
}

// R-59: old clients read the first word
#[tokio::test]
async fn version_1_acknowledges_with_a_text() {
    let world = World::new().await;
    let [raw, wrapped] = forms(&proposed(&world));
    ask(&world, Caller::Admin, "POST /api/v2/update", wrapped).await;
    let longer = [raw.as_slice(), b" "].concat();
    let refusal = message(&world, Caller::Second, "POST /update-manifest", longer, 500).await;
    assert_eq!(refusal, "provided manifest does not match the pending manifest");
    let refusal = message(&world, Caller::Guest, "POST /update-manifest", raw.clone(), 500).await;
    assert_eq!(refusal, "user guest is not allowed to acknowledge manifest updates");
    let (_, envelope) = ask(&world, Caller::Admin, "POST /update-manifest", raw.clone()).await;
    assert_eq!(envelope["data"], "1 user still needs to acknowledge the update manifest");
    let (_, envelope) = ask(&world, Caller::Second, "POST /update-manifest", raw).await;
    assert_eq!(
        envelope["data"],
        "All users have acknowledged the update manifest. Update successfully applied"
    );
}

// R-59, R-24; rest-api.md section 4: the body is judged before what is pending
#[tokio::test]
async fn an_acknowledgement_that_is_not_understood_is_a_400_fail() {
    let world = World::new().await;
    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update-manifest", "[]").await;
    assert_eq!((status, &envelope["status"]), (400, &json!("fail")));
    assert_eq!(
        message(&world, Caller::Admin, "POST /update-manifest", b"[]".to_vec(), 404).await,
        "no update in progress"
    );
}

// R-60a, L-56: permission comes before existence
#[tokio::test]
async fn a_pending_update_is_cancelled_by_who_may_and_nobody_else() {
    for (endpoint, answer) in [
        ("POST /update-cancel", json!("Update successfully cancelled")),
        ("POST /api/v2/update-cancel", json!({ "message": "Update successfully cancelled" })),
    ] {
        let world = World::new().await;
        for _ in 0..2 {
            let refusal = message(&world, Caller::Guest, endpoint, Vec::new(), 500).await;
            assert_eq!(refusal, "user guest is not allowed to update the complete manifest");
            ask(&world, Caller::Admin, "POST /api/v2/update", forms(&proposed(&world))[1].clone()).await;
        }
        let (status, envelope) = ask(&world, Caller::Second, endpoint, "").await;
        assert_eq!((status, &envelope["data"]), (200, &answer));
        assert_eq!(message(&world, Caller::Second, endpoint, Vec::new(), 404).await, "no update in progress");
    }
}

// R-56, X-30
#[tokio::test]
async fn recovery_secrets_are_given_in_version_2_and_version_1_refuses_to_lose_them() {
    let world = single_handed().await;
    let mut manifest = world.manifest();
    manifest["RecoveryKeys"] = json!({ "owner": World::recovery_key() });
    let [raw, wrapped] = forms(&manifest);
    let refusal = message(&world, Caller::Admin, "POST /update", raw, 400).await;
    assert!(refusal.contains("/api/v2/update"), "{refusal}");
    let (status, envelope) = ask(&world, Caller::Admin, "POST /api/v2/update", wrapped).await;
    assert_eq!((status, &envelope["data"]["missingAcknowledgments"]), (200, &json!(0)));
    assert!(envelope["data"]["recoverySecrets"]["owner"].as_str().unwrap().len() > 300);
}

// R-56, X-30
#[tokio::test]
async fn version_1_updates_where_nothing_is_missing_and_refuses_where_it_could_not_say_so() {
    let world = single_handed().await;
    let [raw, _] = forms(&proposed(&world));
    let (status, envelope) = ask(&world, Caller::Admin, "POST /update", raw).await;
    assert_eq!((status, &envelope["data"]), (200, &Value::Null));
    let world = World::new().await;
    let [raw, _] = forms(&proposed(&world));
    let refusal = message(&world, Caller::Admin, "POST /update", raw, 400).await;
    assert!(refusal.contains("/api/v2/update"), "{refusal}");
    assert_eq!(ask(&world, Caller::Nobody, "GET /update-manifest", "").await.0, 404);
}
