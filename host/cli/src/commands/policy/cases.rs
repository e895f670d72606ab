//! What `test`, `bench`, `diff` and `replay` share: a component that is ready, and the requests that it is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_author::asked::Asked;
use carrara_author::cases::{CASES_FILE, CaseTable};
use carrara_author::corpus::{Sample, generated, of_cases, samples};
use carrara_author::question::settings_text;
use carrara_wasm::{PolicySource, Trial, World};

use super::source::{self, Source};
use crate::output::warn;

/// The component of a source, compiled as a coordinator would.
pub(super) fn load(source: &Source, world: World) -> Result<Trial> {
    let policy = PolicySource::new(source.name(), world, source.component.clone());
    Trial::load(policy).with_context(|| source.path.display().to_string())
}

/// The table that is named, or a project's own; `None` where there is neither.
pub(super) fn table(named: Option<&Path>, source: &Source) -> Result<Option<(PathBuf, CaseTable)>> {
    let own =
        source.project.as_ref().map(|project| project.folder.join(CASES_FILE)).filter(|path| path.exists());
    let Some(path) = named.map(Path::to_owned).or(own) else { return Ok(None) };
    let table = CaseTable::read(&path)?;
    if let Ok(world) = source.world(Some(table.world)).and_then(|_| source.world(None))
        && world != table.world
    {
        bail!(
            "{}: the cases are for the world {}, and the policy is for {world}",
            path.display(),
            table.world
        );
    }
    Ok(Some((path, table)))
}

/// Warns of settings that the policy refuses: a coordinator would refuse the manifest, and the answers mean little.
pub(super) fn warn_of_refused<'a>(
    whose: &Path,
    asked: &dyn Asked,
    settings: impl IntoIterator<Item = &'a str>,
) {
    for text in settings.into_iter().collect::<BTreeSet<_>>() {
        let reason = match asked.check_settings(text) {
            Ok(errors) => match errors.first() {
                None => continue,
                Some(error) => format!("{}:{}: {}", error.line, error.column, error.message),
            },
            Err(reason) => reason,
        };
        let shown: String = text.chars().take(60).collect();
        warn(&format!("{} refuses the settings {shown}: {reason}", whose.display()));
    }
}

/// The text of a file of settings as a policy gets it; `null` without one.
pub(super) fn settings(file: Option<&Path>) -> Result<Option<String>> {
    file.map(|path| Ok(settings_text(&source::text(path)?))).transpose()
}

/// The table's requests where there are some, ordinary ones of the world, and so many made from all of these.
pub(super) fn corpus(
    table: Option<&CaseTable>,
    settings: &str,
    world: World,
    seed: u64,
    more: usize,
) -> Vec<Sample> {
    let mut corpus = table.map(of_cases).unwrap_or_default();
    corpus
        .extend(samples(world).into_iter().map(|sample| Sample { settings: settings.to_owned(), ..sample }));
    let made = generated(&corpus, seed, more);
    corpus.extend(made);
    corpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_holds_the_cases_first_then_samples_with_the_settings_then_what_is_made_of_them() {
        let text =
            "world: marble-admission\nsettings: 1\ncases: [{name: mine, request: {}, expect: allow}]\n";
        let table = CaseTable::parse(text, Path::new("cases.yaml")).unwrap();
        let corpus = corpus(Some(&table), "2", World::MarbleAdmission, 1, 5);
        let own = samples(World::MarbleAdmission).len();
        assert_eq!(corpus.len(), 1 + own + 5);
        assert_eq!((corpus[0].name.as_str(), corpus[0].settings.as_str()), ("mine", "1"));
        assert!(corpus[1..=own].iter().all(|sample| sample.settings == "2"));
        assert!(corpus[1 + own].name.contains("seed 1"));
    }

    #[test]
    fn settings_are_a_file_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.cedar");
        std::fs::write(&path, "permit(\n").unwrap();
        assert_eq!(settings(Some(&path)).unwrap().as_deref(), Some("\"permit(\\n\""));
        assert_eq!(settings(None).unwrap(), None);
    }
}
