//! `policy diff OLD NEW`: which requests two components answer differently.

use std::path::{Path, PathBuf};

use anstyle::Style;
use anyhow::{Context, Result, bail};
use carrara_author::cases::CaseTable;
use carrara_author::corpus::{Sample, of_cases};
use carrara_author::diff::{Change, Comparison, Side, compare};
use carrara_author::replay::{Manifests, parse_records, sample_of};
use carrara_author::words::in_words;
use carrara_wasm::World;
use clap::Args;

use super::cases::{corpus, load, settings, warn_of_refused};
use super::source::{self, Source};
use crate::color;
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// What stands for requests that are made.
const GENERATED: &str = "generated";

/// Show which requests two components answer differently
///
/// Asks both the same: the requests of a table of cases, those of recorded decisions, or ordinary ones of the world and more that
/// are made from them. OLD and NEW may be one component with other settings, such as another version of a Cedar text. Exit code 5
/// if an answer differs, also where only its text does.
///
///   carrara policy diff old.wasm build/two-rooms.wasm --corpus cases.yaml
///   carrara policy diff cedar.wasm cedar.wasm --settings old.cedar --new-settings new.cedar
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Diff {
    /// The component that it was, or a project's folder
    old: PathBuf,
    /// The component that it is going to be, or a project's folder
    new: PathBuf,
    /// A table of cases (.yaml), recorded decisions (.json), or `generated`
    #[arg(long, value_name = "CORPUS", default_value = GENERATED)]
    corpus: String,
    /// Which question they are asked [default: the table's, or the only one that NEW can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// Settings of both: JSON, or any other text, which is given as a string [default: those of the table]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Settings of NEW [default: as --settings]
    #[arg(long, value_name = "FILE")]
    new_settings: Option<PathBuf>,
    /// What the requests that are made depend on
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many requests are made
    #[arg(long, value_name = "N", default_value_t = 200)]
    samples: usize,
}

pub(super) fn run(command: &Diff, output: &mut Output) -> Result<()> {
    let (old, new) = (Source::read(Some(&command.old))?, Source::read(Some(&command.new))?);
    let table = match is_table(&command.corpus) {
        true => Some(CaseTable::read(Path::new(&command.corpus))?),
        false => None,
    };
    let world = new.world(command.world.or(table.as_ref().map(|table| table.world)))?;
    let both = settings(command.settings.as_deref())?;
    let newer = settings(command.new_settings.as_deref())?.or_else(|| both.clone());
    let samples = match &table {
        Some(table) => of_cases(table),
        None if command.corpus == GENERATED => {
            corpus(None, both.as_deref().unwrap_or("null"), world, command.seed, command.samples)
        }
        None => recorded(Path::new(&command.corpus), world)?,
    };
    if samples.is_empty() {
        bail!("{} holds no requests of the world {world}", command.corpus);
    }
    let (old_trial, new_trial) = (load(&old, world)?, load(&new, world)?);
    let texts = |given: Option<&str>| -> Vec<String> {
        samples.iter().map(|sample| given.unwrap_or(&sample.settings).to_owned()).collect()
    };
    warn_of_refused(&old.path, &old_trial, texts(both.as_deref()).iter().map(String::as_str));
    warn_of_refused(&new.path, &new_trial, texts(newer.as_deref()).iter().map(String::as_str));
    let comparison = compare(
        Side { asked: &old_trial, settings: both.as_deref() },
        Side { asked: &new_trial, settings: newer.as_deref() },
        &samples,
    );
    show(&comparison, output)?;
    output.result(&comparison)?;
    match comparison.changes.len() {
        0 => Ok(()),
        count => {
            let text = format!("{count} of {} requests are answered differently", comparison.asked);
            Err(Ending::new(ExitCode::Findings, text).into())
        }
    }
}

fn is_table(corpus: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| corpus.ends_with(ending))
}

fn recorded(path: &Path, world: World) -> Result<Vec<Sample>> {
    let text = source::text(path)?;
    let records = parse_records(&text).with_context(|| format!("reading {}", path.display()))?;
    let manifests = Manifests::default();
    let of_world = records.iter().filter(|record| record.world == world);
    Ok(of_world.filter_map(|record| sample_of(record, &manifests)).collect())
}

fn show(comparison: &Comparison, output: &mut Output) -> Result<()> {
    let plain = Style::new();
    for Change { name, verdict_differs, old, new, .. } in &comparison.changes {
        let (mark, style) =
            if *verdict_differs { ("verdict  ", color::BAD) } else { ("text     ", color::DOUBTFUL) };
        output.styled(&[(mark, style), (name, plain)])?;
        output.styled(&[("         - ", plain), (&in_words(old), color::OLD)])?;
        output.styled(&[("         + ", plain), (&in_words(new), color::NEW)])?;
    }
    let Comparison { asked, changes, fuel_old, fuel_new, grew_most } = comparison;
    output.line(&format!("{asked} requests, {} answered differently", changes.len()))?;
    output.line(&format!("fuel {fuel_old} -> {fuel_new}{}", percent(*fuel_old, *fuel_new)))?;
    match grew_most {
        Some((name, old, new)) => {
            output.styled(&[(&format!("fuel grew most from {old} to {new}: {name}"), plain)])
        }
        None => Ok(()),
    }
}

/// ` (+12 %)`; nothing where there was nothing.
pub(super) fn percent(old: u64, new: u64) -> String {
    if old == 0 {
        return String::new();
    }
    let change = (i128::from(new) - i128::from(old)) * 100 / i128::from(old);
    format!(" ({change:+} %)")
}

#[cfg(test)]
mod tests {
    use carrara_author::question::Answer;
    use serde_json::json;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    #[test]
    fn what_differs_is_shown_with_both_answers_and_the_fuel() {
        let change = Change {
            name: "a case".to_owned(),
            verdict_differs: true,
            request: json!({}),
            old: Answer::Allow,
            new: Answer::Failure("it trapped".to_owned()),
        };
        let comparison = Comparison {
            asked: 3,
            changes: vec![change],
            fuel_old: 200,
            fuel_new: 150,
            grew_most: Some(("another".to_owned(), 1, 2)),
        };
        let kept = Kept::default();
        show(&comparison, &mut kept.output(Format::Text)).unwrap();
        let expected = "verdict  a case\n         - allow\n         + failure: it trapped\n3 requests, 1 answered differently\n\
                        fuel 200 -> 150 (-25 %)\nfuel grew most from 1 to 2: another\n";
        assert_eq!(kept.text(), expected);
        assert_eq!((percent(0, 5), percent(100, 112)), (String::new(), " (+12 %)".to_owned()));
    }

    #[test]
    fn a_corpus_is_a_table_by_its_name() {
        assert!(is_table("a.yaml") && is_table("a.yml") && !is_table("a.json") && !is_table(GENERATED));
    }
}
