//! `policy replay COMPONENT`: recorded decisions against another component, and what would change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anstyle::Style;
use anyhow::{Context, Result, bail};
use carrara_author::replay::{Change, Manifests, Replay as Replayed, parse_records, policies_of, replay};
use carrara_client::{Address, Client, ClientError, DecisionQuery};
use carrara_types::decision_record::DecisionRecord;
use carrara_wasm::World;
use clap::Args;

use super::cases::{load, settings, warn_of_refused};
use super::diff::percent;
use super::source::{self, Source};
use crate::args::{Globals, Identity};
use crate::color;
use crate::commands::refusal::explain;
use crate::exit::{Ending, ExitCode};
use crate::files;
use crate::output::{Output, warn};
use crate::session::Session;

/// Ask a component what was decided before, and show what would change
///
/// The decisions come from a file, as `carrara policy decisions --json` writes it, or from a coordinator, for users with the action
/// ReadDecisions on a role of type Manifest. Decisions do not hold settings: give those that the component is going to have.
/// Validations are asked again where their manifests are at hand: those named by --manifest, and with --coordinator the one in force.
/// Decisions that were too large to be kept whole are not asked again.
///
///   carrara policy replay build/two-rooms.wasm --from decisions.json --name two-rooms
///   carrara policy replay build/two-rooms.wasm --coordinator localhost:4433 -c user.pem -k user-key.pem
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[group(id = "records", required = true, multiple = false, args = ["from", "coordinator"])]
pub(crate) struct Replay {
    /// The component, or a project's folder
    component: PathBuf,
    /// Recorded decisions
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// HOST:PORT of the coordinator whose decisions are replayed
    #[arg(long, value_name = "HOST")]
    coordinator: Option<Address>,
    #[command(flatten)]
    user: Identity,
    /// The decisions of this policy alone [default: of the only one of the component's world]
    #[arg(long, value_name = "POLICY")]
    name: Option<String>,
    /// Which question the component is asked [default: the project's, or the only one that it can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// Settings of the component: JSON, or any other text, which is given as a string
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A manifest as it was uploaded; may be given more than once
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// End with 5 if a decision would have another verdict or is not replayed
    #[arg(long)]
    exit_code: bool,
}

pub(super) async fn run(globals: &Globals, command: &Replay, output: &mut Output) -> Result<()> {
    let source = Source::read(Some(&command.component))?;
    let world = source.world(command.world)?;
    let settings = settings(command.settings.as_deref())?.unwrap_or_else(|| "null".to_owned());
    let mut manifests = Manifests::default();
    for path in &command.manifest {
        if !manifests.add(&files::read(path)?) {
            bail!("{} is no manifest", path.display());
        }
    }
    let records = match (&command.from, &command.coordinator) {
        (Some(path), _) => from_file(path)?,
        (None, Some(host)) => from_coordinator(globals, command, host, &mut manifests).await?,
        (None, None) => Vec::new(),
    };
    let trial = load(&source, world)?;
    let name = policy(command.name.as_deref(), policies_of(&records, &trial), world)?;
    warn_of_refused(&source.path, &trial, [settings.as_str()]);
    let chosen = records.iter().filter(|record| record.policy == name);
    let replayed = replay(&trial, &settings, chosen, &manifests);
    show(&name, &replayed, output)?;
    output.result(&replayed)?;
    match finding(&replayed) {
        Some(text) if command.exit_code => Err(Ending::new(ExitCode::Findings, text).into()),
        _ => Ok(()),
    }
}

/// Why a script must not go on: what was not asked is not known to stay the same.
fn finding(replayed: &Replayed) -> Option<String> {
    let Replayed { replayed: asked, not_replayable, cut, changes, .. } = replayed;
    match (changes.len(), not_replayable + cut, asked) {
        (0, 0, 0) => Some("there was nothing to replay".to_owned()),
        (0, 0, _) => None,
        (0, left, _) => Some(format!("{left} decisions are not replayed")),
        (count, 0, _) => Some(format!("{count} decisions would be others")),
        (count, left, _) => Some(format!("{count} decisions would be others, {left} are not replayed")),
    }
}

/// Whose decisions: another policy's would be compared with what it was never asked for.
fn policy(named: Option<&str>, there: BTreeSet<String>, world: World) -> Result<String> {
    let list = there.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (named, there.len()) {
        (Some(name), _) if there.contains(name) => Ok(name.to_owned()),
        (_, 0) => bail!("there are no decisions of the world {world}"),
        (Some(name), _) => bail!(
            "there are no decisions of a policy {name:?} of the world {world}; there are some of {list}"
        ),
        (None, 1) => Ok(list),
        (None, _) => bail!("whose decisions? name one of {list} with --name"),
    }
}

fn from_file(path: &Path) -> Result<Vec<DecisionRecord>> {
    let text = source::text(path)?;
    parse_records(&text).with_context(|| format!("reading {}", path.display()))
}

async fn from_coordinator(
    globals: &Globals,
    command: &Replay,
    host: &Address,
    manifests: &mut Manifests,
) -> Result<Vec<DecisionRecord>> {
    let session = Session::new(globals, host);
    let client = session.identified(session.cached_client()?, &command.user)?;
    let records = read_all(&client, command.name.as_deref()).await;
    let records = records.map_err(|error| explain(error, "reading the policies' decisions", &client))?;
    // Needed for validations only, and one that cannot be read makes fewer of them replayable.
    match client.manifest().await {
        Ok(manifest) => drop(manifests.add(&manifest.manifest)),
        Err(error) => warn(&format!("the manifest in force is not read: {error}")),
    }
    parse_records(&serde_json::Value::from(records).to_string())
        .context("reading the coordinator's decisions")
}

async fn read_all(client: &Client, policy: Option<&str>) -> Result<Vec<serde_json::Value>, ClientError> {
    let mut query = DecisionQuery { policy: policy.map(str::to_owned), ..DecisionQuery::default() };
    let mut records = Vec::new();
    loop {
        let page = client.decisions(&query).await?;
        records.extend(page.records);
        if page.next >= page.last || page.next <= query.after {
            return Ok(records);
        }
        query.after = page.next;
    }
}

fn show(name: &str, replayed: &Replayed, output: &mut Output) -> Result<()> {
    let plain = Style::new();
    for Change { sequence, summary, old, new, new_answer, old_answer, .. } in &replayed.changes {
        let style = if *new == "allow" { color::DOUBTFUL } else { color::BAD };
        output.styled(&[(&format!("{sequence:>6}  {old} -> {new}  "), style), (summary, plain)])?;
        output.styled(&[("        - ", plain), (old_answer, color::OLD)])?;
        output.styled(&[("        + ", plain), (new_answer, color::NEW)])?;
    }
    let Replayed { replayed: count, not_replayable, cut, other_settings, other_texts, changes, .. } =
        replayed;
    output.styled(&[(
        &format!("{count} decisions of {name} replayed, {} would be others", changes.len()),
        plain,
    )])?;
    for (old, counts) in &replayed.verdicts {
        for (new, count) in counts {
            output.line(&format!("  {old:>6} -> {new:<6} {count}"))?;
        }
    }
    if *other_texts > 0 {
        output.line(&format!("  {other_texts} with the same verdict and another text"))?;
    }
    output.line(&format!(
        "fuel {} -> {}{}",
        replayed.fuel_old,
        replayed.fuel_new,
        percent(replayed.fuel_old, replayed.fuel_new)
    ))?;
    if *not_replayable > 0 {
        warn(&format!(
            "{not_replayable} decisions are not replayed: their manifests are not at hand (--manifest)"
        ));
    }
    if *cut > 0 {
        warn(&format!("{cut} decisions are not replayed: they were too large to be kept whole"));
    }
    if *other_settings > 0 {
        warn(&format!(
            "{other_settings} decisions were made with other settings than those given (--settings)"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    #[test]
    fn the_policy_is_the_one_that_is_named_or_the_only_one() {
        let there = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let chosen = |named, names: &[&str]| policy(named, there(names), World::RoleAuthorization);
        assert_eq!(chosen(None, &["a"]).unwrap(), "a");
        assert_eq!(chosen(Some("b"), &["a", "b"]).unwrap(), "b");
        for (named, names, part) in [
            (None, &["a", "b"][..], "one of a, b"),
            (Some("c"), &["a", "b"], "of a, b"),
            (None, &[], "role-authorization"),
        ] {
            let error = chosen(named, names).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_was_not_asked_is_no_success() {
        let found =
            |replayed, not_replayable| finding(&Replayed { replayed, not_replayable, ..Replayed::default() });
        assert_eq!(found(0, 0).as_deref(), Some("there was nothing to replay"));
        assert_eq!(found(1, 0), None);
        assert_eq!(found(1, 1).as_deref(), Some("1 decisions are not replayed"));
        assert_eq!(found(0, 2).as_deref(), Some("2 decisions are not replayed"));
        let cut = Replayed { replayed: 1, not_replayable: 1, cut: 2, ..Replayed::default() };
        assert_eq!(finding(&cut).as_deref(), Some("3 decisions are not replayed"));
    }

    #[test]
    fn what_would_change_is_listed_and_counted() {
        let change = Change {
            sequence: 7,
            time_ms: 0,
            summary: "frank ReadSecret a\nb".to_owned(),
            request: json!({}),
            old: "allow",
            new: "deny",
            old_answer: "allow".to_owned(),
            new_answer: "deny c: m".to_owned(),
        };
        let verdicts = BTreeMap::from([("allow", BTreeMap::from([("allow", 2), ("deny", 1)]))]);
        let replayed = Replayed {
            replayed: 3,
            verdicts,
            changes: vec![change],
            fuel_old: 10,
            fuel_new: 20,
            ..Replayed::default()
        };
        let kept = Kept::default();
        show("rooms", &replayed, &mut kept.output(Format::Text)).unwrap();
        let expected = "     7  allow -> deny  frank ReadSecret a\\nb\n        - allow\n        + deny c: m\n\
                        3 decisions of rooms replayed, 1 would be others\n   allow -> allow  2\n   allow -> deny   1\n\
                        fuel 10 -> 20 (+100 %)\n";
        assert_eq!(kept.text(), expected);
        assert_eq!(finding(&replayed).as_deref(), Some("1 decisions would be others"));
    }
}
