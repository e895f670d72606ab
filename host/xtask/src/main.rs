//! `cargo xtask`: what the workspace needs beyond cargo. A thin dispatcher: one module per command.

// What it has to say is for the person who started it.
#![allow(clippy::print_stdout)]

mod bench;
mod cargo;
mod demo;
mod flood;
mod fuzz;
mod guests;
mod hostile;
mod measure;
mod policies;
mod premain;
mod programs;
mod python;
mod sdk;
mod soak;
mod test;
mod torture;

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
    /// Builds what is measured, the same for everybody, and prints its digests
    Measure(measure::Arguments),
    /// Builds the policies of `policies/`, the policy languages among them
    Policies(policies::Arguments),
    /// Builds `carrara-premain` as enclaves get it: static and small
    Premain(premain::Arguments),
    /// Runs the main job in simulation and tells what happens
    Demo(demo::Arguments),
    /// Checks formatting and lints and runs every test
    Test(test::Arguments),
    /// Feeds hostile input to every place that reads a stranger's bytes
    Fuzz(fuzz::Arguments),
    /// Measures what the performance goals name and prints it beside them
    Bench(bench::Arguments),
    /// Kills a loaded coordinator again and again and checks that nothing is lost
    Torture(torture::Arguments),
    /// Loads a coordinator evenly for long and checks that memory and answer times stay what they were
    Soak(soak::Arguments),
    /// Makes hostile policies by the thousand and checks that none does harm
    Hostile(hostile::Arguments),
    /// Attacks a coordinator in every way at once while polite clients ask, and tells how they fare
    Flood(flood::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Policies(arguments) => policies::run(&arguments),
        Command::Premain(arguments) => premain::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Flood(arguments) => flood::run(&arguments),
        Command::Hostile(arguments) => hostile::run(&arguments),
        Command::Torture(arguments) => torture::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
    }
}
