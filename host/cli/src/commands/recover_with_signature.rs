//! `recover-with-signature`: recovery where the holder's key is on a machine without a network. There the secret is encrypted
//! for the coordinator and signed; here both are sent.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::{Address, encrypt_recovery_secret};
use carrara_types::secret::SecretBytes;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{keygen, recover, recovery_secret};
use crate::args::{Globals, HolderKey};
use crate::files;
use crate::output::Output;
use crate::session::Session;
use crate::token;

/// Send a recovery secret that was signed, and perhaps encrypted, elsewhere
///
/// Get the coordinator's public key here; on the machine with the recovery key encrypt the secret with it and sign the secret;
/// send both files from here. A restart of the coordinator changes its public key.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RecoverWithSignature {
    #[command(subcommand)]
    step: Option<Step>,
    /// The recovery secret: decrypted (16, 32 or 33 bytes), or encrypted with the coordinator's public key
    #[arg(required = true)]
    keyfile: Option<PathBuf>,
    /// HOST:PORT
    #[arg(required = true)]
    host: Option<Address>,
    /// The signature over the decrypted secret
    #[arg(short, long, value_name = "FILE", required = true)]
    signature: Option<PathBuf>,
}

/// What is done on the way.
#[derive(Debug, Subcommand)]
enum Step {
    /// Attest a coordinator in recovery and get the public key for secrets, PEM
    PublicKey {
        /// HOST:PORT
        host: Address,
        /// Save the key instead of printing it
        #[arg(short, long, value_name = "FILE")]
        out_file: Option<PathBuf>,
    },
    /// Decrypt a recovery secret and encrypt it with a coordinator's public key; needs no network
    EncryptSecret {
        #[command(flatten)]
        secret: Secret,
        /// The coordinator's public key, PEM
        #[arg(long, value_name = "FILE")]
        coordinator_pub_key: PathBuf,
    },
    /// Decrypt a recovery secret and sign it with the recovery key; needs no network
    SignSecret(Secret),
}

/// The secret of a step without a network.
#[derive(Debug, Args)]
struct Secret {
    /// The recovery data of the newest manifest, the holder's part of it, or her decrypted secret (16, 32 or 33 bytes)
    keyfile: PathBuf,
    /// Where the result goes
    #[arg(short, long, value_name = "FILE")]
    output_file: PathBuf,
    #[command(flatten)]
    key: HolderKey,
}

pub(crate) async fn run(
    globals: &Globals,
    command: &RecoverWithSignature,
    output: &mut Output,
) -> Result<()> {
    match (&command.step, &command.keyfile, &command.host, &command.signature) {
        (Some(Step::PublicKey { host, out_file }), ..) => {
            public_key(globals, host, out_file.as_deref(), output).await
        }
        (Some(Step::EncryptSecret { secret, coordinator_pub_key }), ..) => {
            encrypt(secret, coordinator_pub_key, output)
        }
        (Some(Step::SignSecret(secret)), ..) => sign(secret, output),
        (None, Some(keyfile), Some(host), Some(signature)) => {
            let mut secret = files::read(keyfile)?;
            let secret = SecretBytes::new("recovery secret", std::mem::take(&mut *secret));
            recover::send(globals, host, &secret, &files::read(signature)?, output).await
        }
        _ => bail!("give the secret's file, HOST:PORT and --signature"),
    }
}

async fn public_key(
    globals: &Globals,
    host: &Address,
    out_file: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    let key = session.attested_client(&attested).recovery_public_key().await;
    let key = key.map_err(recover::explain_key)?;
    let text = keygen::encode("PUBLIC KEY", &key);
    match out_file {
        Some(path) => {
            files::write(path, text.as_bytes())?;
            output.line(&format!("Public key written to {}", path.display()))?;
        }
        None => output.line(text.trim_end())?,
    }
    output.result(&json!({ "publicKey": *text, "file": out_file }))
}

fn encrypt(secret: &Secret, public_key: &Path, output: &mut Output) -> Result<()> {
    let key = files::read(public_key)?;
    let key = pem::parse(key.as_slice()).ok().filter(|block| block.tag() == "PUBLIC KEY");
    let key = key.with_context(|| format!("{} holds no PEM block PUBLIC KEY", public_key.display()))?;
    let holder = token::recovery_key(&secret.key)?;
    let plain =
        recovery_secret::decrypt(&secret.keyfile, recovery_secret::read(&secret.keyfile)?, holder.as_ref())?;
    let sent = encrypt_recovery_secret(key.contents(), &plain)
        .with_context(|| format!("encrypting with {}", public_key.display()))?;
    written(secret, &sent, "Encrypted secret", output)
}

fn sign(secret: &Secret, output: &mut Output) -> Result<()> {
    let held = recovery_secret::read(&secret.keyfile)?;
    let key = token::recovery_key(&secret.key)?
        .context("give the recovery key that signs with --key or --pkcs11-config")?;
    let plain = recovery_secret::decrypt(&secret.keyfile, held, Some(&key))?;
    let signature = key.sign(&plain).context("signing the recovery secret")?;
    written(secret, &signature, "Signature", output)
}

fn written(secret: &Secret, content: &[u8], what: &str, output: &mut Output) -> Result<()> {
    files::write(&secret.output_file, content)?;
    output.line(&format!("{what} written to {}", secret.output_file.display()))?;
    output.result(&json!({ "file": secret.output_file }))
}
