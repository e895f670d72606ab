//! Who takes part, and their manifests. Keys and certificates are made once and serve for every state.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};
use uuid::Uuid;

use super::model::counters::MARBLES;
use super::model::secrets::SECRETS;
use super::model::updates::Version;
use crate::bench::manifests::Reader;

/// The type whose activations are counted.
pub(crate) const COUNTED: &str = "counted";

/// The type that has counters.
pub(crate) const KEEPER: &str = "keeper";

/// The package whose version is raised.
pub(crate) const PACKAGE: &str = "signed";

/// A secret that the coordinator makes, and which stays what it is.
pub(crate) const GENERATED: &str = "generated";

/// Everybody.
pub(crate) struct World {
    /// May do everything.
    pub(crate) owner: Reader,
    /// UUIDs of the Marbles with counters.
    pub(crate) keepers: [Uuid; MARBLES],
    recovery: [RecoveryKey; 2],
}

struct RecoveryKey {
    private: OaepPrivateDecryptingKey,
    public: String,
}

impl World {
    /// New keys.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let recovery = [RecoveryKey::new()?, RecoveryKey::new()?];
        Ok(Self { owner: Reader::new()?, keepers: std::array::from_fn(|_| Uuid::new_v4()), recovery })
    }

    /// The manifest's exact text.
    pub(crate) fn manifest(&self, version: &Version) -> String {
        let public = self.recovery.get(version.recovery).map(|key| key.public.as_str());
        let mut secrets = Map::new();
        secrets.insert(GENERATED.to_owned(), json!({ "Type": "symmetric-key", "Size": 128, "Shared": true }));
        secrets
            .insert("certificate".to_owned(), json!({ "Type": "cert-ecdsa", "Size": 256, "Shared": true }));
        for index in 0..SECRETS {
            secrets.insert(secret(index), json!({ "Type": "plain", "UserDefined": true }));
        }
        let readable: Vec<String> = (0..SECRETS).map(secret).chain([GENERATED.to_owned()]).collect();
        let writable: Vec<String> = (0..SECRETS).map(secret).collect();
        let role = |kind: &str, names: Vec<String>, actions: &[&str]| json!({ "ResourceType": kind, "ResourceNames": names, "Actions": actions });
        json!({
            "Packages": {
                "pkg": { "Debug": true },
                PACKAGE: { "SignerID": "ab".repeat(32), "ProductID": 1, "SecurityVersion": version.package },
            },
            "Marbles": {
                COUNTED: { "Package": "pkg", "MaxActivations": version.limit, "Parameters": {
                    "Files": { "/etc/key": format!("{{{{ hex .Secrets.{GENERATED} }}}}") },
                    "Env": { "SERIAL": version.serial.to_string() },
                } },
                KEEPER: { "Package": "pkg", "Parameters": {
                    "Env": { "CERT": "{{ pem .Secrets.certificate.Cert }}" },
                } },
            },
            "Secrets": secrets,
            "Users": { "owner": {
                "Certificate": self.owner.pem,
                "Roles": ["updating", "packaging", "reading", "writing"],
            } },
            "Roles": {
                "updating": role("Manifest", Vec::new(), &["UpdateManifest", "ReadAudit"]),
                "packaging": role("Packages", vec![PACKAGE.to_owned()], &["UpdateSecurityVersion"]),
                "reading": role("Secrets", readable, &["ReadSecret"]),
                "writing": role("Secrets", writable, &["WriteSecret"]),
            },
            "RecoveryKeys": { "holder": public },
            "Config": {
                "FeatureGates": ["MonotonicCounter"],
                "SealMode": if version.unique { "UniqueKey" } else { "ProductKey" },
            },
        })
        .to_string()
    }

    /// What the holder of the recovery key makes of what she was given.
    pub(crate) fn recover(&self, version: &Version, encrypted: &[u8]) -> anyhow::Result<Vec<u8>> {
        let key = &self.recovery.get(version.recovery).context("no such recovery key")?.private;
        let mut plain = vec![0; key.min_output_size()];
        let secret = key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut plain, None);
        Ok(secret
            .map_err(|_| anyhow!("the recovery secret is not encrypted with the manifest's key"))?
            .to_vec())
    }
}

impl RecoveryKey {
    fn new() -> anyhow::Result<Self> {
        let failed = |_| anyhow!("making a recovery key");
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
        let der: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        let body = STANDARD.encode(der.as_ref());
        let public = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let private = OaepPrivateDecryptingKey::new(private).map_err(failed)?;
        Ok(Self { private, public })
    }
}

/// The name of a user-defined secret.
pub(crate) fn secret(index: usize) -> String {
    format!("written_{index:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::model::updates::Updates;

    #[test]
    fn no_two_versions_have_the_same_manifest() {
        let world = World::new().unwrap();
        let first = Updates::new().current().clone();
        let other = Version { serial: 1, ..first.clone() };
        assert_eq!(world.manifest(&first), world.manifest(&first));
        assert_ne!(world.manifest(&first), world.manifest(&other));
    }
}
