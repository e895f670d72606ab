//! Verifies the update log: signature, lines, and that it continues what was seen before (RFC 6962).

use std::fmt;
use std::path::Path;

use anyhow::{Context, Error, Result};
use carrara_client::checkpoint::{Checkpoint, Contradiction, Progress};
use carrara_client::{Client, ClientError};
use serde_json::{Value, json};

use super::failed;
use super::memory::Memory;
use crate::exit::{Ending, ExitCode};
use crate::output::{Output, complain};
use crate::patience;
use crate::session::{Session, fingerprint};

/// Lines that are asked for at once: a log has no limit, an answer has.
const PAGE: usize = 10_000;

/// What was proven.
pub(super) struct Verified {
    before: Option<Checkpoint>,
    now: Checkpoint,
}

impl Verified {
    /// For programs.
    pub(super) fn value(&self) -> Value {
        json!({ "checkpoint": value(&self.now), "continues": self.before.as_ref().map(value) })
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified: {}", told(&self.now))?;
        match &self.before {
            Some(before) => write!(f, "; continues what was seen before ({})", told(before)),
            None => f.write_str("; seen for the first time"),
        }
    }
}

/// All lines of the log, if they can be trusted. The new checkpoint is kept only then.
pub(super) async fn run(
    session: &Session<'_>,
    client: &Client,
    output: &mut Output,
) -> Result<(Vec<String>, Verified)> {
    let chain = session.cached_chain()?;
    let root = chain.root();
    let memory = Memory::beside(&session.cache_path()?, &fingerprint(&chain), session.host());
    let before = memory.recall(root)?;
    if before.is_none() {
        memory.others()?.iter().for_each(|path| complain(&other_root(path, session)));
    }
    let now = match head(client, root, before.as_ref()).await? {
        (now, Ok(_)) => now,
        (now, Err(contradiction)) => {
            let before = before.as_ref();
            return Err(contradicted(&contradiction.to_string(), before, &now, &memory, output));
        }
    };
    let lines = patience::wait("reading the update log", lines(client, now.size())).await;
    let lines = lines.map_err(|error| failed(error, "reading the update log"))?;
    if !now.covers(&lines) {
        let text = "the lines of the log are not those that the coordinator signed";
        return Err(contradicted(text, before.as_ref(), &now, &memory, output));
    }
    memory.keep(&now, root)?;
    Ok((lines, Verified { before, now }))
}

fn other_root(kept: &Path, session: &Session<'_>) -> String {
    format!(
        "Warning: this begins a new checkpoint, but at {} a coordinator with another root certificate was seen before; \
         its checkpoint stays in {}. If nobody recovered or reset the coordinator, or put another one there, its state \
         was rolled back: ask its operator before you trust it",
        session.host(),
        kept.display()
    )
}

/// The signed head, and what it means after the one seen before.
async fn head(
    client: &Client,
    root: &[u8],
    before: Option<&Checkpoint>,
) -> Result<(Checkpoint, Result<Progress, Contradiction>)> {
    let (now, _) = fetch(client, root, 0).await?;
    let Some(before) = before else { return Ok((now, Ok(Progress::Same))) };
    if now.size() <= before.size() {
        let progress = before.follow(&now, &[]);
        return Ok((now, progress));
    }
    // It may have grown once more meanwhile.
    let (now, proof) = fetch(client, root, before.size()).await?;
    let progress = before.follow(&now, &proof);
    Ok((now, progress))
}

async fn fetch(client: &Client, root: &[u8], from: u64) -> Result<(Checkpoint, Vec<[u8; 32]>)> {
    let head = client.log_head(from).await;
    let head = head.map_err(|error| failed(error, "reading the signed head of the update log"))?;
    let checkpoint = Checkpoint::verify(&head.checkpoint, root).context(
        "verifying the signed head of the update log with the saved root certificate (`carrara manifest verify` saves \
         it)",
    )?;
    Ok((checkpoint, head.consistency))
}

async fn lines(client: &Client, size: u64) -> Result<Vec<String>, ClientError> {
    let mut lines: Vec<String> = Vec::new();
    while (lines.len() as u64) < size {
        let missing = usize::try_from(size - lines.len() as u64).unwrap_or(usize::MAX);
        let page = client.update_log_range(lines.len() as u64, Some(missing.min(PAGE))).await?;
        if page.is_empty() {
            break;
        }
        lines.extend(page);
    }
    Ok(lines)
}

/// Shows both checkpoints: each is signed, so together they prove it to others.
fn contradicted(
    what: &str,
    before: Option<&Checkpoint>,
    now: &Checkpoint,
    memory: &Memory,
    output: &mut Output,
) -> Error {
    let mut text = what.to_owned();
    if let Some(before) = before {
        let path = memory.path().display();
        text.push_str(&format!(
            "\n\nSeen before ({}), kept in {path}:\n\n{}",
            told(before),
            before.as_note()
        ));
    }
    text.push_str(&format!("\nPresented now ({}):\n\n{}\n", told(now), now.as_note()));
    text.push_str(
        "Do not trust this coordinator until you know why. If an operator restored an older state on purpose, delete \
         the kept checkpoint to begin anew.",
    );
    // Told on stderr and by the exit code in any case: a closed stdout must not hide it.
    let _ = output.result(&json!({ "contradiction": what, "before": before.map(value), "now": value(now) }));
    Error::new(Ending::new(ExitCode::Contradiction, text))
}

fn told(checkpoint: &Checkpoint) -> String {
    let lines = if checkpoint.size() == 1 { "line" } else { "lines" };
    format!("{} {lines}, revision {}", checkpoint.size(), checkpoint.revision())
}

fn value(checkpoint: &Checkpoint) -> Value {
    json!({
        "size": checkpoint.size(), "rootHash": hex::encode(checkpoint.root()), "revision": checkpoint.revision(),
        "note": checkpoint.as_note(),
    })
}
