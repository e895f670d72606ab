//! `policy new|build|check|inspect|run|test|bench|diff|replay|push|list|pull|decisions`.

mod bench;
mod build;
mod cases;
mod check;
mod decisions;
mod diff;
mod inspect;
mod list;
mod new;
mod progress;
mod pull;
mod push;
mod replay;
mod run;
mod source;
mod surface;
mod test;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Globals;
use crate::output::Output;

/// Write policies, send them to a coordinator, and see what they decide
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    New(new::New),
    Build(build::Build),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Run(run::Run),
    Test(test::Test),
    Bench(bench::Bench),
    Diff(diff::Diff),
    Replay(replay::Replay),
    Push(push::Push),
    List(list::List),
    Pull(pull::Pull),
    Decisions(decisions::Decisions),
}

pub(crate) async fn run(globals: &Globals, command: &Policy, output: &mut Output) -> Result<()> {
    match command {
        Policy::New(command) => new::run(command, output),
        Policy::Build(command) => build::run(command, output),
        Policy::Check(command) => check::run(command, output),
        Policy::Inspect(command) => inspect::run(command, output),
        Policy::Run(command) => run::run(command, output),
        Policy::Test(command) => test::run(command, output),
        Policy::Bench(command) => bench::run(command, output),
        Policy::Diff(command) => diff::run(command, output),
        Policy::Replay(command) => replay::run(globals, command, output).await,
        Policy::Push(command) => push::run(globals, command, output).await,
        Policy::List(command) => list::run(globals, command, output).await,
        Policy::Pull(command) => pull::run(globals, command, output).await,
        Policy::Decisions(command) => decisions::run(globals, command, output).await,
    }
}
