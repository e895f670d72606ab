//! M-40..M-45.

use super::*;

fn incoming(entry: Value) -> Value {
    with(&["TLS"], json!({ "tag": { "Incoming": [entry] } }))
}

fn outgoing(entry: Value) -> Value {
    with(&["TLS"], json!({ "tag": { "Outgoing": [entry] } }))
}

// M-40
#[test]
fn an_incoming_connection_needs_a_port() {
    let text = "manifest misses Port in TLS.Incoming.tag";
    assert_refused(&incoming(json!({ "Addr": "host" })), "M-40", "/TLS/tag/Incoming/0", text);
    assert_accepted(&incoming(json!({ "Port": "80" })));
}

// M-41
#[test]
fn an_incoming_certificate_is_a_secret_of_the_manifest() {
    let entry = |cert: &str| incoming(json!({ "Port": "80", "Cert": cert, "DisableClientAuth": true }));
    let text = "TLS.Incoming.tag references undefined secret nowhere";
    assert_eq!(found(Severity::Error, "M-41", &entry("nowhere"))[0].1, text);
    assert_accepted(&entry("cert"));
}

// M-42
#[test]
fn an_own_certificate_needs_client_authentication_disabled() {
    let entry =
        |disabled: bool| incoming(json!({ "Port": "80", "Cert": "cert", "DisableClientAuth": disabled }));
    let text = "TLS.Incoming.tag defines Cert but does not disable client authentication";
    assert_refused(&entry(false), "M-42", "/TLS/tag/Incoming/0", text);
    assert_accepted(&entry(true));
}

// M-43
#[test]
fn client_authentication_is_disabled_only_with_an_own_certificate() {
    let entry = |cert: &str| incoming(json!({ "Port": "80", "Cert": cert, "DisableClientAuth": true }));
    let text = "TLS.Incoming.tag disables client authentication";
    assert_refused(&entry(""), "M-43", "/TLS/tag/Incoming/0", text);
    assert_accepted(&entry("cert"));
}

// M-44
#[test]
fn an_outgoing_connection_needs_an_address_and_a_port() {
    let no_addr = "manifest misses Addr in TLS.Outgoing.tag";
    let no_port = "manifest misses Port in TLS.Outgoing.tag";
    assert_refused(&outgoing(json!({ "Port": "80" })), "M-44", "/TLS/tag/Outgoing/0", no_addr);
    assert_refused(&outgoing(json!({ "Addr": "host" })), "M-44", "/TLS/tag/Outgoing/0", no_port);
    let messages: Vec<String> = found(Severity::Error, "M-44", &outgoing(json!({})))
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    assert_eq!(messages, [no_addr, no_port]);
    assert_accepted(&outgoing(json!({ "Addr": "host", "Port": "80" })));
}

// M-44a
#[test]
fn every_entry_of_every_tag_is_checked_whether_a_marble_uses_it_or_not() {
    let good = json!({ "Addr": "host", "Port": "80" });
    let tags = json!({ "used": { "Outgoing": [good, {}] }, "un/used": { "Outgoing": [good, good, {}] } });
    let mut manifest = with(&["TLS"], tags);
    manifest["Marbles"]["api"]["TLS"] = json!(["used"]);
    let mut places: Vec<String> =
        found(Severity::Error, "M-44", &manifest).into_iter().map(|(path, _)| path).collect();
    places.dedup();
    assert_eq!(places, ["/TLS/un~1used/Outgoing/2", "/TLS/used/Outgoing/1"]);
}

// M-45
#[test]
fn port_ranges_and_outgoing_certificates_are_not_checked() {
    assert_accepted(&incoming(json!({ "Port": "no port", "Addr": "ignored" })));
    assert_accepted(&incoming(json!({ "Port": "80", "Cert": "shared", "DisableClientAuth": true })));
    assert_accepted(&outgoing(json!({ "Port": "99999", "Addr": "host", "Cert": "nowhere" })));
}
