//! The manifests and users that rows are measured with.

use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Map, Value, json};

use super::tls::Identity;

/// The Marble type of every manifest: one templated file with one shared secret.
pub(crate) const MARBLE_TYPE: &str = "svc";

/// A user who may read the secret of [`secret_path`].
pub(crate) struct Reader {
    /// For the connection.
    pub(crate) identity: Identity,
    /// The certificate, for the manifest.
    pub(crate) pem: String,
}

impl Reader {
    /// A new key and certificate.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making the user's key")?;
        let params = CertificateParams::new(vec!["reader".to_owned()]);
        let certificate =
            params.and_then(|params| params.self_signed(&key)).context("making the user's certificate")?;
        let pem = certificate.pem();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self { identity: Identity { certificate: certificate.der().clone(), key }, pem })
    }
}

/// Where the reader reads one secret.
pub(crate) fn secret_path() -> String {
    format!("/api/v2/secrets?s={}", shared_secret(0))
}

/// A manifest with so many shared secrets (at least one), a Marble type that uses the first, and a reader of it.
pub(crate) fn with_secrets(secrets: usize, reader: &Reader) -> Value {
    let definition = json!({ "Type": "symmetric-key", "Size": 128, "Shared": true });
    let secrets: Map<String, Value> =
        (0..secrets.max(1)).map(|index| (shared_secret(index), definition.clone())).collect();
    let first = shared_secret(0);
    json!({
        "Packages": { "pkg": { "Debug": true } },
        "Marbles": { MARBLE_TYPE: { "Package": "pkg", "Parameters": {
            "Files": { "/etc/svc.conf": format!("key = {{{{ hex .Secrets.{first} }}}}\n") },
            "Argv": ["svc", "--config", "/etc/svc.conf"],
        } } },
        "Secrets": secrets,
        "Users": { "reader": { "Certificate": reader.pem, "Roles": ["reading"] } },
        "Roles": { "reading": {
            "ResourceType": "Secrets", "ResourceNames": [first], "Actions": ["ReadSecret"],
        } },
    })
}

/// The same with so many private RSA-2048 secrets that nothing uses.
pub(crate) fn with_unused_rsa(secrets: usize, unused: usize, reader: &Reader) -> Value {
    let mut manifest = with_secrets(secrets, reader);
    if let Some(all) = manifest.get_mut("Secrets").and_then(Value::as_object_mut) {
        let definition = json!({ "Type": "cert-rsa", "Size": 2048 });
        all.extend((0..unused).map(|index| (format!("unused_{index:02}"), definition.clone())));
    }
    manifest
}

/// The same with so many user-defined secrets that the reader may write, and with monotonic counters.
pub(crate) fn with_writable(secrets: usize, writable: usize, reader: &Reader) -> Value {
    let mut manifest = with_secrets(secrets, reader);
    let names: Vec<String> = (0..writable).map(user_defined).collect();
    if let Some(all) = manifest.get_mut("Secrets").and_then(Value::as_object_mut) {
        let definition = json!({ "Type": "symmetric-key", "Size": 128, "UserDefined": true });
        all.extend(names.iter().map(|name| (name.clone(), definition.clone())));
    }
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.insert("Config".to_owned(), json!({ "FeatureGates": ["MonotonicCounter"] }));
    }
    let role = json!({ "ResourceType": "Secrets", "ResourceNames": names, "Actions": ["WriteSecret"] });
    if let Some(roles) = manifest.get_mut("Roles").and_then(Value::as_object_mut) {
        roles.insert("writing".to_owned(), role);
    }
    if let Some(held) = manifest.pointer_mut("/Users/reader/Roles").and_then(Value::as_array_mut) {
        held.push(Value::from("writing"));
    }
    manifest
}

/// An upload of so many of them.
pub(crate) fn upload(secrets: usize) -> Value {
    let secrets: Map<String, Value> = (0..secrets)
        .map(|index| (user_defined(index), json!({ "Key": "AAECAwQFBgcICQoLDA0ODw==" })))
        .collect();
    json!({ "secrets": secrets })
}

/// A manifest of about so many bytes in which packages, Marbles, files, secrets, users and roles take their shares.
pub(crate) fn of_size(bytes: usize) -> Value {
    /// What one package with its Marble, secrets and role takes.
    const UNIT_BYTES: usize = 720;
    let mut sections = ["Packages", "Marbles", "Secrets", "Roles"].map(|name| (name, Map::new()));
    for index in 0..(bytes / UNIT_BYTES).max(1) {
        let units = unit(index);
        for ((_, section), (key, value)) in sections.iter_mut().zip(units) {
            section.insert(key, value);
        }
    }
    sections.into_iter().map(|(name, section)| (name.to_owned(), Value::from(section))).collect()
}

/// An entry of each section.
fn unit(index: usize) -> [(String, Value); 4] {
    let (package, secret) = (format!("package_{index:05}"), format!("secret_{index:05}"));
    let certificate = json!({ "Subject": { "CommonName": secret }, "DNSNames": ["svc.example"], "IPAddresses": ["10.0.0.1"] });
    [
        (
            package.clone(),
            json!({ "SignerID": "0123456789abcdef".repeat(4), "ProductID": index, "SecurityVersion": 3 }),
        ),
        (
            format!("marble_{index:05}"),
            json!({ "Package": package, "MaxActivations": 100, "Parameters": {
                "Files": { "/etc/app.conf": format!("key = {{{{ hex .Secrets.{secret} }}}}\nmode = strict\n") },
                "Env": { "APP_LOG": "info", "APP_CERT": format!("{{{{ pem .Secrets.{secret}.Cert }}}}") },
                "Argv": ["app", "--config", "/etc/app.conf"],
            } }),
        ),
        (
            secret.clone(),
            json!({ "Type": "cert-ecdsa", "Size": 256, "Shared": true, "ValidFor": 30, "Cert": certificate }),
        ),
        (
            format!("role_{index:05}"),
            json!({ "ResourceType": "Secrets", "ResourceNames": [secret], "Actions": ["ReadSecret"] }),
        ),
    ]
}

fn user_defined(index: usize) -> String {
    format!("written_{index:05}")
}

fn shared_secret(index: usize) -> String {
    format!("shared_{index:05}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_the_secrets_that_are_asked_for() {
        let reader = Reader::new().unwrap();
        let count = |manifest: Value| manifest["Secrets"].as_object().unwrap().len();
        assert_eq!(count(with_secrets(50, &reader)), 50);
        assert_eq!(count(with_secrets(0, &reader)), 1, "the Marble needs one");
        assert_eq!(count(with_unused_rsa(10, 10, &reader)), 20);
        assert_eq!(count(with_writable(10, 5, &reader)), 15);
        assert_eq!(upload(5)["secrets"].as_object().unwrap().len(), 5);
    }

    #[test]
    fn a_manifest_has_about_the_size_that_is_asked_for() {
        let size = of_size(100_000).to_string().len();
        assert!((90_000..=110_000).contains(&size), "{size}");
    }
}
