//! Writes a manifest in its normal form: canonical field names in manifest.md's order, map keys sorted, no duplicates,
//! defaults left out, bytes as base64 strings.
//!
//! Validators read this and never the uploaded bytes. Invariant: reading it gives an equal manifest.

mod tee;
mod template;
mod writer;

use super::{
    Config, File, FileEncoding, Infrastructure, Marble, Package, Parameters, ParsedManifest, Role,
    SecretDefinition, TlsEntry, TlsTag, User,
};
use crate::encoding::encode_base64;
use crate::policy::{Mode, PolicyEntry};
pub(super) use writer::Writer;

pub(super) fn manifest(manifest: &ParsedManifest) -> String {
    let mut writer = Writer::default();
    writer.object(|w| {
        w.map("Packages", &manifest.packages, package);
        w.map("Infrastructures", &manifest.infrastructures, infrastructure);
        w.map("Marbles", &manifest.marbles, marble);
        w.map("Users", &manifest.users, user);
        w.map("Secrets", &manifest.secrets, secret);
        w.map("RecoveryKeys", &manifest.recovery_keys, |w, key| w.string(key));
        w.map("Roles", &manifest.roles, role);
        w.map("TLS", &manifest.tls, tls_tag);
        if manifest.config != Config::default() {
            w.field("Config", |w| config(w, &manifest.config));
        }
        w.map("Policies", &manifest.policies, policy);
    });
    writer.finish()
}

fn package(w: &mut Writer, package: &Package) {
    w.object(|w| {
        w.flag("Debug", package.debug);
        w.text("UniqueID", &package.unique_id);
        w.text("SignerID", &package.signer_id);
        w.optional("ProductID", package.product_id);
        w.optional("SecurityVersion", package.security_version);
        w.texts("AcceptedTCBStatuses", &package.accepted_tcb_statuses);
        w.texts("AcceptedAdvisories", &package.accepted_advisories);
        if let Some(tdx) = &package.tdx {
            w.field("TDX", |w| tee::tdx(w, tdx));
        }
        if let Some(snp) = &package.snp {
            w.field("SNP", |w| tee::snp(w, snp));
        }
    });
}

fn infrastructure(w: &mut Writer, infrastructure: &Infrastructure) {
    w.object(|w| {
        w.bytes("CPUSVN", &infrastructure.cpu_svn);
        w.optional("QESVN", infrastructure.qe_svn);
        w.optional("PCESVN", infrastructure.pce_svn);
        w.bytes("RootCA", &infrastructure.root_ca);
    });
}

fn marble(w: &mut Writer, marble: &Marble) {
    w.object(|w| {
        w.text("Package", &marble.package);
        w.unsigned("MaxActivations", marble.max_activations);
        if marble.parameters != Parameters::default() {
            w.field("Parameters", |w| {
                w.object(|w| {
                    w.map("Files", &marble.parameters.files, file);
                    w.map("Env", &marble.parameters.env, file);
                    w.texts("Argv", &marble.parameters.argv);
                });
            });
        }
        w.texts("TLS", &marble.tls);
        w.flag("DisableSecretBinding", marble.disable_secret_binding);
    });
}

/// Always an object, so that a validator meets one form only (M-16).
fn file(w: &mut Writer, file: &File) {
    let (data, encoding) = match file.encoding {
        FileEncoding::String => (String::from_utf8_lossy(&file.data).into_owned(), ""),
        FileEncoding::Base64 => (encode_base64(&file.data), "base64"),
        FileEncoding::Hex => (hex::encode(&file.data), "hex"),
    };
    w.object(|w| {
        w.text("Data", &data);
        w.text("Encoding", encoding);
        w.flag("NoTemplates", file.no_templates);
        w.text("Renderer", file.renderer.as_deref().unwrap_or_default());
    });
}

fn user(w: &mut Writer, user: &User) {
    w.object(|w| {
        w.text("Certificate", &user.certificate);
        w.texts("Roles", &user.roles);
    });
}

fn role(w: &mut Writer, role: &Role) {
    w.object(|w| {
        w.text("ResourceType", &role.resource_type);
        w.texts("ResourceNames", &role.resource_names);
        w.texts("Actions", &role.actions);
    });
}

fn tls_tag(w: &mut Writer, tag: &TlsTag) {
    w.object(|w| {
        w.list("Outgoing", &tag.outgoing, tls_entry);
        w.list("Incoming", &tag.incoming, tls_entry);
    });
}

fn tls_entry(w: &mut Writer, entry: &TlsEntry) {
    w.object(|w| {
        w.text("Port", &entry.port);
        w.text("Addr", &entry.addr);
        w.text("Cert", &entry.cert);
        w.flag("DisableClientAuth", entry.disable_client_auth);
    });
}

fn config(w: &mut Writer, config: &Config) {
    w.object(|w| {
        w.text("SealMode", &config.seal_mode);
        w.texts("FeatureGates", &config.feature_gates);
        w.unsigned("UpdateThreshold", config.update_threshold);
        w.unsigned("RecoveryThreshold", config.recovery_threshold);
        w.flag("RotateRootSecret", config.rotate_root_secret);
    });
}

fn secret(w: &mut Writer, secret: &SecretDefinition) {
    w.object(|w| {
        w.text("Type", secret.kind.name());
        w.unsigned("Size", secret.size);
        w.flag("Shared", secret.shared);
        w.flag("UserDefined", secret.user_defined);
        w.unsigned("ValidFor", secret.valid_for);
        if let Some(cert) = &secret.cert {
            w.field("Cert", |w| template::certificate(w, cert));
        }
    });
}

/// The settings are in their normal form already.
fn policy(w: &mut Writer, policy: &PolicyEntry) {
    w.object(|w| {
        w.text("World", policy.world.name());
        w.text("Component", &policy.component.to_string());
        if policy.settings != "null" {
            w.field("Settings", |w| w.display(&policy.settings));
        }
        if policy.mode != Mode::default() {
            w.text("Mode", policy.mode.name());
        }
        w.text("Replaces", policy.replaces.as_deref().unwrap_or_default());
    });
}

#[cfg(test)]
mod tests;
