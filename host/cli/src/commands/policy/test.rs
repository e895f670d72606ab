//! `policy test [PROJECT|FILE]`: a table of cases, and properties that every policy of the world should have.

use std::path::PathBuf;

use anstyle::Style;
use anyhow::{Result, bail};
use carrara_author::asked::Asked;
use carrara_author::cases::{Case, CaseOutcome, CaseTable, JudgedSettings, Tally, run as run_case};
use carrara_author::corpus::Sample;
use carrara_author::properties::{Class, Outcome, of_world};
use carrara_wasm::World;
use clap::Args;
use serde_json::{Value, json};

use super::cases::{corpus, load, settings, table};
use super::source::{self, Source};
use crate::color;
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// Ask a component a table of cases
///
/// A table is YAML: `world`, `settings` and `cases`, each with `name`, `request` in the words of wit/, and `expect`: allow, failure,
/// {deny: {code: ..}}, {findings: [..]}, {rendered: [..]}, {render-error: {..}} or {refused-settings: [..]}. What is left out of
/// what is expected may be anything. With --properties what every policy of the world should be able to do is tried too: on
/// the cases' requests, on ordinary ones, and on more that are made from them. Exit code 1 if a case fails or a property does
/// not hold; advice alone is none.
///
///   carrara policy test
///   carrara policy test build/two-rooms.wasm --cases cases.yaml --properties
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// The component, or a project's folder [default: the project here]
    file: Option<PathBuf>,
    /// The table [default: cases.yaml of the project]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Which question the component is asked [default: the table's, the project's, or the only one that it can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// Try the properties of the world, too
    #[arg(long)]
    properties: bool,
    /// Settings for the properties: JSON, or any other text, which is given as a string [default: those of the table]
    #[arg(long, value_name = "FILE", requires = "properties")]
    settings: Option<PathBuf>,
    /// What the requests that are made depend on
    #[arg(long, value_name = "N", default_value_t = 1, requires = "properties")]
    seed: u64,
    /// How many requests are made
    #[arg(long, value_name = "N", default_value_t = 32, requires = "properties")]
    samples: usize,
}

pub(super) fn run(command: &Test, output: &mut Output) -> Result<()> {
    let source = Source::read(command.file.as_deref())?;
    let found = table(command.cases.as_deref(), &source)?;
    let world = source.world(command.world.or(found.as_ref().map(|(_, table)| table.world)))?;
    if found.is_none() && !command.properties {
        bail!("which cases? name a file with --cases, or try the properties of the world with --properties");
    }
    let given = settings(command.settings.as_deref())?;
    let trial = load(&source, world)?;
    let (mut tally, mut cases) = (Tally::default(), Vec::new());
    if let Some((path, table)) = &found {
        let mut judged = JudgedSettings::default();
        for case in &table.cases {
            let outcome = run_case(&trial, case, &mut judged);
            show_case(&path.display().to_string(), case, &outcome, output)?;
            tally.count(&outcome);
            cases.push(case_value(case, &outcome));
        }
        output.line(&format!("{} of {} cases passed", tally.passed, tally.passed + tally.failed))?;
    }
    let table = found.as_ref().map(|(_, table)| table);
    let outcomes = match command.properties {
        true => try_properties(command, &trial, table, given, output)?,
        false => Vec::new(),
    };
    output.result(&json!({
        "passed": tally.passed, "failed": tally.failed, "cases": cases, "properties": outcomes,
        "seed": command.properties.then_some(command.seed),
    }))?;
    conclude(tally, &outcomes)
}

fn try_properties(
    command: &Test,
    trial: &dyn Asked,
    table: Option<&CaseTable>,
    given: Option<String>,
    output: &mut Output,
) -> Result<Vec<Outcome>> {
    let settings =
        given.or_else(|| table.map(|table| table.settings.clone())).unwrap_or_else(|| "null".to_owned());
    let corpus: Vec<Sample> = corpus(table, &settings, trial.world(), command.seed, command.samples);
    let mut outcomes = Vec::new();
    for property in of_world(trial.world()) {
        let outcome = property.run(trial, &settings, &corpus);
        show_property(&outcome, command.seed, output)?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn conclude(tally: Tally, outcomes: &[Outcome]) -> Result<()> {
    let broken = outcomes
        .iter()
        .filter(|outcome| outcome.class == Class::Required && outcome.broken.is_some())
        .count();
    let cases = |count| if count == 1 { "1 case failed".to_owned() } else { format!("{count} cases failed") };
    let properties = |count| {
        if count == 1 {
            "1 property does not hold".to_owned()
        } else {
            format!("{count} properties do not hold")
        }
    };
    let text = match (tally.failed, broken) {
        (0, 0) => return Ok(()),
        (failed, 0) => cases(failed),
        (0, broken) => properties(broken),
        (failed, broken) => format!("{}, {}", cases(failed), properties(broken)),
    };
    Err(Ending::new(ExitCode::Error, text).into())
}

fn show_case(file: &str, case: &Case, outcome: &CaseOutcome, output: &mut Output) -> Result<()> {
    let plain = Style::new();
    if outcome.passed() {
        let fuel =
            outcome.answer.as_ref().map(|_| format!("  (fuel {})", outcome.report.fuel)).unwrap_or_default();
        return output.styled(&[("ok    ", color::NEW), (&case.name, plain), (&fuel, color::ASIDE)]);
    }
    let place = format!("  ({file}:{})", case.line);
    output.styled(&[("FAIL  ", color::BAD), (&case.name, plain), (&place, color::ASIDE)])?;
    for difference in &outcome.differences {
        output.styled(&[("      ", plain), (&difference.what, plain)])?;
        output.styled(&[("        expected  ", plain), (&difference.expected, color::NEW)])?;
        output.styled(&[("        got       ", plain), (&difference.got, color::OLD)])?;
    }
    outcome.report.log.iter().try_for_each(|line| {
        output.styled(&[("      log ", plain), (line.level, plain), (": ", plain), (&line.text, plain)])
    })
}

fn case_value(case: &Case, outcome: &CaseOutcome) -> Value {
    json!({
        "name": case.name, "line": case.line, "passed": outcome.passed(), "answer": outcome.answer,
        "differences": outcome.differences, "fuel": outcome.report.fuel,
    })
}

fn show_property(outcome: &Outcome, seed: u64, output: &mut Output) -> Result<()> {
    let plain = Style::new();
    let name = format!("{:<20}", outcome.name);
    let Some(broken) = &outcome.broken else {
        let tried = format!("  (tried {} times)", outcome.tried);
        return output.styled(&[
            ("ok    ", color::NEW),
            (&name, plain),
            (outcome.says, plain),
            (&tried, color::ASIDE),
        ]);
    };
    let (mark, style) = match outcome.class {
        Class::Required => ("FAIL  ", color::BAD),
        Class::Advisory => ("note  ", color::DOUBTFUL),
    };
    output.styled(&[(mark, style), (&name, plain), (outcome.says, plain)])?;
    for line in broken.explanation.lines() {
        output.styled(&[("      ", plain), (line, plain)])?;
    }
    output.styled(&[("      settings  ", plain), (&shortened(&broken.settings), plain)])?;
    if let Some(request) = &broken.request {
        output.styled(&[("      request   ", plain), (&shortened(&request.to_string()), plain)])?;
    }
    match &broken.sample {
        Some(sample) => output.styled(&[
            ("      found with  ", plain),
            (sample, plain),
            (&format!(" (--seed {seed})"), plain),
        ]),
        None => Ok(()),
    }
}

/// The JSON output has all of it.
fn shortened(text: &str) -> String {
    const MOST: usize = 1000;
    let shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        format!("{shown}... ({} bytes; --output json shows all)", text.len())
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use carrara_author::properties::Counterexample;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    fn outcome(class: Class, is_broken: bool) -> Outcome {
        let counterexample = Counterexample {
            explanation: "it trapped\ntwice".to_owned(),
            sample: Some("generated 3".to_owned()),
            settings: "null".to_owned(),
            request: Some(json!({ "action": "a\u{1b}[2J" })),
        };
        Outcome {
            name: "no-trap",
            says: "every request is answered",
            class,
            tried: 7,
            broken: is_broken.then_some(counterexample),
        }
    }

    #[test]
    fn failed_cases_and_properties_end_the_program_and_advice_does_not() {
        let tally = |failed| Tally { passed: 1, failed };
        assert!(
            conclude(tally(0), &[outcome(Class::Required, false), outcome(Class::Advisory, true)]).is_ok()
        );
        let error = conclude(tally(2), &[outcome(Class::Required, true)]).unwrap_err();
        assert_eq!(error.to_string(), "2 cases failed, 1 property does not hold");
        assert_eq!(ExitCode::of(&error), ExitCode::Error);
        assert_eq!(conclude(tally(1), &[]).unwrap_err().to_string(), "1 case failed");
    }

    #[test]
    fn a_property_that_does_not_hold_shows_its_request_and_seed_and_drives_no_terminal() {
        let kept = Kept::default();
        show_property(&outcome(Class::Required, true), 9, &mut kept.output(Format::Text)).unwrap();
        let text = kept.text();
        assert!(text.starts_with("FAIL  no-trap"), "{text}");
        assert!(
            text.contains("      it trapped\n      twice\n") && text.contains("generated 3 (--seed 9)"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}') && text.contains("2J"), "{text}");
        let kept = Kept::default();
        show_property(&outcome(Class::Advisory, true), 9, &mut kept.output(Format::Text)).unwrap();
        assert!(kept.text().starts_with("note  no-trap"));
    }

    #[test]
    fn a_case_that_fails_shows_its_place_and_what_differs() {
        let text = "world: role-authorization\ncases: [{name: mine, request: {}, expect: allow}]\n";
        let table = CaseTable::parse(text, std::path::Path::new("cases.yaml")).unwrap();
        let differences = vec![carrara_author::cases::Difference {
            what: "answer".to_owned(),
            expected: "allow".to_owned(),
            got: "deny x: y\nz".to_owned(),
        }];
        let failed = CaseOutcome { answer: None, report: carrara_wasm::CallReport::default(), differences };
        let kept = Kept::default();
        show_case("cases.yaml", &table.cases[0], &failed, &mut kept.output(Format::Text)).unwrap();
        let expected = "FAIL  mine  (cases.yaml:2)\n      answer\n        expected  allow\n        got       deny x: y\\nz\n";
        assert_eq!(kept.text(), expected);
    }
}
