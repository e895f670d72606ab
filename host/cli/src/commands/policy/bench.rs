//! `policy bench [PROJECT|FILE]`: what a call costs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use carrara_author::bench::{Effort, Figures, measure};
use carrara_wasm::World;
use clap::Args;
use serde_json::json;

use super::cases::{corpus, load, settings, table, warn_of_refused};
use super::source::{self, Source, size};
use crate::output::Output;

/// Measure what a component's calls cost
///
/// Asks each request of the table again and again; without a table, ordinary requests of the world. Fuel is the same on every
/// machine, times are this machine's and hold a fresh instance for each call, as in a coordinator.
///
///   carrara policy bench
///   carrara policy bench build/two-rooms.wasm --cases cases.yaml --output json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bench {
    /// The component, or a project's folder [default: the project here]
    file: Option<PathBuf>,
    /// The table whose requests are asked [default: cases.yaml of the project, else ordinary requests]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Which question the component is asked [default: the table's, the project's, or the only one that it can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// Settings for ordinary requests: JSON, or any other text, which is given as a string
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    settings: Option<PathBuf>,
    /// Calls of each request, at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    calls: usize,
    /// Seconds for each request, at most
    #[arg(long, value_name = "N", default_value_t = 2)]
    seconds: u64,
}

pub(super) fn run(command: &Bench, output: &mut Output) -> Result<()> {
    let source = Source::read(command.file.as_deref())?;
    let found = table(command.cases.as_deref(), &source)?;
    let world = source.world(command.world.or(found.as_ref().map(|(_, table)| table.world)))?;
    let given = settings(command.settings.as_deref())?.unwrap_or_else(|| "null".to_owned());
    let samples = match &found {
        Some((_, table)) => carrara_author::corpus::of_cases(table),
        None => corpus(None, &given, world, 0, 0),
    };
    let began = Instant::now();
    let trial = load(&source, world)?;
    let compiled = began.elapsed();
    output.line(&format!(
        "{}: {}, compiles in {:.2} s",
        source.path.display(),
        size(source.component.len() as u64),
        compiled.as_secs_f64()
    ))?;
    output.line(&format!(
        "{:>13} {:>10} {:>10} {:>9} {:>6}  request",
        "fuel", "p50", "p99", "memory", "calls"
    ))?;
    warn_of_refused(&source.path, &trial, samples.iter().map(|sample| sample.settings.as_str()));
    let effort = Effort { calls: command.calls.max(1), time: Duration::from_secs(command.seconds) };
    let mut all = Vec::new();
    for sample in &samples {
        let figures = measure(&trial, sample, effort);
        output.line(&line(&figures))?;
        all.push(figures);
    }
    let limits = trial.limits();
    output.line(&format!(
        "a call may use fuel {}, {} ms and {}",
        limits.fuel,
        limits.deadline.as_millis(),
        size(limits.memory as u64)
    ))?;
    output.result(&json!({
        "file": source.path, "world": world, "size": source.component.len(),
        "compile-ms": u64::try_from(compiled.as_millis()).unwrap_or(u64::MAX), "requests": all,
        "limits": { "fuel": limits.fuel, "deadline-ms": limits.deadline.as_millis() as u64, "memory": limits.memory },
    }))
}

fn line(figures: &Figures) -> String {
    let Figures { name, verdict, calls, fuel, p50_us, p99_us, memory } = figures;
    let (p50, p99) = (milliseconds(*p50_us), milliseconds(*p99_us));
    let memory = size(*memory as u64);
    let name = crate::output::escaped(name);
    format!("{fuel:>13} {p50:>10} {p99:>10} {memory:>9} {calls:>6}  {name} ({verdict})")
}

fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line_of_figures() {
        let figures = Figures {
            name: "a\nb".to_owned(),
            verdict: "allow",
            calls: 200,
            fuel: 12_345,
            p50_us: 1_042,
            p99_us: 90,
            memory: 131_072,
        };
        let expected = "        12345   1.042 ms   0.090 ms   128 KiB    200  a\\nb (allow)";
        assert_eq!(line(&figures), expected);
    }
}
