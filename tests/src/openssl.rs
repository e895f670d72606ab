//! Certificates and signatures through openssl: not by our own code.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::coordinator::Coordinator;
use crate::curl::Request;
use crate::succeed;

/// The coordinator's certificates as files: intermediate and root, from `GET /quote`.
#[derive(Debug)]
pub struct Chain {
    /// PEM file.
    pub intermediate: PathBuf,
    /// PEM file.
    pub root: PathBuf,
}

impl Chain {
    /// Reads the chain and writes both files into `folder`.
    ///
    /// # Panics
    /// If the coordinator does not answer with two certificates.
    #[must_use]
    pub fn fetch(coordinator: &Coordinator, folder: &Path) -> Self {
        let data = Request::get(&coordinator.url("/quote")).send().data();
        let pem = data["Cert"].as_str().expect("the chain is text");
        let end = "-----END CERTIFICATE-----\n";
        let (first, rest) = pem.split_once(end).expect("the chain has two certificates");
        let (intermediate, root) = (folder.join("intermediate.pem"), folder.join("root.pem"));
        std::fs::write(&intermediate, format!("{first}{end}")).expect("writing the intermediate");
        std::fs::write(&root, rest).expect("writing the root");
        Self { intermediate, root }
    }
}

/// Verifies an ECDSA signature over SHA-256 of the message with the coordinator's root key (lifecycle.md section 10).
///
/// # Panics
/// If it does not verify.
pub fn verify_with_root(coordinator: &Coordinator, signature: &[u8], message: &[u8]) {
    let folder = tempfile::tempdir().expect("making a folder");
    let chain = Chain::fetch(coordinator, folder.path());
    let [key, sig, msg] = ["root.pub", "sig", "msg"].map(|name| folder.path().join(name));
    let public = succeed(Command::new("openssl").args(["x509", "-pubkey", "-noout", "-in"]).arg(&chain.root));
    std::fs::write(&key, public).expect("writing the key");
    std::fs::write(&sig, signature).expect("writing the signature");
    std::fs::write(&msg, message).expect("writing the message");
    let mut verify = Command::new("openssl");
    verify.args(["dgst", "-sha256", "-verify"]).arg(&key).arg("-signature").arg(&sig).arg(&msg);
    assert!(succeed(&mut verify).contains("Verified OK"));
}
