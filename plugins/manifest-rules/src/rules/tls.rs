//! Transparent TLS (M-40, M-42..M-44): every tag, used by a Marble or not (M-44a). That a certificate's secret exists
//! (M-41) is checked by the host.

use carrara_types::decision::Finding;
use carrara_types::manifest::{ParsedManifest, TlsEntry};

use super::{error, pointer};

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    for (tag, connections) in &manifest.tls {
        for (index, entry) in connections.incoming.iter().enumerate() {
            incoming(tag, index, entry, found);
        }
        for (index, entry) in connections.outgoing.iter().enumerate() {
            outgoing(tag, index, entry, found);
        }
    }
}

fn incoming(tag: &str, index: usize, entry: &TlsEntry, found: &mut Vec<Finding>) {
    let path = || pointer(&["TLS", tag, "Incoming", &index.to_string()]);
    if entry.port.is_empty() {
        let message = format!("manifest misses Port in TLS.Incoming.{tag}");
        found.push(error("M-40", path(), message, "give the port to listen on, as a string"));
    }
    if !entry.cert.is_empty() && !entry.disable_client_auth {
        let message = format!("TLS.Incoming.{tag} defines Cert but does not disable client authentication");
        let hint = "set DisableClientAuth to true, or remove Cert to have clients authenticated as Marbles";
        found.push(error("M-42", path(), message, hint));
    }
    if entry.cert.is_empty() && entry.disable_client_auth {
        let message = format!("TLS.Incoming.{tag} disables client authentication");
        let hint = "name a certificate secret in Cert, or remove DisableClientAuth";
        found.push(error("M-43", path(), message, hint));
    }
}

fn outgoing(tag: &str, index: usize, entry: &TlsEntry, found: &mut Vec<Finding>) {
    let path = || pointer(&["TLS", tag, "Outgoing", &index.to_string()]);
    if entry.addr.is_empty() {
        let message = format!("manifest misses Addr in TLS.Outgoing.{tag}");
        found.push(error("M-44", path(), message, "give the host to connect to"));
    }
    if entry.port.is_empty() {
        let message = format!("manifest misses Port in TLS.Outgoing.{tag}");
        found.push(error("M-44", path(), message, "give the port to connect to, as a string"));
    }
}
