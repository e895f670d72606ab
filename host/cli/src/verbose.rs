//! `--verbose`: what is asked where, how long it takes, and what the coordinator's log calls it. Never a body: secrets
//! are among them.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use carrara_client::{Address, Client, ClientError, Observer, Trust};
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};

use crate::output::remark;

/// From here on also as whom we ask and whom we trust.
const IDENTITIES: u8 = 2;

/// Tells about requests on stderr.
struct Narrator {
    address: String,
    level: u8,
    began: Mutex<Instant>,
}

/// A client that tells about its requests, if that is wanted.
pub(crate) fn watched(client: Client, address: &Address, level: u8) -> Client {
    if level == 0 {
        return client;
    }
    if level >= IDENTITIES {
        match client.trust() {
            Trust::Insecure => remark("* trusting any server"),
            Trust::Root(root) => {
                remark(&format!("* trusting the root certificate SHA-256 {}", hash(root.as_ref())))
            }
        }
    }
    let began = Mutex::new(Instant::now());
    client.with_observer(Arc::new(Narrator { address: address.to_string(), level, began }))
}

/// Tells as which user requests are made.
pub(crate) fn introduce(certificate: &[u8], level: u8) {
    if level >= IDENTITIES {
        remark(&format!("* as the user with the certificate SHA-256 {}", hash(certificate)));
    }
}

fn hash(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

impl Narrator {
    fn elapsed_ms(&self) -> u128 {
        self.began.lock().map(|began| began.elapsed().as_millis()).unwrap_or_default()
    }
}

impl Observer for Narrator {
    fn asking(&self, method: &Method, target: &str, body_bytes: usize) {
        if let Ok(mut began) = self.began.lock() {
            *began = Instant::now();
        }
        let body = if body_bytes > 0 { format!(", {body_bytes} bytes") } else { String::new() };
        remark(&format!("> {method} https://{}{target}{body}", self.address));
    }

    fn connected(&self, protocol: &str) {
        if self.level >= IDENTITIES {
            remark(&format!("* {protocol} after {} ms", self.elapsed_ms()));
        }
    }

    fn answered(&self, code: StatusCode, body_bytes: usize, request_id: Option<&str>) {
        let id = request_id.map(|id| format!(", request {id}")).unwrap_or_default();
        remark(&format!("< {} after {} ms, {body_bytes} bytes{id}", code.as_u16(), self.elapsed_ms()));
    }

    fn failed(&self, _: &ClientError) {
        // The error itself is told at the end.
        remark(&format!("< no answer after {} ms", self.elapsed_ms()));
    }
}
