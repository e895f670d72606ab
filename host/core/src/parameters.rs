//! Puts a Marble's parameters together: rendered templates with their secrets, and what every Marble receives
//! (secrets-and-templates.md section 6). Synchronous: RSA keys take long, so an activation that needs one runs this off
//! the async workers.

use std::collections::BTreeMap;

use carrara_types::decision::Chunk;
use carrara_types::manifest::AcceptedManifest;
use carrara_types::secret::SecretBytes;

use crate::certificate::certificate_pem;
use crate::error::Cause;
use crate::outcome::Activation;
use crate::pem_text::pem;
use crate::render::{Rendered, Slot};
use crate::splice::{self, Vault};
use crate::ttls::{self, Credentials, TtlsPlan};

/// Whether a secret that must be made now takes long.
pub(crate) fn needs_slow_secrets(manifest: &AcceptedManifest, rendered: &Rendered) -> bool {
    let slow = |name: &str| manifest.secrets.get(name).is_some_and(splice::is_slow);
    let referenced = rendered.slots.iter().flat_map(|(_, chunks)| chunks);
    referenced.filter_map(|chunk| if let Chunk::Secret(r) = chunk { Some(&*r.name) } else { None }).any(slow)
        || rendered.ttls.iter().flat_map(TtlsPlan::secrets).any(slow)
}

/// Puts secrets into the parameters and adds what every Marble receives (S-80, S-81).
///
/// # Errors
/// The frame of an activation (secrets-and-templates.md section 7).
pub(crate) fn assemble(mut vault: Vault, rendered: Rendered, argv: Vec<String>) -> Result<Activation, Cause> {
    let mut activation = Activation { argv, ..Activation::default() };
    let mut ttls_texts = BTreeMap::new();
    for (slot, chunks) in rendered.slots {
        let place = match &slot {
            Slot::File(path) => format!("file {path:?}"),
            Slot::Env(name) => format!("env variable {name:?}"),
            Slot::Ttls(_) => format!("env variable {:?}", ttls::VARIABLE),
        };
        let bytes =
            vault.splice(chunks).map_err(|cause| Cause(format!("parsing secrets for {place}: {cause}")))?;
        match slot {
            Slot::File(path) => _ = activation.files.insert(path, bytes),
            Slot::Env(name) => _ = activation.env.insert(name, bytes),
            Slot::Ttls(index) => {
                _ = ttls_texts.insert(index, String::from_utf8_lossy(bytes.expose()).into_owned())
            }
        }
    }
    let own = own_credentials(&vault);
    add_predefined(&mut activation, &vault, &own);
    if let Some(plan) = rendered.ttls {
        let root = certificate_pem(vault.view.epoch.live.authority.marble_root_der());
        let json = plan
            .json(&ttls_texts, &root, own, |name| vault.certificate_and_key(name))
            .map_err(|cause| Cause(format!("TLS configuration: {cause}")))?;
        activation.env.insert(ttls::VARIABLE.to_owned(), json);
    }
    Ok(activation)
}

fn own_credentials(vault: &Vault) -> Credentials {
    Credentials {
        certificate: pem("CERTIFICATE", &vault.identity.leaf_der),
        key: pem("PRIVATE KEY", vault.identity.key_pkcs8.expose()),
    }
}

/// S-80: set after the manifest's own variables, overriding same names.
fn add_predefined(activation: &mut Activation, vault: &Vault, own: &Credentials) {
    let authority = &vault.view.epoch.live.authority;
    let chain = [own.certificate.as_str(), &certificate_pem(authority.intermediate_der())].concat();
    for (name, text) in [
        ("MARBLE_PREDEFINED_ROOT_CA", certificate_pem(authority.marble_root_der()).as_str()),
        ("MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN", &chain),
        ("MARBLE_PREDEFINED_PRIVATE_KEY", &own.key),
        ("MARBLE_PREDEFINED_COORDINATOR_ROOT_CA", &certificate_pem(authority.root_der())),
    ] {
        activation.env.insert(name.to_owned(), SecretBytes::new(name, text.as_bytes().to_vec()));
    }
}
