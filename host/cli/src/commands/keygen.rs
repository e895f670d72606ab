//! `keygen user|recovery NAME`: what a manifest's Users and RecoveryKeys need.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use clap::{Args, Subcommand};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use rustls::pki_types::UnixTime;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::files;
use crate::output::Output;

/// Coordinators do not look at a user certificate's dates; other tools do.
const USER_CERTIFICATE_LIFE: Duration = Duration::days(3650);

/// Make keys and certificates for a manifest's users and recovery keys
#[derive(Debug, Subcommand)]
pub(crate) enum Keygen {
    /// Make a user's certificate (NAME.crt) and key (NAME.key), ECDSA P-384
    User(Target),
    /// Make a recovery key: RSA private key (NAME.key) and public key (NAME.pub)
    Recovery {
        #[command(flatten)]
        target: Target,
        /// Size of the key in bits: 2048, 3072, 4096 or 8192
        #[arg(long, default_value_t = 4096)]
        bits: u16,
    },
}

/// Where the files go.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Name in the manifest, and of the files
    name: String,
    /// Folder of the files
    #[arg(short, long, default_value = ".", value_name = "FOLDER")]
    directory: PathBuf,
    /// Overwrite existing files
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(command: &Keygen, output: &mut Output) -> Result<()> {
    match command {
        Keygen::User(target) => user(target, output),
        Keygen::Recovery { target, bits } => recovery(target, *bits, output),
    }
}

fn user(target: &Target, output: &mut Output) -> Result<()> {
    let (key_path, cert_path) = (target.path("key")?, target.path("crt")?);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).context("making the key")?;
    let certificate = user_certificate(&target.name, &key)?;
    target.write(&[
        (&key_path, Zeroizing::new(key.serialize_pem())),
        (&cert_path, Zeroizing::new(certificate.clone())),
    ])?;
    output.line(&format!("Certificate written to {}", cert_path.display()))?;
    output.line(&format!("Private key written to {}; keep it secret", key_path.display()))?;
    output.line("For the manifest:")?;
    let entry = json!({ "Certificate": certificate, "Roles": [] });
    output.line(&format!("\"Users\": {}", json!({ &target.name: entry })))?;
    output.result(
        &json!({ "certificateFile": cert_path, "keyFile": key_path, "Users": { &target.name: entry } }),
    )
}

fn user_certificate(name: &str, key: &KeyPair) -> Result<String> {
    let now =
        i64::try_from(UnixTime::now().as_secs()).context("the system time is out of range; set the clock")?;
    let now =
        OffsetDateTime::from_unix_timestamp(now).context("the system time is out of range; set the clock")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = now;
    params.not_after = now.saturating_add(USER_CERTIFICATE_LIFE);
    let certificate = params.self_signed(key).context("making the certificate")?;
    Ok(encode("CERTIFICATE", certificate.der()).to_string())
}

fn recovery(target: &Target, bits: u16, output: &mut Output) -> Result<()> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        other => bail!("a recovery key has 2048, 3072, 4096 or 8192 bits, not {other}"),
    };
    let (key_path, public_path) = (target.path("key")?, target.path("pub")?);
    let key = PrivateDecryptingKey::generate(size).context("making the key")?;
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().context("writing the public key")?;
    let private: Pkcs8V1Der<'_> = key.as_der().context("writing the private key")?;
    let public = encode("PUBLIC KEY", public.as_ref());
    target.write(&[(&key_path, encode("PRIVATE KEY", private.as_ref())), (&public_path, public.clone())])?;
    output.line(&format!("Public key written to {}", public_path.display()))?;
    output.line(&format!(
        "Private key written to {}; keep it secret and safe: it recovers",
        key_path.display()
    ))?;
    output.line("For the manifest:")?;
    output.line(&format!("\"RecoveryKeys\": {}", json!({ &target.name: public.as_str() })))?;
    let entry = json!({ &target.name: public.as_str() });
    output.result(&json!({ "publicKeyFile": public_path, "keyFile": key_path, "RecoveryKeys": entry }))
}

impl Target {
    fn path(&self, extension: &str) -> Result<PathBuf> {
        if self.name.is_empty() || self.name.starts_with('.') || self.name.contains(['/', '\0']) {
            bail!(
                "{:?} cannot be a file's name; choose another name, and the folder with --directory",
                self.name
            );
        }
        Ok(self.directory.join(format!("{}.{extension}", self.name)))
    }

    /// All or, if one of them exists already, none.
    fn write(&self, contents: &[(&Path, Zeroizing<String>)]) -> Result<()> {
        if let Some((path, _)) = contents.iter().find(|(path, _)| !self.force && path.exists()) {
            bail!("{} exists already; choose another name, or overwrite it with --force", path.display());
        }
        for (path, content) in contents {
            files::write_new(path, content.as_bytes(), self.force)?;
        }
        Ok(())
    }
}

pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    Zeroizing::new(pem::encode_config(&pem::Pem::new(label, der.to_vec()), config))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use x509_parser::prelude::{FromDer, X509Certificate};
    use x509_parser::public_key::PublicKey;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    fn target(folder: &Path, name: &str) -> Target {
        Target { name: name.to_owned(), directory: folder.to_owned(), force: false }
    }

    fn made(command: &Keygen) -> serde_json::Value {
        let kept = Kept::default();
        run(command, &mut kept.output(Format::Json)).unwrap();
        serde_json::from_str(&kept.text()).unwrap()
    }

    fn read(folder: &Path, name: &str) -> String {
        let path = folder.join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_user_gets_a_p384_client_certificate_that_fits_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let result = made(&Keygen::User(target(folder.path(), "alice")));
        let (certificate, key) = (read(folder.path(), "alice.crt"), read(folder.path(), "alice.key"));
        assert_eq!(result["Users"]["alice"]["Certificate"], certificate.as_str());
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        carrara_client::ClientIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let der = pem::parse(&certificate).unwrap();
        let (_, parsed) = X509Certificate::from_der(der.contents()).unwrap();
        assert_eq!(parsed.subject().to_string(), "CN=alice");
        assert!(parsed.extended_key_usage().unwrap().unwrap().value.client_auth);
        let PublicKey::EC(point) = parsed.public_key().parsed().unwrap() else { panic!() };
        assert_eq!(point.key_size(), 384);
    }

    // M-79
    #[test]
    fn a_recovery_key_is_a_pkix_rsa_public_key_with_its_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let command = Keygen::Recovery { target: target(folder.path(), "bob"), bits: 2048 };
        let result = made(&command);
        let public = read(folder.path(), "bob.pub");
        assert_eq!(result["RecoveryKeys"]["bob"], public.as_str());
        let parsed = pem::parse(&public).unwrap();
        assert_eq!(parsed.tag(), "PUBLIC KEY");
        let private = pem::parse(read(folder.path(), "bob.key")).unwrap();
        assert_eq!(private.tag(), "PRIVATE KEY");
        let key = PrivateDecryptingKey::from_pkcs8(private.contents()).unwrap();
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        assert_eq!((der.as_ref(), key.key_size_bytes()), (parsed.contents(), 256));
    }

    #[test]
    fn an_existing_file_is_kept_and_nothing_else_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alice.crt"), b"mine").unwrap();
        let error =
            run(&Keygen::User(target(folder.path(), "alice")), &mut Kept::default().output(Format::Text));
        assert!(error.unwrap_err().to_string().contains("--force"));
        assert!(!folder.path().join("alice.key").exists());
        made(&Keygen::User(Target { force: true, ..target(folder.path(), "alice") }));
        assert!(read(folder.path(), "alice.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn a_name_that_is_a_path_and_a_size_that_is_too_small_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = |command| run(&command, &mut Kept::default().output(Format::Text)).unwrap_err().to_string();
        for name in ["", "../x", "a/b", ".hidden"] {
            assert!(run(Keygen::User(target(folder.path(), name))).contains("--directory"), "{name}");
        }
        assert!(run(Keygen::Recovery { target: target(folder.path(), "r"), bits: 1024 }).contains("4096"));
    }

    #[test]
    fn text_output_never_shows_a_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::default();
        run(&Keygen::User(target(folder.path(), "alice")), &mut kept.output(Format::Text)).unwrap();
        assert!(kept.text().contains("BEGIN CERTIFICATE") && !kept.text().contains("PRIVATE KEY"));
    }
}
