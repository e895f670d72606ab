//! What the tests of certificates share: a time, an authority, and the `openssl` command as the second opinion.

use std::path::Path;
use std::process::Command;

use carrara_types::manifest::secret::{SecretDefinition, SecretKind};
use rand_core::{OsRng, RngCore};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::authority::Authority;
use crate::certificate::certificate_pem;
use crate::ports::Entropy;

/// When the tests take place.
pub(crate) const NOW: OffsetDateTime = datetime!(2031-02-03 04:05:06 UTC);

/// The operating system's randomness.
pub(crate) struct Random;

impl Entropy for Random {
    fn fill(&self, buffer: &mut [u8]) {
        OsRng.fill_bytes(buffer);
    }
}

/// An authority with names of its own.
pub(crate) fn authority() -> Authority {
    let names = ["localhost", "coordinator.example", "10.1.2.3", "127.0.0.1"].map(str::to_owned);
    Authority::generate(&names, NOW, &Random).unwrap()
}

/// A private certificate secret without a template.
pub(crate) fn definition(kind: SecretKind, size: u64) -> SecretDefinition {
    SecretDefinition { kind, size, shared: false, user_defined: false, valid_for: 0, cert: None }
}

/// Runs `openssl` in a directory: its output, or its complaint.
pub(crate) fn openssl(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("these tests need the openssl command: install the package openssl");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What `openssl x509 -text` prints.
pub(crate) fn text(certificate: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.der"), certificate).unwrap();
    let arguments = ["x509", "-inform", "DER", "-in", "c.der", "-noout", "-text", "-nameopt", "RFC2253"];
    String::from_utf8(openssl(directory.path(), &arguments).unwrap()).unwrap()
}

/// Whether `openssl verify` builds a chain at [`NOW`] from the leaf to a root.
pub(crate) fn verify(leaf: &[u8], between: &[&[u8]], root: &[u8], options: &[&str]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let chain: String = between.iter().map(|der| certificate_pem(der)).collect();
    for (name, pem) in [("leaf", certificate_pem(leaf)), ("between", chain), ("root", certificate_pem(root))]
    {
        std::fs::write(directory.path().join(name), pem).unwrap();
    }
    let at = NOW.unix_timestamp().to_string();
    let mut arguments = vec!["verify", "-attime", &at, "-CAfile", "root"];
    if !between.is_empty() {
        arguments.extend_from_slice(&["-untrusted", "between"]);
    }
    arguments.extend_from_slice(options);
    arguments.push("leaf");
    openssl(directory.path(), &arguments).map(|_| ())
}
