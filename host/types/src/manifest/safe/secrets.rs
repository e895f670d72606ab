//! Definitions of secrets that can be generated: types and sizes (M-70, S-10..S-14, S-23), and how much of it all
//! together: anybody may set the first manifest, so that its work and memory have limits of their own.

use super::Found;
use crate::decision::Severity;
use crate::manifest::{ParsedManifest, SecretDefinition, SecretKind};

/// HKDF-SHA256 gives no more (S-23): 255 * 32 bytes.
const MAX_DERIVED_BITS: u64 = 255 * 32 * 8;

/// A shared key is random bytes that every answer and commit carries: 1 MiB is beyond any use.
const MAX_SHARED_BITS: u64 = 8 << 20;

/// Making a larger RSA key takes longer than a request may.
const MAX_RSA_BITS: u64 = 8192;

/// Five times as many as any installation that was measured; beyond it a manifest only costs time and memory.
const MAX_SECRETS: usize = 50_000;

/// All shared keys together. A commit holds each several times over: as value, record and ciphertext.
const MAX_SHARED_TOTAL_BITS: u64 = 16 * MAX_SHARED_BITS;

/// All RSA keys together, each with the cube of its kilobits, as the time to make it grows: half a minute on one core,
/// within a request's time. As much as 256 keys of 2048 bits or 4 of 8192.
const MAX_RSA_WORK: u64 = 2048;

/// Certificates end in the year 9999 (RFC 5280, section 4.1.2.5): about as many days from 1970.
const MAX_VALID_DAYS: u64 = 2_900_000;

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Found) {
    for (name, secret) in &manifest.secrets {
        if let SecretKind::Unknown(kind) = &secret.kind {
            let known = "known types: symmetric-key, cert-rsa, cert-ecdsa, cert-ed25519, plain";
            let message = format!("unknown type: {kind} for secret: {name}");
            found.add(Severity::Error, "M-70", &["Secrets", name, "Type"], message, known);
        } else if !secret.user_defined {
            judge_generated(name, secret, found);
        }
    }
    judge_totals(manifest, found);
}

fn judge_totals(manifest: &ParsedManifest, found: &mut Found) {
    let (mut shared_bits, mut rsa_work) = (0_u64, 0_u64);
    for secret in manifest.secrets.values().filter(|secret| !secret.user_defined) {
        // What is refused on its own does not count again.
        match secret.kind {
            SecretKind::SymmetricKey if secret.shared && secret.size <= MAX_SHARED_BITS => {
                shared_bits = shared_bits.saturating_add(secret.size);
            }
            SecretKind::CertRsa if secret.size <= MAX_RSA_BITS => {
                rsa_work = rsa_work.saturating_add(secret.size.div_ceil(1024).saturating_pow(3));
            }
            _ => {}
        }
    }
    let mut refuse = |code: &str, message: String, hint: &str| {
        found.add(Severity::Error, code, &["Secrets"], message, hint);
    };
    if manifest.secrets.len() > MAX_SECRETS {
        let message = format!("too many secrets: {}, and at most {MAX_SECRETS}", manifest.secrets.len());
        refuse("M-78", message, "give fewer secrets");
    }
    if shared_bits > MAX_SHARED_TOTAL_BITS {
        let message =
            format!("the shared symmetric keys are too long: together at most {MAX_SHARED_TOTAL_BITS} bits");
        refuse("S-10", message, "give fewer or shorter keys");
    }
    if rsa_work > MAX_RSA_WORK {
        let message =
            "the RSA keys take too long to make: at most as many as 256 keys of 2048 bits or 4 of 8192";
        refuse("S-11", message.to_owned(), "give fewer or shorter RSA keys, or use cert-ecdsa");
    }
}

fn judge_generated(name: &str, secret: &SecretDefinition, found: &mut Found) {
    let size = secret.size;
    let (code, reason, hint) = match &secret.kind {
        SecretKind::SymmetricKey => return judge_key(name, secret, found),
        SecretKind::CertRsa if (1024..=MAX_RSA_BITS).contains(&size) => {
            return judge_life(name, secret, found);
        }
        SecretKind::CertRsa => {
            ("S-11", format!("unsupported size {size}"), "give Size from 1024 to 8192 bits")
        }
        SecretKind::CertEd25519 if size == 0 => return judge_life(name, secret, found),
        SecretKind::CertEd25519 => ("S-12", format!("none is expected, got: {size}"), "leave Size out"),
        SecretKind::CertEcdsa if matches!(size, 224 | 256 | 384 | 521) => {
            return judge_life(name, secret, found);
        }
        SecretKind::CertEcdsa => (
            "S-13",
            format!("unsupported size {size}: does not map to a supported curve"),
            "give Size 224, 256, 384 or 521",
        ),
        SecretKind::Plain | SecretKind::Unknown(_) => {
            let message = format!("secret {name} is invalid: unsupported secret of type plain");
            let hint = "plain secrets need UserDefined";
            return found.add(Severity::Error, "S-14", &["Secrets", name, "Type"], message, hint);
        }
    };
    let message = format!("invalid secret size for {} secret {name}: {reason}", secret.kind.name());
    found.add(Severity::Error, code, &["Secrets", name, "Size"], message, hint);
}

fn judge_key(name: &str, secret: &SecretDefinition, found: &mut Found) {
    let size = secret.size;
    let limit = if secret.shared { MAX_SHARED_BITS } else { MAX_DERIVED_BITS };
    let (code, hint) = if size == 0 || !size.is_multiple_of(8) {
        ("S-10", "give Size in bits: a multiple of 8, at least 8".to_owned())
    } else if size > limit {
        (if secret.shared { "S-10" } else { "S-23" }, format!("give a Size of at most {limit} bits"))
    } else {
        return;
    };
    found.add(
        Severity::Error,
        code,
        &["Secrets", name, "Size"],
        format!("invalid secret size: {name}"),
        &hint,
    );
}

fn judge_life(name: &str, secret: &SecretDefinition, found: &mut Found) {
    if secret.valid_for > MAX_VALID_DAYS {
        let message =
            format!("secret {name} is invalid: its certificate would be valid beyond the year 9999");
        found.add(Severity::Error, "M-78", &["Secrets", name, "ValidFor"], message, "ValidFor counts days");
    }
}
