//! Any request to the clients' port of an open coordinator. The input's first line is `METHOD TARGET CALLER`, then headers
//! up to an empty line, then the body.

use carrara_server::fuzzing;

use super::shared::with_world;
use crate::world::{self, World};

pub(super) fn run(input: &[u8]) {
    with_world(|world| ask(world, input).is_none_or(|(method, status, _)| method == "GET" || status >= 300));
}

/// Method, status and body.
pub(super) fn ask(world: &World, input: &[u8]) -> Option<(String, u16, Vec<u8>)> {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target, caller) = parts(first)?;
    let mut rest = lines.next().unwrap_or_default();
    let mut headers = Vec::new();
    while let Some((line, after)) = split_line(rest).filter(|(line, _)| !line.is_empty() && headers.len() < 8) {
        rest = after;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        headers.push((std::str::from_utf8(name).ok()?, value.get(1..).unwrap_or_default()));
    }
    let body = rest.strip_prefix(b"\n").unwrap_or(rest);
    let certificate = world.certificate(caller);
    let request = fuzzing::Request { method, target, headers: &headers, certificate: certificate.as_deref(), body };
    let (status, answer) = world.wait(world.server.rest(&request))?;
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains(fuzzing::panic_message()), "{status} {text}");
    assert!((200..600).contains(&status), "{status}");
    if method != "HEAD" && !answer.is_empty() && !target.contains("openapi") {
        serde_json::from_slice::<serde::de::IgnoredAny>(&answer).expect("every answer is JSON");
    }
    Some((method.to_owned(), status, answer))
}

fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.split(' ');
    let parts = (words.next()?, words.next()?, words.next().unwrap_or_default());
    (!parts.1.is_empty()).then_some(parts)
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = text.split_at(end);
    Some((line, rest.get(1..).unwrap_or_default()))
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let manifest = world::manifest();
    let changed = manifest.replace("-v", "-vv");
    let escaped = |text: &str| serde_json::to_string(text).expect("JSON");
    let package = r#"{"Packages":{"app":{"SecurityVersion":5}}}"#;
    let mut seeds: Vec<String> = [
        "GET /status nobody\n\n",
        "GET /api/v2/status nobody\n\n",
        "GET /quote?nonce=AQID nobody\n\n",
        "GET /api/v2/quote?nonce=AQID nobody\n\n",
        "GET /manifest nobody\n\n",
        "GET /api/v2/manifest nobody\n\n",
        "GET /secrets?s=token&s=shared admin\n\n",
        "GET /api/v2/secrets?s=shared&s=%73hared&s=a+b second\n\n",
        "GET /update nobody\n\n",
        "GET /api/v2/update?from=0&limit=2 nobody\n\n",
        "GET /api/v2/update/head?from=1 nobody\n\n",
        "GET /api/v2/update-manifest nobody\n\n",
        "GET /api/v2/audit?from=0&limit=3 admin\n\n",
        "GET /api/v2/openapi.json nobody\n\n",
        "GET /api/v2/recover/public-key nobody\n\n",
        "HEAD /status nobody\n\n",
        "PUT /nowhere garbage\nX-Header: y\n\nbody",
        "POST /api/v2/sign-quote nobody\n\n{\"sgxQuote\":\"AQID\"}",
        "POST /api/v2/monotonic-counter marble\n\n{\"name\":\"n\",\"value\":7}",
        "POST /api/v2/secrets admin\n\n{\"secrets\":{\"token\":{\"Key\":\"AQID\"}}}",
        "POST /secrets second\n\n{\"token\":{\"Key\":[1,2,3]},\"upload\":{\"Key\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
        "POST /secrets admin\n\n{\"certificate\":{\"Cert\":\"MAMCAQE=\",\"Private\":\"AQ==\"},\"x\":null}",
        "POST /secrets guest\n\n{\"token\":{\"Key\":\"AQ==\"}}",
        "POST /api/v2/secrets nobody\n\n{}",
        "POST /api/v2/update-cancel admin\n\n",
        "POST /update-cancel second\n\n",
        "POST /recover nobody\nRecovery-Signature: AQID\n\n[1,2,3]",
        "POST /api/v2/recover nobody\n\n{\"recoverySecret\":\"AQID\",\"recoverySecretSignature\":\"AQID\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    seeds.extend([
        format!("POST /update admin\n\n{package}"),
        format!("POST /api/v2/update admin\n\n{{\"manifest\":{}}}", escaped(package)),
        format!("POST /api/v2/update admin\n\n{package}"),
        format!("POST /update second\n\n{changed}"),
        format!("POST /api/v2/update-manifest admin\n\n{changed}"),
        format!("POST /api/v2/manifest nobody\n\n{{\"manifest\":{}}}", escaped(&manifest)),
        format!("POST /manifest nobody\n\n{manifest}"),
    ]);
    seeds.into_iter().map(String::into_bytes).collect()
}
