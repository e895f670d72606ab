//! `carrara`: the users' tool. Arguments in, one command, text or JSON out.
//!
//! Results go to stdout, warnings and `Error: ...` to stderr; the exit codes are in [`exit`]. Whom a command trusts is
//! decided in [`session`]; nothing here verifies evidence itself. Keys and secrets pass through this process, so no core
//! file holds its memory and no other process of the same user reads it.
//!
//! A library for the one reason that tests run the same program with a root of their own (feature `testing`).

mod archive;
mod args;
mod color;
mod commands;
mod confirm;
mod exit;
mod files;
mod manifest_diff;
mod manifest_file;
mod output;
mod patience;
mod session;
mod token;
mod token_file;
mod verbose;
mod yaml_marks;

use std::io::ErrorKind;

use clap::Parser;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::args::{Arguments, Globals};
use crate::exit::ExitCode;
use crate::output::{Output, complain};

/// Runs the command of this process's arguments.
pub async fn main() -> std::process::ExitCode {
    run(|_| ()).await.into()
}

/// The same, but that quotes are verified by another root (DER) than Intel's. In tests only: no released program has this.
#[cfg(feature = "testing")]
pub async fn main_with_root(root: Vec<u8>) -> std::process::ExitCode {
    run(|globals| globals.root = Some(root)).await.into()
}

async fn run(set: impl FnOnce(&mut Globals)) -> ExitCode {
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    set(&mut arguments.globals);
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        complain(&format!("Warning: other processes of this user may read this one's memory: {error}"));
    }
    color::decide(arguments.globals.color);
    let mut output = Output::new(arguments.globals.output);
    match commands::run(arguments, &mut output).await {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            let code = ExitCode::of(&error);
            if code != ExitCode::Unread {
                complain(&format!("Error: {error:#}"));
            }
            code
        }
    }
}

/// Help and version are results; everything else is an error with exit code 1.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::Success,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::Unread,
            Err(_) => ExitCode::Error,
        };
    }
    let text = error.render().to_string();
    complain(&match text.strip_prefix("error:") {
        Some(rest) => format!("Error:{}", rest.trim_end()),
        None => text.trim_end().to_owned(),
    });
    ExitCode::Error
}
