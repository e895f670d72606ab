//! `audit HOST`: the audit trail, oldest first; with `--follow` also what is added.

use std::time::Duration;

use anyhow::Result;
use carrara_client::{Address, AuditEntry, Client, ClientError};
use clap::Args;
use http::StatusCode;
use serde_json::{Value, json};

use crate::args::{Globals, User};
use crate::color;
use crate::commands::refusal::explain;
use crate::output::{Output, complain, escaped};
use crate::session::Session;

/// How often `--follow` asks: the coordinator writes what it holds in memory once a second.
const PAUSE: Duration = Duration::from_secs(1);
/// What `--follow` shows of the past.
const RECENT: u64 = 10;
/// Entries asked for at once; the coordinator may give fewer.
const PAGE: u64 = 1000;

/// Show who read, wrote, updated or was refused what
///
/// For users with the action ReadAudit on a role of type Manifest. Entries name users, secrets and packages, never
/// values. With --follow and JSON, each entry is one line.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: User,
    /// The index of the first entry [default: the oldest that is kept; with --follow, ten before the end]
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// At most this many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on until interrupted, or until --limit is reached
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Audit, output: &mut Output) -> Result<()> {
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let mut reader = Reader::new(&client, command).await.map_err(|error| failed(error, &client))?;
    if command.follow {
        return follow(&mut reader, output).await;
    }
    let mut entries = Vec::new();
    loop {
        let page = reader.page().await.map_err(|error| failed(error, &client))?;
        page.iter().try_for_each(|entry| show(entry, output))?;
        let is_last = page.is_empty() || reader.is_done() || reader.is_at_end();
        entries.extend(page);
        if is_last {
            break;
        }
    }
    if entries.is_empty() {
        output.line("No entries")?;
    }
    output.result(&entries.iter().map(value).collect::<Vec<_>>())
}

async fn follow(reader: &mut Reader<'_>, output: &mut Output) -> Result<()> {
    let mut reached = true;
    while !reader.is_done() {
        let more = match reader.page().await {
            Ok(page) => {
                reached = true;
                for entry in &page {
                    show(entry, output)?;
                    output.item(&value(entry))?;
                }
                !page.is_empty() && !reader.is_at_end()
            }
            // It may come back: what is added meanwhile is not missed.
            Err(error) if may_pass(&error) => {
                if reached {
                    complain(&format!("Warning: {:#}; trying again", anyhow::Error::new(error)));
                }
                reached = false;
                false
            }
            Err(error) => return Err(failed(error, reader.client)),
        };
        if !more && !reader.is_done() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Nobody there, or too busy.
pub(crate) fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. } | ClientError::Http { .. } | ClientError::Late { .. } => true,
        ClientError::Api(refusal) => refusal.code == StatusCode::SERVICE_UNAVAILABLE,
        _ => false,
    }
}

fn failed(error: ClientError, client: &Client) -> anyhow::Error {
    explain(error, "reading the audit trail", client)
}

/// Reads the trail page by page.
struct Reader<'a> {
    client: &'a Client,
    next: u64,
    /// Whether the entry `next` was asked for by the user or follows one that was read.
    is_asked: bool,
    end: u64,
    left: u64,
}

impl<'a> Reader<'a> {
    async fn new(client: &'a Client, command: &Audit) -> Result<Self, ClientError> {
        let next = match command.from {
            Some(from) => from,
            None if command.follow => client.audit(0, Some(1)).await?.end.saturating_sub(RECENT),
            None => 0,
        };
        let (is_asked, left) = (command.from.is_some(), command.limit.unwrap_or(u64::MAX));
        Ok(Self { client, next, is_asked, end: u64::MAX, left })
    }

    async fn page(&mut self) -> Result<Vec<AuditEntry>, ClientError> {
        let limit = usize::try_from(self.left.min(PAGE)).unwrap_or_default();
        let page = self.client.audit(self.next, Some(limit)).await?;
        if page.first > self.next && self.is_asked {
            complain(&format!("Warning: {}", missing(self.next, page.first)));
        }
        self.is_asked = true;
        // An index past the end is one that is to come.
        self.next = page.next.max(self.next);
        self.end = page.end;
        self.left = self.left.saturating_sub(page.entries.len() as u64);
        Ok(page.entries)
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn is_at_end(&self) -> bool {
        self.next >= self.end
    }
}

/// What is said of the entries from `next` to before `first`.
fn missing(next: u64, first: u64) -> String {
    match (first.saturating_sub(next), first.saturating_sub(1)) {
        (1, last) => format!("1 entry is missing: the entry {last} is no longer kept"),
        (count, last) => {
            format!("{count} entries are missing: the entries {next} to {last} are no longer kept")
        }
    }
}

fn value(entry: &AuditEntry) -> Value {
    let mut value = json!({ "index": entry.index, "time": entry.time, "action": entry.action });
    if let Some(fields) = value.as_object_mut() {
        // The coordinator's own remarks have none of these.
        if !entry.outcome.is_empty() {
            fields.insert("user".to_owned(), json!(entry.user));
            fields.insert("resources".to_owned(), json!(entry.resources));
            fields.insert("outcome".to_owned(), json!(entry.outcome));
        }
        fields.extend(entry.reason.clone().map(|reason| ("reason".to_owned(), Value::from(reason))));
        fields.extend(entry.more.clone());
    }
    value
}

/// One line: columns that line up for names of ordinary length.
fn show(entry: &AuditEntry, output: &mut Output) -> Result<()> {
    let user = escaped(entry.user.as_deref().unwrap_or("-"));
    let start = format!("{:>6}  {:<24}  {user:<12}  {:<21}  ", entry.index, entry.time, entry.action);
    let style = if entry.outcome == "refused" { color::BAD } else { anstyle::Style::new() };
    let width = 9_usize.saturating_sub(entry.outcome.len());
    let rest = format!("{:width$}{}", "", details(entry));
    output.styled(&[
        (&start, anstyle::Style::new()),
        (&entry.outcome, style),
        (rest.trim_end(), anstyle::Style::new()),
    ])
}

/// What it was about, and why it was refused.
fn details(entry: &AuditEntry) -> String {
    let mut text = entry.resources.join(", ");
    for (name, value) in &entry.more {
        text.push_str(&match name.as_str() {
            "moreResources" => format!(" and {value} more"),
            _ => format!(" {name}={value}"),
        });
    }
    if let Some(reason) = &entry.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    #[test]
    fn an_entry_is_one_line_with_the_reason_of_a_refusal() {
        let entry: AuditEntry = serde_json::from_value(json!({
            "index": 7, "time": "2025-03-04T05:06:07.008Z", "user": "alice", "action": "ReadSecret",
            "resources": ["a", "b"], "outcome": "refused", "reason": "not allowed", "moreResources": 3,
        }))
        .unwrap();
        let kept = Kept::default();
        show(&entry, &mut kept.output(Format::Text)).unwrap();
        assert_eq!(
            kept.text(),
            "     7  2025-03-04T05:06:07.008Z  alice         ReadSecret             refused  a, b and 3 more: not \
             allowed\n"
        );
        assert_eq!(value(&entry)["reason"], "not allowed");
        assert_eq!(value(&entry)["moreResources"], 3);
    }

    #[test]
    fn no_name_and_no_reason_forges_an_entry() {
        let forged = "x\n     8  2025-03-04T05:06:07.008Z  root  SetManifest  done\r\u{202e}\u{1b}[2K";
        let entry: AuditEntry = serde_json::from_value(json!({
            "index": 7, "time": forged, "user": forged, "action": forged, "resources": [forged],
            "outcome": forged, "reason": forged, "more": forged,
        }))
        .unwrap();
        let kept = Kept::default();
        show(&entry, &mut kept.output(Format::Text)).unwrap();
        assert_eq!(kept.text().lines().count(), 1, "{}", kept.text());
        assert!(
            !kept
                .text()
                .trim_end()
                .contains(|character: char| { character.is_control() || character == '\u{202e}' })
        );
        assert_eq!(kept.text().matches("x\\n     8").count(), 7, "{}", kept.text());
        assert_eq!(value(&entry)["user"], forged, "programs get it as it is");
    }

    #[test]
    fn missing_entries_are_counted() {
        assert_eq!(missing(0, 1), "1 entry is missing: the entry 0 is no longer kept");
        assert_eq!(missing(2, 5), "3 entries are missing: the entries 2 to 4 are no longer kept");
    }

    #[test]
    fn an_entry_without_user_or_resources_leaves_no_space_at_the_end() {
        let entry = json!({ "index": 0, "time": "t", "user": null, "action": "X", "resources": [], "outcome": "done" });
        let kept = Kept::default();
        show(&serde_json::from_value(entry).unwrap(), &mut kept.output(Format::Text)).unwrap();
        let dropped = json!({ "index": 1, "time": "t", "action": "EntriesDropped", "count": 3 });
        let dropped: AuditEntry = serde_json::from_value(dropped).unwrap();
        show(&dropped, &mut kept.output(Format::Text)).unwrap();
        assert!(kept.text().ends_with(" count=3\n"), "{:?}", kept.text());
        assert_eq!(
            value(&dropped),
            json!({ "index": 1, "time": "t", "action": "EntriesDropped", "count": 3 })
        );
        assert!(kept.text().contains("done\n") && kept.text().contains("  -  "), "{:?}", kept.text());
    }
}
