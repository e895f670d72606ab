//! `certificate root|intermediate|chain HOST`: attests, compares with the saved root, writes PEM.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::{Address, Chain};
use clap::Subcommand;
use serde_json::json;

use crate::args::Globals;
use crate::files;
use crate::output::Output;
use crate::session::Session;

/// Save certificates of an attested coordinator that was verified before
#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Save the root certificate
    Root {
        /// HOST:PORT
        host: Address,
        /// Where it goes
        #[arg(short, long, default_value = "marblerunRootCA.crt", value_name = "FILE")]
        out_file: PathBuf,
    },
    /// Save the intermediate certificate
    Intermediate {
        /// HOST:PORT
        host: Address,
        /// Where it goes
        #[arg(short, long, default_value = "marblerunIntermediateCA.crt", value_name = "FILE")]
        out_file: PathBuf,
    },
    /// Save the intermediate certificate followed by the root
    Chain {
        /// HOST:PORT
        host: Address,
        /// Where it goes
        #[arg(short, long, default_value = "marblerunChainCA.crt", value_name = "FILE")]
        out_file: PathBuf,
    },
}

pub(crate) async fn run(globals: &Globals, command: &Certificate, output: &mut Output) -> Result<()> {
    let (what, host, path) = match command {
        Certificate::Root { host, out_file } => ("Root certificate", host, out_file),
        Certificate::Intermediate { host, out_file } => ("Intermediate certificate", host, out_file),
        Certificate::Chain { host, out_file } => ("Certificate chain", host, out_file),
    };
    let chain = verified_chain(globals, host).await?;
    let pem = match command {
        Certificate::Root { .. } => chain.root_pem(),
        Certificate::Intermediate { .. } => {
            chain.intermediate_pem().context("the coordinator sent no intermediate certificate; update it")?
        }
        Certificate::Chain { .. } => chain.to_pem(),
    };
    save(what, path, &pem, output)
}

async fn verified_chain(globals: &Globals, host: &Address) -> Result<Chain> {
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    if !globals.insecure && session.cached_chain()?.root() != attested.chain.root() {
        bail!(
            "the coordinator's root certificate differs from the saved one; run `carrara manifest verify` to check \
             what it runs and to save the new certificate"
        );
    }
    Ok(attested.chain)
}

fn save(what: &str, path: &Path, pem: &str, output: &mut Output) -> Result<()> {
    files::write(path, pem.as_bytes())?;
    output.line(&format!("{what} written to {}", path.display()))?;
    output.result(&json!({ "file": path }))
}
