//! Who may do what: each endpoint asked by everybody, with a request that is in order. Every answer must be one that the
//! OpenAPI document promises.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::openapi::tests::{assert_described, document};
use super::routes::ROUTES;
use crate::testing::world::{COMPONENT, Caller, World};

/// Endpoint, then the status for nobody, a stranger's certificate, a user without roles, an activated Marble, and a user
/// with every permission. The manifest is set; of update-manifest and update-cancel an update is pending.
const ACCESS: &[(&str, [u16; 5])] = &[
    ("GET /status", [200; 5]),
    ("GET /api/v2/status", [200; 5]),
    ("GET /quote", [200; 5]),
    ("GET /api/v2/quote?nonce=AAEC", [200; 5]),
    ("GET /manifest", [200; 5]),
    ("GET /api/v2/manifest", [200; 5]),
    ("POST /manifest", [400; 5]),
    ("POST /api/v2/manifest", [500; 5]),
    ("GET /secrets?s=key&s=token", [401, 401, 400, 401, 200]),
    ("GET /api/v2/secrets?s=key&s=token", [401, 401, 500, 401, 200]),
    ("POST /secrets", [401, 401, 400, 401, 200]),
    ("POST /api/v2/secrets", [401, 401, 500, 401, 200]),
    ("GET /update", [200; 5]),
    ("GET /api/v2/update?from=0&limit=1", [200; 5]),
    ("POST /update", [401, 401, 400, 401, 200]),
    ("POST /api/v2/update", [401, 401, 500, 401, 200]),
    ("GET /api/v2/update/head?from=1", [200; 5]),
    ("GET /update-manifest", [200; 5]),
    ("GET /api/v2/update-manifest", [200; 5]),
    ("POST /update-manifest", [401, 401, 500, 401, 200]),
    ("POST /api/v2/update-manifest", [401, 401, 500, 401, 200]),
    ("POST /update-cancel", [401, 401, 500, 401, 200]),
    ("POST /api/v2/update-cancel", [401, 401, 500, 401, 200]),
    ("POST /api/v2/sign-quote", [200; 5]),
    ("POST /api/v2/monotonic-counter", [401, 401, 401, 200, 401]),
    // The state is open; without a signature, version 1 is gone.
    ("POST /recover", [410; 5]),
    ("POST /api/v2/recover", [500; 5]),
    ("GET /api/v2/recover/public-key", [500; 5]),
    ("GET /api/v2/policies", [200; 5]),
    ("GET /api/v2/policies/{digest}", [200; 5]),
    ("POST /api/v2/policies", [401, 401, 403, 401, 200]),
    ("GET /api/v2/decisions?after=0&limit=5&verdict=deny", [401, 401, 403, 401, 200]),
    ("GET /api/v2/audit?from=0&limit=5", [401, 401, 403, 401, 200]),
    ("GET /api/v2/backup", [401, 401, 403, 401, 200]),
    ("GET /api/v2/openapi.json", [200; 5]),
];

const CALLERS: [Caller; 5] = [Caller::Nobody, Caller::Stranger, Caller::Guest, Caller::Marble, Caller::Admin];

fn wrapped(manifest: &Value) -> Value {
    json!({ "manifest": STANDARD.encode(serde_json::to_vec(manifest).unwrap()) })
}

/// A full update that does not change recovery keys.
fn proposed(world: &World) -> Value {
    let mut manifest = world.manifest();
    manifest["Marbles"]["worker"] = json!({ "Package": "app" });
    manifest
}

/// A body that is in order.
fn body(world: &World, path: &str) -> Vec<u8> {
    let packages = json!({ "Packages": { "app": { "SecurityVersion": 4 } } });
    let secrets = json!({ "token": { "Key": "AQ==" } });
    let body = match path {
        "/manifest" => world.manifest(),
        "/api/v2/manifest" => wrapped(&world.manifest()),
        "/secrets" => secrets,
        "/api/v2/secrets" => json!({ "secrets": secrets }),
        "/update" => packages,
        "/api/v2/update" => wrapped(&packages),
        "/update-manifest" => proposed(world),
        "/api/v2/update-manifest" => wrapped(&proposed(world)),
        "/recover" => json!(vec![1; 32]),
        "/api/v2/recover" => {
            json!({ "recoverySecret": STANDARD.encode([1; 32]), "recoverySecretSignature": "AQ==" })
        }
        "/api/v2/sign-quote" => json!({ "sgxQuote": "AQID" }),
        "/api/v2/monotonic-counter" => json!({ "name": "n", "value": 3 }),
        "/api/v2/policies" => return COMPONENT.to_vec(),
        _ => return Vec::new(),
    };
    serde_json::to_vec(&body).unwrap()
}

/// The digest of the policy that is built in here.
fn rbac() -> String {
    carrara_types::policy::Digest(Sha256::digest(b"rbac").into()).to_string()
}

async fn start_update(world: &World) {
    let body = serde_json::to_vec(&wrapped(&proposed(world))).unwrap();
    let answer = world.ask(Caller::Admin, "POST", "/api/v2/update", body).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn who_may_do_what_is_this_and_every_answer_is_described() {
    let document = document();
    for (endpoint, expected) in ACCESS {
        let (method, uri) = endpoint.split_once(' ').unwrap();
        let path = uri.split('?').next().unwrap();
        let world = World::new().await;
        if path.contains("update-") {
            start_update(&world).await;
        }
        let mut statuses = Vec::new();
        for caller in CALLERS {
            let answer =
                world.ask(caller, method, &uri.replace("{digest}", &rbac()), body(&world, path)).await;
            statuses.push(answer.status().as_u16());
            assert_described(&document, method, path, answer).await;
        }
        assert_eq!(statuses, expected, "{endpoint}");
    }
}

// X-1, R-54: the last caller is the owner
#[tokio::test]
async fn where_an_owner_is_configured_nobody_else_sets_the_first_manifest() {
    let document = document();
    for path in ["/manifest", "/api/v2/manifest"] {
        let world = World::owned().await;
        let mut statuses = Vec::new();
        for caller in CALLERS {
            // No Marble is activated yet.
            let caller = if caller == Caller::Marble { Caller::Second } else { caller };
            let answer = world.ask(caller, "POST", path, body(&world, path)).await;
            statuses.push(answer.status().as_u16());
            assert_described(&document, "POST", path, answer).await;
        }
        assert_eq!(statuses, [401, 401, 401, 401, 200], "{path}");
    }
}

// X-1, R-54: 401 comes before the body, however wrong or long that is
#[tokio::test]
async fn who_is_not_the_owner_is_refused_before_the_body_is_read() {
    let world = World::owned().await;
    for path in ["/manifest", "/api/v2/manifest"] {
        for body in [vec![b'{'], vec![b' '; 40 << 20]] {
            let stranger = world.ask(Caller::Stranger, "POST", path, body.clone()).await.status();
            let owner = world.ask(Caller::Admin, "POST", path, body).await.status();
            assert_eq!(stranger, 401, "{path}");
            assert_ne!(owner, 401, "{path}");
        }
    }
    assert_eq!(world.coordinator.status().code, 2);
}

// A component: 401 and 403 come before the body, too
#[tokio::test]
async fn who_may_not_upload_a_policy_is_refused_before_the_body_is_read() {
    let world = World::new().await;
    let ask = async |caller| {
        let answer = world.ask(caller, "POST", "/api/v2/policies", vec![b' '; 40 << 20]).await;
        answer.status().as_u16()
    };
    for (caller, expected) in CALLERS.into_iter().zip([401, 401, 403, 401, 413]) {
        assert_eq!(ask(caller).await, expected);
    }
}

// A decision is told as it was recorded, and as the document says.
#[tokio::test]
async fn decisions_are_read_by_who_may_and_narrowed() {
    let world = World::new().await;
    for policy in ["rooms", "hours"] {
        let record = format!(
            r#"{{"sequence":0,"time-ms":5,"revision":1,"world":"role-authorization","policy":"{policy}","digest":"{0}",
            "mode":"shadow","settings":"{0}","request":{{"authorization":{{"action":"ReadSecret"}}}},
            "answer":{{"decision":{{"deny":{{"message":"not now"}}}}}},"fuel":7,"duration-us":3}}"#,
            rbac()
        );
        world.decisions.record(serde_json::from_str(&record).unwrap());
    }
    let read = async |query: &str| {
        let answer = world.ask(Caller::Admin, "GET", &format!("/api/v2/decisions{query}"), "").await;
        let text = assert_described(&document(), "GET", "/api/v2/decisions", answer).await;
        serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
    };
    let all = read("").await;
    assert_eq!((&all["first"], &all["next"], &all["last"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!(all["records"][0]["answer"]["decision"]["deny"]["message"], "not now");
    let narrowed = read("?after=0&limit=1&policy=hours&verdict=deny").await;
    assert_eq!(narrowed["records"][0]["sequence"], 2);
    assert_eq!(read("?verdict=allow").await["records"], json!([]));
    assert_eq!(read("?after=2").await["records"], json!([]));
}

#[test]
fn the_matrix_has_every_endpoint_once() {
    let mut listed: Vec<&str> =
        ACCESS.iter().map(|(endpoint, _)| endpoint.split('?').next().unwrap()).collect();
    let mut routes: Vec<String> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    listed.sort_unstable();
    routes.sort_unstable();
    assert_eq!(listed, routes);
}
