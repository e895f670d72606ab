//! `policy push|list|pull|decisions`.

mod decisions;
mod list;
mod pull;
mod push;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Globals;
use crate::output::Output;

/// Write policies, send them to a coordinator, and see what they decide
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Push(push::Push),
    List(list::List),
    Pull(pull::Pull),
    Decisions(decisions::Decisions),
}

pub(crate) async fn run(globals: &Globals, command: &Policy, output: &mut Output) -> Result<()> {
    match command {
        Policy::Push(command) => push::run(globals, command, output).await,
        Policy::List(command) => list::run(globals, command, output).await,
        Policy::Pull(command) => pull::run(globals, command, output).await,
        Policy::Decisions(command) => decisions::run(globals, command, output).await,
    }
}
