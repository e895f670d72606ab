//! Both versions of the Client API through curl: the calls that change something, and what they leave behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::coordinator::Coordinator;
use crate::curl::{Answer, Request};
use crate::users::User;

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `/update`: manifests as they are, nothing around secrets.
    V1,
    /// `/api/v2/update`: everything in an object.
    V2,
}

/// Both, for tests that hold for either.
pub const BOTH: [Version; 2] = [Version::V1, Version::V2];

impl Version {
    /// The path of an endpoint that both versions have, such as `/update`.
    #[must_use]
    pub fn path(self, endpoint: &str) -> String {
        match self {
            Self::V1 => endpoint.to_owned(),
            Self::V2 => format!("/api/v2{endpoint}"),
        }
    }

    /// The status of a failure that no rule gives its own: 400 in version 1, 500 in version 2.
    #[must_use]
    pub fn failure(self) -> u16 {
        match self {
            Self::V1 => 400,
            Self::V2 => 500,
        }
    }

    /// The status word of a refused body, query or certificate.
    #[must_use]
    pub fn refusal(self) -> &'static str {
        match self {
            Self::V1 => "error",
            Self::V2 => "fail",
        }
    }

    /// A body with a manifest, byte for byte.
    #[must_use]
    pub fn manifest(self, manifest: &str) -> String {
        match self {
            Self::V1 => manifest.to_owned(),
            Self::V2 => json!({ "manifest": STANDARD.encode(manifest) }).to_string(),
        }
    }

    /// A body with secrets.
    #[must_use]
    pub fn secrets(self, secrets: &Value) -> String {
        match self {
            Self::V1 => secrets.to_string(),
            Self::V2 => json!({ "secrets": secrets }).to_string(),
        }
    }
}

/// GET by nobody.
#[must_use]
pub fn get(coordinator: &Coordinator, path: &str) -> Answer {
    Request::get(&coordinator.url(path)).send()
}

/// GET by a user.
#[must_use]
pub fn get_as(coordinator: &Coordinator, user: &User, path: &str) -> Answer {
    Request::get(&coordinator.url(path)).as_user(user).send()
}

/// POST by a user, or by a Marble with its certificate.
#[must_use]
pub fn post_as(coordinator: &Coordinator, user: &User, path: &str, body: impl AsRef<[u8]>) -> Answer {
    Request::post(&coordinator.url(path), body).as_user(user).send()
}

/// POST by nobody.
#[must_use]
pub fn post(coordinator: &Coordinator, path: &str, body: impl AsRef<[u8]>) -> Answer {
    Request::post(&coordinator.url(path), body).send()
}

/// Sets the first manifest.
///
/// # Panics
/// If it is refused.
pub fn set(coordinator: &Coordinator, manifest: &Value) {
    let answer = post(coordinator, "/manifest", manifest.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// POST /update.
#[must_use]
pub fn update(coordinator: &Coordinator, version: Version, user: &User, manifest: &Value) -> Answer {
    post_as(coordinator, user, &version.path("/update"), version.manifest(&manifest.to_string()))
}

/// POST /update-manifest.
#[must_use]
pub fn acknowledge(coordinator: &Coordinator, version: Version, user: &User, manifest: &Value) -> Answer {
    post_as(coordinator, user, &version.path("/update-manifest"), version.manifest(&manifest.to_string()))
}

/// POST /update-cancel.
#[must_use]
pub fn cancel(coordinator: &Coordinator, version: Version, user: &User) -> Answer {
    post_as(coordinator, user, &version.path("/update-cancel"), "")
}

/// POST /secrets.
#[must_use]
pub fn upload(coordinator: &Coordinator, version: Version, user: &User, secrets: &Value) -> Answer {
    post_as(coordinator, user, &version.path("/secrets"), version.secrets(secrets))
}

/// One secret as a user reads it.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn secret(coordinator: &Coordinator, user: &User, name: &str) -> Value {
    let answer = get_as(coordinator, user, &format!("/api/v2/secrets?s={name}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.data()["secrets"][name].clone()
}

/// The update log's lines as objects.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn log(coordinator: &Coordinator) -> Vec<Value> {
    let lines = log_lines(coordinator);
    lines.iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The update log's lines, exactly.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn log_lines(coordinator: &Coordinator) -> Vec<String> {
    let answer = get(coordinator, "/api/v2/update");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.data();
    let lines = data["updateLog"].as_array().expect("the log is a list");
    lines.iter().map(|line| line.as_str().expect("a line is text").to_owned()).collect()
}

/// The manifest in force: its bytes and its fingerprint.
///
/// # Panics
/// If none is set.
#[must_use]
pub fn manifest(coordinator: &Coordinator) -> (String, String) {
    let data = get(coordinator, "/api/v2/manifest").data();
    let bytes = STANDARD.decode(data["manifest"].as_str().expect("a manifest is set")).expect("it is base64");
    let fingerprint = data["manifestFingerprint"].as_str().expect("it has a fingerprint").to_owned();
    (String::from_utf8(bytes).expect("it is text"), fingerprint)
}
