//! The process that hostile components run in: one that may die, so that its end is seen. It is told of folders, one a line, and tells of
//! each component in them before it is offered and afterwards.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use carrara_tests::hostile::{component_of, prelude};
use carrara_types::decision::{AuthorizationRequest, Decision};
use carrara_wasm::{PolicyHost, PolicySource, World};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::questions::{self, Offered};

/// Each memory of an instance reserves 4 GiB of addresses without using them, and a renderer may have four.
const MAX_ADDRESS_SPACE: u64 = 64 << 30;

/// What it may use: four memories of a validator have 1 GiB, and compiling needs some of it.
const MAX_DATA: u64 = 3 << 30;

/// What the worker tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It will be offered now: if nothing follows, this is what ended the process.
    Begun(String),
    /// How it went.
    Ended(String, Offered),
    /// A folder is done; with the KiB of memory that the process has.
    Done(u64),
}

/// Offers what is in the folders that standard input names, until it ends.
pub(crate) fn run() -> anyhow::Result<()> {
    for (resource, limit) in [(Resource::As, MAX_ADDRESS_SPACE), (Resource::Data, MAX_DATA)] {
        let limits = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, limits).context("limiting the memory")?;
    }
    let good = Good::new()?;
    for folder in std::io::stdin().lock().lines() {
        let folder = PathBuf::from(folder.context("reading a folder's name")?);
        for file in files(&folder)? {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            tell(&Told::Begun(name.clone()))?;
            let component = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let mut offered = questions::offer(&component);
            if let Err(wrong) = good.answers() {
                offered.wrong.push(format!("the next call of a good policy went wrong: {wrong:#}"));
            }
            tell(&Told::Ended(name, offered))?;
        }
        tell(&Told::Done(resident_kib("self")?))?;
    }
    Ok(())
}

/// A folder's files, sorted.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn tell(told: &Told) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, told).context("telling")?;
    out.write_all(b"\n").and_then(|()| out.flush()).context("telling")
}

/// The resident memory of a process.
pub(crate) fn resident_kib(process: &str) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).context("reading the memory's size")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.context("no VmRSS")?.trim().parse().context("reading VmRSS")
}

/// A policy as it should be, asked after each hostile one.
struct Good(PolicyHost);

impl Good {
    fn new() -> anyhow::Result<Self> {
        let mut host = PolicyHost::empty()?;
        let allows = "(func $misbehave (result i32) (i32.const 2048))";
        let component = component_of("role-authorization", &format!("{}{allows}", prelude("authorizer")));
        host.add(PolicySource::new("good", World::RoleAuthorization, component))?;
        Ok(Self(host))
    }

    fn answers(&self) -> anyhow::Result<()> {
        let answer = self.0.authorize_here(&AuthorizationRequest::default());
        let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}: {}", failure.reason))?;
        ensure!(answer.decision == Decision::Allow, "{answer:?}");
        Ok(())
    }
}
