//! `policy list HOST`.

use anstyle::Style;
use anyhow::Result;
use carrara_client::{Address, PolicyComponent};
use clap::Args;
use serde_json::{Value, json};

use crate::args::{Globals, Identity};
use crate::color;
use crate::commands::refusal::explain;
use crate::output::Output;
use crate::session::Session;

/// List the policies' components that a coordinator has
///
/// Shows which entries of the manifest, and of a pending update, name them, and those that come with the coordinator. Anybody
/// may.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: Identity,
}

pub(crate) async fn run(globals: &Globals, command: &List, output: &mut Output) -> Result<()> {
    let session = Session::new(globals, &command.host);
    let client = session.identified(session.trusted_client().await?, &command.user)?;
    let listed = client.policies().await.map_err(|error| explain(error, "listing the policies", &client))?;
    for component in &listed {
        show(component, output)?;
    }
    output.result(&listed.iter().map(value).collect::<Vec<_>>())
}

fn show(component: &PolicyComponent, output: &mut Output) -> Result<()> {
    let size = component.size.map_or_else(|| "not there".to_owned(), |size| format!("{size} bytes"));
    let worlds = component.worlds.join(", ");
    let style = if component.size.is_none() { color::BAD } else { Style::new() };
    let plain = Style::new();
    let digest = format!("{}  {worlds:<20}  ", component.digest);
    output.styled(&[
        (&digest, plain),
        (&size, style),
        (&format!("{:1$}  {2}", "", 14_usize.saturating_sub(size.len()), uses(component)), plain),
    ])
}

/// Who names it.
fn uses(component: &PolicyComponent) -> String {
    let mut uses = Vec::new();
    uses.extend(component.built_in.as_ref().map(|name| format!("built in as {name}")));
    if !component.used_by.is_empty() {
        uses.push(format!("in force as {}", component.used_by.join(", ")));
    }
    if !component.pending.is_empty() {
        uses.push(format!("in the pending update as {}", component.pending.join(", ")));
    }
    if uses.is_empty() { "named by no manifest".to_owned() } else { uses.join("; ") }
}

fn value(component: &PolicyComponent) -> Value {
    json!({
        "digest": component.digest,
        "worlds": component.worlds,
        "builtIn": component.built_in,
        "size": component.size,
        "usedBy": component.used_by,
        "pending": component.pending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    fn shown(component: Value) -> String {
        let kept = Kept::default();
        show(&serde_json::from_value(component).unwrap(), &mut kept.output(Format::Text)).unwrap();
        kept.text()
    }

    #[test]
    fn a_component_is_a_line_that_says_who_names_it() {
        let text = shown(json!({
            "digest": "sha256:aa", "worlds": ["role-authorization"], "size": 4096, "usedBy": ["a", "b"], "pending": ["a"],
        }));
        assert_eq!(
            text,
            "sha256:aa  role-authorization    4096 bytes      in force as a, b; in the pending update as a\n"
        );
        let text = shown(json!({ "digest": "sha256:aa", "size": 1, "builtIn": "rbac" }));
        assert!(text.ends_with("built in as rbac\n"), "{text}");
        let text = shown(json!({ "digest": "sha256:aa" }));
        assert!(text.contains("not there") && text.ends_with("named by no manifest\n"), "{text}");
    }

    #[test]
    fn no_name_forges_a_line() {
        let text = shown(json!({ "digest": "x\ny", "worlds": ["\u{1b}[2K"], "usedBy": ["a\nsha256:bb"] }));
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
