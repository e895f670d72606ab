//! `cargo xtask`: what the workspace needs beyond cargo. A thin dispatcher: one module per command.

mod guests;

use clap::{Parser, Subcommand};

/// Tasks of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the built-in policies and compiles them ahead of time
    Guests(guests::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Guests(arguments) => guests::run(&arguments),
    }
}
