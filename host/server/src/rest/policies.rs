//! POST policies, GET policies and GET policies/{digest}: components of policies by their content. Who may read the manifest, that
//! is everybody, may read the code that rules the coordinator.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use carrara_core::outcome::PolicyListing;
use carrara_core::ports::ComponentInfo;
use carrara_types::policy::{Digest, World};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use serde::Serialize;

use super::{Call, Response, success};
use crate::problem::Failure;

/// What was sent.
#[derive(Serialize)]
struct Pushed {
    digest: String,
    worlds: Vec<&'static str>,
    size: usize,
}

#[derive(Serialize)]
struct Listed {
    policies: Vec<Component>,
}

/// A component that the coordinator has or waits for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    digest: String,
    worlds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    built_in: Option<String>,
    /// Null where its bytes are not there.
    size: Option<u64>,
    used_by: Vec<String>,
    pending: Vec<String>,
}

/// Who may not is told so before the body is read.
pub(super) async fn push(call: &mut Call) -> Result<Response, Failure> {
    let permission =
        call.api.coordinator.permit_upload(call.peer.der()).await.map_err(Failure::UploadPolicy)?;
    let mut body = call.body(call.api.limits.policy_bytes()).await?;
    let component = body.take();
    let pushed = call.api.coordinator.upload_policy(permission, component).await;
    success(shown(&pushed.map_err(Failure::UploadPolicy)?))
}

pub(super) async fn list(call: &mut Call) -> Result<Response, Failure> {
    let listed = call.api.coordinator.list_policies().await.map_err(Failure::Manifest)?;
    success(Listed { policies: listed.into_iter().map(component).collect() })
}

/// No envelope: the bytes alone, which never change.
pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    let digest = digest(&call.parameter)?;
    // The answer is counted as a long one as soon as it is there; what is made of it before is limited here.
    let api = Arc::clone(&call.api);
    let _reader = api.component_readers.try_acquire().map_err(|_| Failure::AnswersFull)?;
    let _reading = api.component_readings.acquire().await.map_err(|_| Failure::AnswersFull)?;
    let component = match api.coordinator.policy_component(&digest).await.map_err(Failure::Manifest)? {
        None => return Err(Failure::NoComponent),
        Some(Cow::Borrowed(own)) => Bytes::from_static(own),
        Some(Cow::Owned(bytes)) => Bytes::from(bytes),
    };
    let mut response = Response::new(component.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/wasm"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{digest}\"")) {
        headers.insert(ETAG, tag);
    }
    Ok(response)
}

/// As a path names it; some clients escape the colon.
fn digest(parameter: &str) -> Result<Digest, Failure> {
    let text = parameter.replacen("%3A", ":", 1).replacen("%3a", ":", 1);
    text.parse().map_err(|error| Failure::Query(format!("invalid path: {error}")))
}

fn names(worlds: &[World]) -> Vec<&'static str> {
    worlds.iter().map(|world| world.name()).collect()
}

fn shown(pushed: &ComponentInfo) -> Pushed {
    Pushed { digest: pushed.digest.to_string(), worlds: names(&pushed.worlds), size: pushed.size }
}

fn component(listing: PolicyListing) -> Component {
    let PolicyListing { digest, worlds, built_in, size, used_by, pending } = listing;
    Component { digest: digest.to_string(), worlds: names(&worlds), built_in, size, used_by, pending }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(crate::json::to_vec(value, 0).unwrap()).unwrap()
    }

    #[test]
    fn a_component_is_named_by_its_digest_with_or_without_an_escaped_colon() {
        let hex = "ab".repeat(32);
        for colon in [":", "%3A", "%3a"] {
            assert_eq!(digest(&format!("sha256{colon}{hex}")).unwrap(), Digest([0xab; 32]));
        }
        for wrong in
            [hex.clone(), format!("sha256:{}", hex.to_uppercase()), String::new(), "sha256:".to_owned()]
        {
            assert!(matches!(digest(&wrong), Err(Failure::Query(_))), "{wrong}");
        }
    }

    #[test]
    fn what_was_sent_is_told_with_its_worlds() {
        let pushed = ComponentInfo { digest: Digest([0; 32]), worlds: vec![World::MarbleAdmission], size: 5 };
        let expected = format!(
            "{{\"digest\":\"sha256:{}\",\"worlds\":[\"marble-admission\"],\"size\":5}}\n",
            "00".repeat(32)
        );
        assert_eq!(text(&shown(&pushed)), expected);
    }

    #[test]
    fn a_component_that_is_lost_has_no_size() {
        let listing = PolicyListing {
            digest: Digest([0; 32]),
            worlds: Vec::new(),
            built_in: None,
            size: None,
            used_by: vec!["a".to_owned()],
            pending: Vec::new(),
        };
        let text = text(&component(listing));
        assert!(
            text.contains("\"size\":null,\"usedBy\":[\"a\"],\"pending\":[]") && !text.contains("builtIn"),
            "{text}"
        );
    }
}
