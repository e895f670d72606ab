//! The sections of a manifest (manifest.md section 2), field by field.

mod tee;
mod template;
mod uri;

use super::fields::{At, Read, Warnings, clipped};
use super::policies;
use super::{
    Config, File, FileEncoding, Infrastructure, Marble, Package, Parameters, ParsedManifest, Role,
    SecretDefinition, SecretKind, TlsEntry, TlsTag, User,
};
use crate::encoding::{decode_base64, decode_hex};
pub(super) use uri::parts as uri_parts;

const SECTIONS: &[&str] = &[
    "Packages",
    "Infrastructures",
    "Marbles",
    "Users",
    "Secrets",
    "RecoveryKeys",
    "Roles",
    "TLS",
    "Config",
    "Policies",
];

pub(super) fn manifest(at: &At<'_>, warnings: &mut Warnings) -> Read<ParsedManifest> {
    let mut manifest = ParsedManifest::default();
    at.fields(SECTIONS, &[], warnings, |name, at, warnings| {
        match name {
            "Packages" => manifest.packages = at.map(warnings, package)?,
            "Infrastructures" => manifest.infrastructures = at.map(warnings, infrastructure)?,
            "Marbles" => manifest.marbles = at.map(warnings, marble)?,
            "Users" => manifest.users = at.map(warnings, user)?,
            "Secrets" => manifest.secrets = at.map(warnings, secret)?,
            "RecoveryKeys" => manifest.recovery_keys = at.map(warnings, |at, _| at.text())?,
            "Roles" => manifest.roles = at.map(warnings, role)?,
            "TLS" => manifest.tls = at.map(warnings, tls_tag)?,
            "Config" => {
                manifest.config = config(at, warnings)?;
                manifest.has_config = at.has_members();
            }
            _ => manifest.policies = at.map(warnings, |at, _| policies::entry(at))?,
        }
        Ok(())
    })?;
    Ok(manifest)
}

fn package(at: &At<'_>, warnings: &mut Warnings) -> Read<Package> {
    const FIELDS: &[&str] = &[
        "Debug",
        "UniqueID",
        "SignerID",
        "ProductID",
        "SecurityVersion",
        "AcceptedTCBStatuses",
        "AcceptedAdvisories",
        "TDX",
        "SNP",
    ];
    let mut package = Package::default();
    at.fields(FIELDS, &[], warnings, |name, at, warnings| {
        match name {
            "Debug" => package.debug = at.boolean()?,
            "UniqueID" => package.unique_id = at.text()?,
            "SignerID" => package.signer_id = at.text()?,
            "ProductID" => package.product_id = at.optional_unsigned()?,
            "SecurityVersion" => package.security_version = at.optional_unsigned()?,
            "AcceptedTCBStatuses" => package.accepted_tcb_statuses = at.texts()?,
            "AcceptedAdvisories" => package.accepted_advisories = at.texts()?,
            _ if at.is_null() => {}
            "TDX" => package.tdx = Some(Box::new(tee::tdx(at, warnings)?)),
            _ => package.snp = Some(Box::new(tee::snp(at, warnings)?)),
        }
        Ok(())
    })?;
    Ok(package)
}

fn infrastructure(at: &At<'_>, warnings: &mut Warnings) -> Read<Infrastructure> {
    let mut infrastructure = Infrastructure::default();
    at.fields(&["CPUSVN", "QESVN", "PCESVN", "RootCA"], &[], warnings, |name, at, _| {
        match name {
            "CPUSVN" => infrastructure.cpu_svn = at.bytes()?,
            "QESVN" => infrastructure.qe_svn = at.optional_u16()?,
            "PCESVN" => infrastructure.pce_svn = at.optional_u16()?,
            _ => infrastructure.root_ca = at.bytes()?,
        }
        Ok(())
    })?;
    Ok(infrastructure)
}

fn marble(at: &At<'_>, warnings: &mut Warnings) -> Read<Marble> {
    const FIELDS: &[&str] = &["Package", "MaxActivations", "Parameters", "TLS", "DisableSecretBinding"];
    let mut marble = Marble::default();
    at.fields(FIELDS, &[], warnings, |name, at, warnings| {
        match name {
            "Package" => marble.package = at.text()?,
            "MaxActivations" => marble.max_activations = at.unsigned()?,
            "Parameters" => marble.parameters = parameters(at, warnings)?,
            "TLS" => marble.tls = at.texts()?,
            _ => marble.disable_secret_binding = at.boolean()?,
        }
        Ok(())
    })?;
    Ok(marble)
}

fn parameters(at: &At<'_>, warnings: &mut Warnings) -> Read<Parameters> {
    let mut parameters = Parameters::default();
    at.fields(&["Files", "Env", "Argv"], &[], warnings, |name, at, warnings| {
        match name {
            "Files" => parameters.files = at.map(warnings, file)?,
            "Env" => parameters.env = at.map(warnings, file)?,
            _ => parameters.argv = at.texts()?,
        }
        Ok(())
    })?;
    Ok(parameters)
}

/// M-11..M-15.
fn file(at: &At<'_>, warnings: &mut Warnings) -> Read<File> {
    if !at.is_object() {
        let text = at.optional_text().ok().flatten().ok_or_else(|| {
            at.mistake("expected a string or an object with Data, Encoding and NoTemplates")
        })?;
        return Ok(File { data: text.as_bytes().to_vec(), ..File::default() });
    }
    let mut file = File { encoding: at.ahead("Encoding", encoding)?.unwrap_or_default(), ..File::default() };
    at.fields(&["Data", "NoTemplates", "Renderer"], &["Encoding"], warnings, |name, at, _| {
        match name {
            "Data" => file.data = decode(at, file.encoding)?,
            "NoTemplates" => file.no_templates = at.boolean()?,
            _ => file.renderer = at.optional_text()?.filter(|name| !name.is_empty()).map(str::to_owned),
        }
        Ok(())
    })?;
    Ok(file)
}

/// M-13: compared ignoring case; missing or empty means `string`.
fn encoding(at: &At<'_>) -> Read<FileEncoding> {
    const ENCODINGS: [(&str, FileEncoding); 4] = [
        ("", FileEncoding::String),
        ("string", FileEncoding::String),
        ("base64", FileEncoding::Base64),
        ("hex", FileEncoding::Hex),
    ];
    let name = at.optional_text()?.unwrap_or_default();
    let known = ENCODINGS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, encoding)| encoding).ok_or_else(|| {
        at.mistake(format!("unknown encoding type: {}; known are string, base64 and hex", clipped(name)))
    })
}

fn decode(at: &At<'_>, encoding: FileEncoding) -> Read<Vec<u8>> {
    let text = at.optional_text()?.unwrap_or_default();
    match encoding {
        FileEncoding::String => Ok(text.as_bytes().to_vec()),
        FileEncoding::Base64 => decode_base64(text).map_err(|error| at.mistake(error.to_string())),
        FileEncoding::Hex => decode_hex(text).map_err(|error| at.mistake(error.to_string())),
    }
}

fn user(at: &At<'_>, warnings: &mut Warnings) -> Read<User> {
    let mut user = User::default();
    at.fields(&["Certificate", "Roles"], &[], warnings, |name, at, _| {
        match name {
            "Certificate" => user.certificate = at.text()?,
            _ => user.roles = at.texts()?,
        }
        Ok(())
    })?;
    Ok(user)
}

fn role(at: &At<'_>, warnings: &mut Warnings) -> Read<Role> {
    let mut role = Role::default();
    at.fields(&["ResourceType", "ResourceNames", "Actions"], &[], warnings, |name, at, _| {
        match name {
            "ResourceType" => role.resource_type = at.text()?,
            "ResourceNames" => role.resource_names = at.texts()?,
            _ => role.actions = at.texts()?,
        }
        Ok(())
    })?;
    Ok(role)
}

fn tls_tag(at: &At<'_>, warnings: &mut Warnings) -> Read<TlsTag> {
    let mut tag = TlsTag::default();
    at.fields(&["Outgoing", "Incoming"], &[], warnings, |name, at, warnings| {
        match name {
            "Outgoing" => tag.outgoing = at.list_of_objects(warnings, tls_entry)?,
            _ => tag.incoming = at.list_of_objects(warnings, tls_entry)?,
        }
        Ok(())
    })?;
    Ok(tag)
}

fn tls_entry(at: &At<'_>, warnings: &mut Warnings) -> Read<TlsEntry> {
    let mut entry = TlsEntry::default();
    at.fields(&["Port", "Addr", "Cert", "DisableClientAuth"], &[], warnings, |name, at, _| {
        match name {
            "Port" => entry.port = at.text()?,
            "Addr" => entry.addr = at.text()?,
            "Cert" => entry.cert = at.text()?,
            _ => entry.disable_client_auth = at.boolean()?,
        }
        Ok(())
    })?;
    Ok(entry)
}

fn config(at: &At<'_>, warnings: &mut Warnings) -> Read<Config> {
    const FIELDS: &[&str] =
        &["SealMode", "FeatureGates", "UpdateThreshold", "RecoveryThreshold", "RotateRootSecret"];
    let mut config = Config::default();
    at.fields(FIELDS, &[], warnings, |name, at, _| {
        match name {
            "SealMode" => config.seal_mode = at.text()?,
            "FeatureGates" => config.feature_gates = at.texts()?,
            "UpdateThreshold" => config.update_threshold = at.unsigned()?,
            "RecoveryThreshold" => config.recovery_threshold = at.unsigned()?,
            _ => config.rotate_root_secret = at.boolean()?,
        }
        Ok(())
    })?;
    Ok(config)
}

/// Manifest.md 2.8; values of secrets have no place in a manifest, which everybody can read.
fn secret(at: &At<'_>, warnings: &mut Warnings) -> Read<SecretDefinition> {
    const FIELDS: &[&str] =
        &["Type", "Size", "Shared", "UserDefined", "ValidFor", "Cert", "Private", "Public", "Key"];
    let mut secret = SecretDefinition::default();
    at.fields(FIELDS, &[], warnings, |name, at, warnings| {
        match name {
            "Type" => secret.kind = SecretKind::from_name(at.optional_text()?.unwrap_or_default()),
            "Size" => secret.size = at.unsigned()?,
            "Shared" => secret.shared = at.boolean()?,
            "UserDefined" => secret.user_defined = at.boolean()?,
            "ValidFor" => secret.valid_for = at.unsigned()?,
            "Cert" if at.is_null() => {}
            "Cert" => secret.cert = Some(Box::new(template::certificate(at, warnings)?)),
            _ if at.is_null() => {}
            value => {
                return Err(at.mistake(format!(
                    "{value} is refused: a manifest must not contain values of secrets; upload user-defined \
                     secrets after the manifest is set"
                )));
            }
        }
        Ok(())
    })?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
