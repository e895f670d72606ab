//! One file per command.

pub(crate) mod attest;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod certificate;
pub(crate) mod collateral;
mod completions;
pub(crate) mod keygen;
pub(crate) mod manifest;
pub(crate) mod package_info;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod recover_with_signature;
mod recovery_data;
mod recovery_secret;
mod refusal;
pub(crate) mod restore;
pub(crate) mod secret;
mod status;
mod version;

use anyhow::Result;

use crate::args::{Arguments, Command};
use crate::output::Output;

/// Runs the command that was asked for.
pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<()> {
    let globals = &arguments.globals;
    match &arguments.command {
        Command::Status { host } => status::run(globals, host, output).await,
        Command::Manifest(command) => manifest::run(globals, command, output).await,
        Command::Certificate(command) => certificate::run(globals, command, output).await,
        Command::Secret(command) => secret::run(globals, command, output).await,
        Command::Attest(command) => attest::run(globals, command, output).await,
        Command::Policy(command) => policy::run(globals, command, output).await,
        Command::Audit(command) => audit::run(globals, command, output).await,
        Command::Backup(command) => backup::run(globals, command, output).await,
        Command::Restore(command) => restore::run(command, output),
        Command::Version { host } => version::run(globals, host.as_ref(), output).await,
        Command::Collateral(command) => collateral::run(globals, command, output).await,
        Command::Recover(command) => recover::run(globals, command, output).await,
        Command::RecoverWithSignature(command) => recover_with_signature::run(globals, command, output).await,
        Command::PackageInfo(command) => package_info::run(command, output),
        Command::Keygen(command) => keygen::run(command, output),
        Command::Completions { shell } => completions::completions(*shell, output),
        Command::Man { dir } => completions::man(dir.as_deref(), output),
    }
}
