//! `policy decisions HOST`: what policies decided, oldest first; with `--follow` also what comes.

use std::time::Duration;

use anstyle::Style;
use anyhow::Result;
use carrara_client::{Address, Client, ClientError, DecisionQuery};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::args::{Globals, User};
use crate::color;
use crate::commands::audit::may_pass;
use crate::commands::refusal::explain;
use crate::output::{Output, complain, escaped};
use crate::session::Session;

/// How often `--follow` asks.
const PAUSE: Duration = Duration::from_secs(1);
/// What `--follow` shows of the past.
const RECENT: u64 = 10;

/// Show what policies decided
///
/// For users with the action ReadDecisions on a role of type Manifest. Each decision of an authorizer, an admitter or a validator
/// is there, of shadows too: the request as the policy saw it, its answer and what that cost; never secrets. The coordinator
/// keeps the newest in memory, until it ends. `carrara policy replay` asks another component the same.
///
/// With JSON each decision is one line, as `replay` reads it.
#[derive(Debug, Args)]
pub(crate) struct Decisions {
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: User,
    /// Go on after the decision with this number [default: from the oldest that is kept; with --follow, ten before the newest]
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// At most this many decisions
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Of this policy alone
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Of this verdict alone
    #[arg(long, value_enum)]
    verdict: Option<Verdict>,
    /// Print each decision as a line of JSON: as --output json
    #[arg(long)]
    json: bool,
    /// Go on until interrupted, or until --limit is reached
    #[arg(short, long)]
    follow: bool,
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// It allowed, or found no errors
    Allow,
    /// It denied, or found errors
    Deny,
    /// It could not decide
    Failed,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Failed => "failed",
        }
    }
}

pub(crate) async fn run(globals: &Globals, command: &Decisions, output: &mut Output) -> Result<()> {
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let mut as_lines;
    let output = match command.json {
        true => {
            as_lines = Output::new(crate::output::Format::Json);
            &mut as_lines
        }
        false => output,
    };
    let mut reader = Reader::new(&client, command).await.map_err(|error| failed(error, &client))?;
    let mut reached = true;
    let mut shown = 0_u64;
    while reader.left > 0 {
        let records = match reader.page().await {
            Ok(records) => records,
            // It may come back. Its decisions begin again at 1 then.
            Err(error) if command.follow && may_pass(&error) => {
                if reached {
                    complain(&format!("Warning: {:#}; trying again", anyhow::Error::new(error)));
                }
                reached = false;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(failed(error, &client)),
        };
        reached = true;
        for record in &records {
            show(record, output)?;
            output.item(record)?;
        }
        shown += records.len() as u64;
        if reader.is_at_end && !command.follow {
            break;
        }
        if reader.is_at_end && reader.left > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if shown == 0 { output.line("No decisions") } else { Ok(()) }
}

fn failed(error: ClientError, client: &Client) -> anyhow::Error {
    explain(error, "reading the policies' decisions", client)
}

/// Reads the decisions page by page.
struct Reader<'a> {
    client: &'a Client,
    query: DecisionQuery,
    /// Whether the decision after `query.after` was asked for, or follows one that was read.
    is_asked: bool,
    is_at_end: bool,
    left: u64,
}

impl<'a> Reader<'a> {
    async fn new(client: &'a Client, command: &Decisions) -> Result<Self, ClientError> {
        let mut query = DecisionQuery {
            after: command.after.unwrap_or_default(),
            limit: None,
            policy: command.policy.clone(),
            verdict: command.verdict.map(|verdict| verdict.name().to_owned()),
        };
        if command.follow && command.after.is_none() {
            let newest = DecisionQuery { after: u64::MAX, limit: Some(1), ..DecisionQuery::default() };
            query.after = client.decisions(&newest).await?.last.saturating_sub(RECENT);
        }
        let (is_asked, left) = (command.after.is_some(), command.limit.unwrap_or(u64::MAX));
        Ok(Self { client, query, is_asked, is_at_end: false, left })
    }

    async fn page(&mut self) -> Result<Vec<Value>, ClientError> {
        self.query.limit = usize::try_from(self.left).ok().filter(|left| *left < usize::MAX);
        let mut page = self.client.decisions(&self.query).await?;
        if page.last < self.query.after {
            complain("Warning: the coordinator was started again; what it decided before is gone");
            self.query.after = 0;
            page = self.client.decisions(&self.query).await?;
        } else if self.is_asked && page.first > self.query.after.saturating_add(1) {
            let lost = page.first - self.query.after - 1;
            complain(&format!("Warning: {lost} decisions are missing: they are no longer kept"));
        }
        self.is_asked = true;
        self.query.after = page.next;
        self.is_at_end = page.next >= page.last;
        self.left = self.left.saturating_sub(page.records.len() as u64);
        Ok(page.records)
    }
}

/// One line: number, time, policy, what was asked, and the verdict with its reason.
fn show(record: &Value, output: &mut Output) -> Result<()> {
    let (verdict, reason) = verdict(&record["answer"]);
    let style = if verdict == "allow" { Style::new() } else { color::BAD };
    let shadow = if record["mode"] == "shadow" { " (shadow)" } else { "" };
    let name = escaped(&format!("{}{shadow}", text(&record["policy"])));
    let start =
        format!("{:>6}  {:<24}  {name:<20}  ", record["sequence"].as_u64().unwrap_or_default(), time(record));
    let rest = format!("{:1$}  {2}{reason}", "", 6_usize.saturating_sub(verdict.len()), asked(record));
    let plain = Style::new();
    output.styled(&[(&start, plain), (&verdict, style), (rest.trim_end(), plain)])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn time(record: &Value) -> String {
    let nanoseconds = i128::from(record["time-ms"].as_i64().unwrap_or_default()) * 1_000_000;
    let format = time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok();
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| "-".to_owned())
}

/// The verdict, and why.
fn verdict(answer: &Value) -> (String, String) {
    let findings = |findings: &Value| -> Vec<String> {
        let errors =
            findings.as_array().into_iter().flatten().filter(|finding| finding["severity"] == "error");
        errors.map(|finding| text(&finding["message"]).to_owned()).collect()
    };
    if let Some(reason) = answer["failed"].as_str() {
        return ("failed".to_owned(), format!(": {reason}"));
    }
    if let Some(denial) = answer["decision"].get("deny") {
        return ("deny".to_owned(), format!(": {}", text(&denial["message"])));
    }
    match findings(&answer["findings"]).as_slice() {
        [] => ("allow".to_owned(), String::new()),
        [first] => ("deny".to_owned(), format!(": {first}")),
        [first, more @ ..] => ("deny".to_owned(), format!(": {first} (and {} more)", more.len())),
    }
}

/// Who asked for what.
fn asked(record: &Value) -> String {
    let request = &record["request"];
    if let Some(asked) = request.get("authorization") {
        let names: Vec<&str> = asked["resource-names"].as_array().into_iter().flatten().map(text).collect();
        let user = asked.pointer("/principal/name").and_then(Value::as_str).unwrap_or("-");
        return format!("{user} {} {}", text(&asked["action"]), names.join(", ")).trim_end().to_owned();
    }
    if let Some(asked) = request.get("admission") {
        return format!("{} {}", text(&asked["marble-type"]), text(&asked["uuid"]));
    }
    match request.get("validation") {
        Some(asked) => format!("{} {}", text(&asked["change"]), text(&asked["manifest-sha256"])),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    fn shown(record: &Value) -> String {
        let kept = Kept::default();
        show(record, &mut kept.output(Format::Text)).unwrap();
        kept.text()
    }

    fn record(request: Value, answer: Value) -> Value {
        json!({
            "sequence": 7, "time-ms": 1_741_064_767_008_i64, "policy": "rooms", "mode": "enforce",
            "request": request, "answer": answer,
        })
    }

    #[test]
    fn a_decision_is_a_line_with_what_was_asked_and_why_it_was_denied() {
        let asked = json!({ "authorization": {
            "principal": { "name": "frank" }, "action": "ReadSecret", "resource-names": ["a", "b"],
        } });
        let denied = json!({ "decision": { "deny": { "message": "not this room" } } });
        assert_eq!(
            shown(&record(asked.clone(), denied)),
            "     7  2025-03-04T05:06:07.008Z  rooms                 deny    frank ReadSecret a, b: not this room\n"
        );
        let allowed = record(asked, json!({ "decision": "allow" }));
        assert!(shown(&allowed).ends_with("allow   frank ReadSecret a, b\n"), "{}", shown(&allowed));
    }

    #[test]
    fn validations_admissions_and_failures_are_told_too() {
        let validation = json!({ "validation": { "change": "initial", "manifest-sha256": "sha256:aa" } });
        let error = |message| json!({ "severity": "error", "message": message });
        let warning = json!({ "severity": "warning", "message": "w" });
        let found = json!({ "findings": [warning, error("e1"), error("e2")] });
        let text = shown(&record(validation.clone(), found));
        assert!(text.ends_with("deny    initial sha256:aa: e1 (and 1 more)\n"), "{text}");
        let text = shown(&record(validation, json!({ "findings": [warning] })));
        assert!(text.ends_with("allow   initial sha256:aa\n"), "{text}");
        let admission = json!({ "admission": { "marble-type": "web", "uuid": "u" } });
        let mut failed = record(admission, json!({ "failed": "out of fuel" }));
        failed["mode"] = json!("shadow");
        let text = shown(&failed);
        assert!(text.contains("rooms (shadow)") && text.ends_with("failed  web u: out of fuel\n"), "{text}");
    }

    #[test]
    fn nothing_that_others_chose_forges_a_line() {
        let forged = "x\n     8  root";
        let asked =
            json!({ "authorization": { "principal": { "name": forged }, "resource-names": [forged] } });
        let denied = json!({ "decision": { "deny": { "message": forged } } });
        let mut record = record(asked, denied);
        record["policy"] = json!(forged);
        assert_eq!(shown(&record).lines().count(), 1, "{}", shown(&record));
    }
}
