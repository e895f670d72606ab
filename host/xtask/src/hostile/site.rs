//! A real coordinator that is given one hostile policy after the other: sent, named by an update, asked, and removed again. Meanwhile
//! somebody asks for its status.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carrara_wasm::World;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::status::{Asker, Seen};
use super::subjects::Subject;
use super::totals::{Verdict, percentile};
use super::worker::resident_kib;
use crate::bench::manifests::{self, MARBLE_TYPE, Reader};
use crate::bench::mesh::{Answer, Marble};
use crate::bench::rest::{self, Connection};
use crate::bench::server::Server;

/// Where components are sent.
const POLICIES: &str = "/api/v2/policies";

/// The name of every hostile policy.
const NAME: &str = "hostile";

/// A component is compiled within this time, on any machine.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

/// Questions of each kind to each policy.
const QUESTIONS: usize = 3;

/// `status` takes at most twice what it takes when all is quiet, or this.
const STATUS_US: u64 = 20_000;

/// What the allocator may keep, with the four compiled components that are kept, and the state's caches.
const MEMORY_LEFT_OVER_KIB: u64 = 192 << 10;

/// What was seen of the coordinator.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    policies: usize,
    ends: BTreeMap<&'static str, u64>,
    quiet: Seen,
    busy: Seen,
    memory_kib: [u64; 3],
    wrong: Vec<String>,
    timed: bool,
}

/// The coordinator, and those who ask it.
struct Site<'a> {
    server: &'a Server,
    alice: Connection,
    marble: Marble,
    manifest: Value,
}

/// Gives the coordinator all of them. Status times are judged only if the machine is the run's own (`timed`).
pub(crate) async fn run(
    server: &Server,
    subjects: &[Subject],
    quiet: Duration,
    timed: bool,
) -> anyhow::Result<Outcome> {
    let mut site = Site::new(server).await?;
    let process = server.id().to_string();
    let mut outcome = Outcome { policies: subjects.len(), timed, ..Outcome::default() };
    site.is_right().await.context("before the first hostile policy")?;
    let asker = Asker::start(server)?;
    sleep(quiet).await;
    outcome.quiet = asker.so_far();
    let mut most = 0;
    for (index, subject) in subjects.iter().enumerate() {
        let end = site.give(subject).await.with_context(|| format!("giving {}", subject.name))?;
        if let Some(wrong) = differs(subject, end) {
            outcome.wrong.push(wrong);
        }
        *outcome.ends.entry(end).or_default() += 1;
        if let Err(error) = site.is_right().await {
            outcome.wrong.push(format!("after {}: {error:#}", subject.name));
        }
        let now = resident_kib(&process)?;
        most = most.max(now);
        // What is made once is there after the first ten.
        if index <= 10 {
            outcome.memory_kib[0] = now;
        }
        if index % 50 == 49 {
            println!("{} of {} policies given to a coordinator", index + 1, subjects.len());
        }
    }
    outcome.busy = asker.so_far();
    drop(asker);
    let log = server.log();
    if let Some(line) = log.lines().find(|line| line.contains("panic place=")) {
        outcome.wrong.push(format!("the coordinator logged {line}"));
    }
    outcome.memory_kib = [outcome.memory_kib[0], most, resident_kib(&process)?];
    Ok(outcome)
}

/// What a text must come to, if it came to something else.
fn differs(subject: &Subject, end: &str) -> Option<String> {
    let expected = subject.ends.as_deref()?;
    let fits = match expected {
        // An update refuses what does not compile; validators and renderers are asked before they are in force.
        "refused" => ["refused when sent", "refused by the update"].contains(&end),
        "failed" => ["refused by the update", "failed"].contains(&end),
        "denied" => ["refused by the update", "denied"].contains(&end),
        "allowed" => end == "allowed",
        _ => true,
    };
    (!fits).then(|| format!("{} was {end}, and should be {expected}", subject.name))
}

impl<'a> Site<'a> {
    async fn new(server: &'a Server) -> anyhow::Result<Self> {
        let reader = Reader::new()?;
        let mut manifest = manifests::with_secrets(1, &reader);
        if let Some(roles) = manifest.get_mut("Roles").and_then(Value::as_object_mut) {
            roles.insert(
                "updating".to_owned(),
                json!({ "ResourceType": "Manifest", "Actions": ["UpdateManifest"] }),
            );
        }
        if let Some(held) = manifest.pointer_mut("/Users/reader/Roles").and_then(Value::as_array_mut) {
            held.push(Value::from("updating"));
        }
        server.set_manifest(&manifest).await?;
        let alice = Connection::open(&server.rest(Some(&reader.identity))?).await?;
        let marble = Marble::new(server, MARBLE_TYPE)?;
        Ok(Self { server, alice, marble, manifest })
    }

    /// Without a hostile policy, all is allowed.
    async fn is_right(&mut self) -> anyhow::Result<()> {
        let (code, text) = self.read().await?;
        ensure!(code == StatusCode::OK, "a secret was not read: {code} {text}");
        match self.marble.ask_once(&Uuid::new_v4()).await? {
            Answer::Activated(_) => Ok(()),
            Answer::Refused(code, text) => bail!("a Marble was not activated: {code} {text}"),
        }
    }

    /// From its upload to its removal.
    async fn give(&mut self, subject: &Subject) -> anyhow::Result<&'static str> {
        let body = Bytes::from(subject.component.clone());
        let (code, text) = self.ask(Method::POST, POLICIES, body).await?;
        if code != StatusCode::OK {
            ensure!(code == StatusCode::BAD_REQUEST, "an upload was answered {code}: {text}");
            return with_reason("refused when sent", &text);
        }
        let digest = format!("sha256:{}", hex::encode(carrara_wasm::digest(&subject.component)));
        let (code, text) = self.update(&self.naming(subject, &digest)).await?;
        if code != StatusCode::OK {
            return with_reason("refused by the update", &text);
        }
        let end = self.question(subject).await?;
        let (code, text) = self.update(&self.manifest.clone()).await?;
        ensure!(code == StatusCode::OK, "it could not be removed: {code} {text}");
        Ok(end)
    }

    /// The manifest with the policy.
    fn naming(&self, subject: &Subject, digest: &str) -> Value {
        let mut manifest = self.manifest.clone();
        let mode = if subject.enforced { "enforce" } else { "shadow" };
        let policy = json!({ "World": subject.world.name(), "Component": digest, "Mode": mode });
        if let Some(manifest) = manifest.as_object_mut() {
            manifest.insert("Policies".to_owned(), json!({ NAME: policy }));
        }
        if subject.world == World::SecretRendering
            && let Some(files) = manifest.pointer_mut(&format!("/Marbles/{MARBLE_TYPE}/Parameters/Files"))
        {
            *files = json!({ "/etc/svc.conf": { "Data": "{{ hex .Secrets.secret }}", "Encoding": "string", "Renderer": NAME } });
        }
        manifest
    }

    async fn update(&mut self, manifest: &Value) -> anyhow::Result<(StatusCode, String)> {
        let body = json!({ "manifest": STANDARD.encode(manifest.to_string()) }).to_string();
        let began = Instant::now();
        loop {
            let answer = self.ask(Method::POST, rest::UPDATE, Bytes::from(body.clone())).await?;
            // It is still being compiled.
            if answer.0 != StatusCode::SERVICE_UNAVAILABLE || began.elapsed() > READY_LIMIT {
                return Ok(answer);
            }
            sleep(POLL).await;
        }
    }

    /// Reads and activates while the policy is in force.
    async fn question(&mut self, subject: &Subject) -> anyhow::Result<&'static str> {
        let mut end = "allowed";
        for _ in 0..QUESTIONS {
            let (code, text) = self.read().await?;
            let read = if code == StatusCode::OK { "allowed" } else { verdict(&text)? };
            let activated = match self.marble.ask_once(&Uuid::new_v4()).await? {
                Answer::Activated(_) => "allowed",
                Answer::Refused(_, text) => verdict(&text)?,
            };
            ensure!(
                subject.enforced || (read == "allowed" && activated == "allowed"),
                "a shadow was obeyed: reading was {read}, activating {activated}"
            );
            end = [read, activated].into_iter().find(|answer| *answer != "allowed").unwrap_or(end);
        }
        Ok(end)
    }

    async fn read(&mut self) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::GET, &manifests::secret_path(), Bytes::new()).await
    }

    /// As Alice, over her one connection.
    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(StatusCode, String)> {
        let (code, body) = self.alice.exchange(method, path, body).await.with_context(|| {
            let log = self.server.log();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            format!("{path}; the coordinator's log ends with\n{}", last.join("\n"))
        })?;
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// What an answer that is no success says of the policy.
fn verdict(text: &str) -> anyhow::Result<&'static str> {
    // JSON and gRPC write quotation marks and spaces each in their own way.
    let plain = text.replace('\\', "").replace("%22", "\"").replace("%20", " ");
    if plain.contains(&format!("policy \"{NAME}\" could not decide")) {
        return Ok("failed");
    }
    ensure!(plain.contains(NAME), "an answer that does not name the policy: {text}");
    Ok("denied")
}

/// A refusal says why.
fn with_reason(end: &'static str, text: &str) -> anyhow::Result<&'static str> {
    let answer: Value = serde_json::from_str(text).with_context(|| format!("{end} with {text:?}"))?;
    let message = answer.get("message").and_then(Value::as_str).unwrap_or_default();
    ensure!(!message.is_empty(), "{end} without a reason: {text}");
    Ok(end)
}

impl Outcome {
    /// What is demanded, line by line.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let [quiet, busy] = [&self.quiet, &self.busy].map(|seen| percentile(&seen.times_us, 99));
        let bound = STATUS_US.max(2 * quiet);
        let [first, most, last] = self.memory_kib.map(|kib| kib >> 10);
        let failures = self.quiet.failures.len() + self.busy.failures.len();
        vec![
            Verdict {
                good: self.wrong.is_empty(),
                text: format!(
                    "{} policies given to a coordinator, {} things wrong",
                    self.policies,
                    self.wrong.len()
                ),
            },
            Verdict { good: failures == 0, text: format!("{failures} questions for the status failed") },
            Verdict {
                good: !self.timed || busy <= bound,
                text: format!(
                    "status meanwhile: p99 {:.1} ms of {}; at most {:.1} ms (quiet {:.1} ms of {}){}",
                    busy as f64 / 1000.0,
                    self.busy.times_us.len(),
                    bound as f64 / 1000.0,
                    quiet as f64 / 1000.0,
                    self.quiet.times_us.len(),
                    if self.timed { "" } else { "; not judged" }
                ),
            },
            Verdict {
                good: self.memory_kib[2] <= self.memory_kib[0] + MEMORY_LEFT_OVER_KIB,
                text: format!(
                    "memory of the coordinator: {first} MiB after ten policies, {most} MiB at most, {last} MiB at the end; at most \
                     {} MiB more than after ten",
                    MEMORY_LEFT_OVER_KIB >> 10
                ),
            },
        ]
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let seen = |seen: &Seen| {
            let at = |percent| percentile(&seen.times_us, percent);
            json!({ "n": seen.times_us.len(), "p50_us": at(50), "p99_us": at(99), "max_us": at(100), "failures": seen.failures })
        };
        json!({
            "policies": self.policies,
            "ends": self.ends,
            "status_quiet": seen(&self.quiet),
            "status_meanwhile": seen(&self.busy),
            "memory_kib": self.memory_kib,
            "wrong": self.wrong,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} policies given to a coordinator", self.policies)?;
        for (end, count) in &self.ends {
            writeln!(f, "{count:>7}  {end}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "WRONG  {wrong}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_ends_otherwise_than_it_says_is_told() {
        let subject = |ends: Option<&str>| Subject {
            name: "loop".to_owned(),
            world: World::RoleAuthorization,
            component: Vec::new(),
            enforced: true,
            ends: ends.map(ToOwned::to_owned),
        };
        assert!(differs(&subject(Some("failed")), "failed").is_none());
        assert!(differs(&subject(Some("failed")), "allowed").is_some());
        assert!(differs(&subject(Some("refused")), "failed").is_some());
        assert!(differs(&subject(None), "failed").is_none());
    }

    #[test]
    fn slow_answers_are_judged_by_the_larger_bound_and_only_on_a_machine_of_their_own() {
        let seen = |us: u64| Seen { times_us: vec![us; 100], failures: Vec::new() };
        let good = |quiet, busy, timed| {
            let outcome = Outcome { quiet: seen(quiet), busy: seen(busy), timed, ..Outcome::default() };
            outcome.verdicts().iter().all(|verdict| verdict.good)
        };
        assert!(good(1_000, 20_000, true) && !good(1_000, 20_001, true));
        assert!(good(15_000, 30_000, true) && !good(15_000, 30_001, true));
        assert!(good(1_000, 90_000, false));
    }

    #[test]
    fn a_refusal_without_a_reason_is_wrong() {
        assert!(with_reason("refused when sent", "{\"message\":\"why\"}").is_ok());
        assert!(with_reason("refused when sent", "{\"message\":\"\"}").is_err());
        assert!(verdict("policy \\\"hostile\\\" could not decide").is_ok_and(|verdict| verdict == "failed"));
        assert!(verdict("policy %22hostile%22 could%20not decide").is_ok_and(|verdict| verdict == "failed"));
        assert!(verdict("policy \"hostile\": no").is_ok_and(|verdict| verdict == "denied"));
        assert!(verdict("internal").is_err());
    }
}
