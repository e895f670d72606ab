//! `policy run [FILE]`: one request, one answer, and what that cost.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::Style;
use anyhow::{Context, Result, anyhow, bail};
use carrara_author::question::{Answer, Question, ask};
use carrara_wasm::{CallReport, Trial, World};
use clap::Args;
use serde_json::json;

use super::cases::{load, settings};
use super::source::{self, Source, size};
use crate::color;
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// What a project's own request is called.
const REQUEST: &str = "request.json";

/// Ask a component one request
///
/// The request is a JSON file in the words of wit/, such as {"action": "ReadSecret", "resource-names": ["a"]}; what is left out is
/// empty. In a validation `manifest` and `current` may be manifests or names of files; in a rendering `secrets` describes them, and the
/// answer shows where they go. The answer is printed as JSON, with the log, fuel, time and memory. A denial is an answer (exit
/// code 0); exit code 1 if there is none, and 5 if the settings are refused.
///
///   carrara policy run
///   carrara policy run build/two-rooms.wasm --request request.json --settings settings.json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    /// The component, or a project's folder [default: the project here]
    file: Option<PathBuf>,
    /// Which question it is asked [default: the project's, or the only one that it can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// The request [default: request.json of the project]
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// What the manifest's entry has as Settings: JSON, or any other text, such as Cedar, which is given as a string
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

pub(super) fn run(command: &Run, output: &mut Output) -> Result<()> {
    let source = Source::read(command.file.as_deref())?;
    let world = source.world(command.world)?;
    let question = question(command, &source, world)?;
    let settings = settings(command.settings.as_deref())?.unwrap_or_else(|| "null".to_owned());
    let trial = load(&source, world)?;
    accept_settings(&trial, &settings, command.settings.as_deref())?;
    let (answer, report) = ask(&trial, &settings, &question);
    show(&answer, &report, &trial, output)?;
    output.result(&json!({
        "answer": answer, "allows": answer.allows(), "fuel": report.fuel, "duration-us": micros(report.duration),
        "memory": report.memory,
        "log": report.log.iter().map(|line| json!({ "level": line.level, "text": line.text })).collect::<Vec<_>>(),
    }))?;
    match answer {
        Answer::Failure(reason) => {
            Err(anyhow!("the policy could not decide: {reason}; a coordinator denies such a request"))
        }
        _ => Ok(()),
    }
}

fn question(command: &Run, source: &Source, world: World) -> Result<Question> {
    let own = source.project.as_ref().map(|project| project.folder.join(REQUEST));
    let Some(path) = command.request.clone().or(own) else {
        bail!("which request? name a file with --request, or a project's folder, which has a {REQUEST}");
    };
    let text = source::text(&path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Question::read_text(world, &text, folder).with_context(|| format!("reading {}", path.display()))
}

/// A coordinator asks this when a manifest is set, and refuses the manifest.
fn accept_settings(trial: &Trial, settings: &str, file: Option<&Path>) -> Result<()> {
    let name = file.map_or_else(|| "no settings (null)".to_owned(), |file| file.display().to_string());
    let errors = trial.check_settings(settings).answer.map_err(|failure| {
        anyhow!(
            "the policy could not judge its settings: {}; a coordinator refuses such a manifest",
            failure.reason
        )
    })?;
    if errors.is_empty() {
        return Ok(());
    }
    let line = |error: &carrara_wasm::SettingsError| {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{name}:{}:{}: {}{hint}", error.line, error.column, error.message)
    };
    let lines: Vec<_> = errors.iter().map(line).collect();
    let text = format!("the policy refuses its settings\n{}", lines.join("\n"));
    Err(Ending::new(ExitCode::Findings, text).into())
}

fn show(answer: &Answer, report: &CallReport, trial: &Trial, output: &mut Output) -> Result<()> {
    let text = serde_json::to_string_pretty(answer).context("writing the answer as JSON")?;
    output.line(&text)?;
    for line in &report.log {
        let style = if line.level == "warn" { color::DOUBTFUL } else { Style::new() };
        let level = format!("{:<5} ", line.level);
        output.styled(&[("log     ", Style::new()), (&level, style), (&line.text, Style::new())])?;
    }
    let limits = trial.limits();
    output.line(&format!("fuel    {} of {}", report.fuel, limits.fuel))?;
    output.line(&format!(
        "time    {:.1} ms of {} ms",
        micros(report.duration) as f64 / 1e3,
        limits.deadline.as_millis()
    ))?;
    output.line(&format!("memory  {} of {}", size(report.memory as u64), size(limits.memory as u64)))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
