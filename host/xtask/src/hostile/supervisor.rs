//! Makes components, batch after batch, and hands them to processes that may die.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail, ensure};

use super::locked;
use super::totals::Totals;
use super::worker::Told;

/// What is to be made and offered.
pub(crate) struct Plan<'a> {
    /// The program that makes them.
    pub(crate) maker: &'a Path,
    /// The repository.
    pub(crate) root: &'a Path,
    /// For what lives as long as a batch, and for what is kept.
    pub(crate) folder: &'a Path,
    pub(crate) seed: u64,
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// How many are made at once.
    pub(crate) batch: u64,
    /// How many processes side by side.
    pub(crate) jobs: usize,
    /// How many of those that ran are kept.
    pub(crate) keep: u64,
}

impl Plan<'_> {
    /// Makes and offers all.
    pub(crate) fn run(&self) -> anyhow::Result<Totals> {
        fs::create_dir_all(self.kept()).context("creating a folder")?;
        let (next, totals) = (AtomicU64::new(0), Mutex::new(Totals::default()));
        let ended: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
            let jobs: Vec<_> =
                (0..self.jobs.max(1)).map(|_| scope.spawn(|| self.work(&next, &totals))).collect();
            jobs.into_iter().map(|job| job.join().unwrap_or_else(|_| bail!("a job panicked"))).collect()
        });
        ended.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Where those that are kept are.
    pub(crate) fn kept(&self) -> PathBuf {
        self.folder.join("kept")
    }

    /// One batch after the other, in one process as long as it lives.
    fn work(&self, next: &AtomicU64, totals: &Mutex<Totals>) -> anyhow::Result<()> {
        let mut worker = Worker::start()?;
        loop {
            let done = next.fetch_add(self.batch, Ordering::Relaxed);
            if done >= self.count {
                break;
            }
            let count = self.batch.min(self.count - done);
            let made = self.make(self.first + done, count)?;
            let begun = self.offer(&mut worker, made.path(), totals)?;
            if let Some(name) = begun {
                let status = worker.child.wait().context("waiting for the worker")?;
                let how =
                    status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
                locked(totals).died(&name, self.seed, &how);
                // What follows in the same batch is offered to the next process.
                remove_to(made.path(), &name)?;
                worker.end(totals);
                worker = Worker::start()?;
                if let Some(name) = self.offer(&mut worker, made.path(), totals)? {
                    bail!("two processes died in one batch, the second one of {name} of seed {}", self.seed);
                }
            }
            let text = locked(totals).line();
            println!("{} of {} offered: {text}", (done + count).min(self.count), self.count);
        }
        worker.end(totals);
        Ok(())
    }

    fn make(&self, first: u64, count: u64) -> anyhow::Result<tempfile::TempDir> {
        let folder = tempfile::Builder::new().prefix("batch-").tempdir_in(self.folder);
        let folder = folder.context("making a folder")?;
        let mut maker = Command::new(self.maker);
        maker.arg("--root").arg(self.root).arg("--out").arg(folder.path());
        for (option, value) in [("--seed", self.seed), ("--first", first), ("--count", count)] {
            maker.args([option, &value.to_string()]);
        }
        let status = maker.status().with_context(|| format!("starting {}", self.maker.display()))?;
        ensure!(
            status.success(),
            "components {first} to {} of seed {} were not made",
            first + count,
            self.seed
        );
        Ok(folder)
    }

    /// Offers a folder; the component that was being offered when the process died, if it did.
    fn offer(
        &self,
        worker: &mut Worker,
        folder: &Path,
        totals: &Mutex<Totals>,
    ) -> anyhow::Result<Option<String>> {
        let mut begun = None;
        // A process that has ended is noticed below.
        let _ = worker
            .input
            .as_mut()
            .map(|input| writeln!(input, "{}", folder.display()).and_then(|()| input.flush()));
        while let Some(told) = worker.hear()? {
            match told {
                Told::Begun(name) => begun = Some(name),
                Told::Ended(name, offered) => {
                    let file = folder.join(format!("{name}.wasm"));
                    if locked(totals).ended(&name, self.seed, &offered, self.keep, self.count) {
                        let kept = format!("{name}.{}.wasm", offered.world.as_deref().unwrap_or_default());
                        fs::copy(&file, self.kept().join(kept)).context("keeping a component")?;
                    }
                    begun = None;
                }
                Told::Done(resident_kib) => {
                    worker.resident_kib.push(resident_kib);
                    return Ok(None);
                }
            }
        }
        Ok(Some(begun.unwrap_or_else(|| "none, between two components".to_owned())))
    }
}

/// Removes what was offered, with the one that was offered last.
fn remove_to(folder: &Path, last: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).context("reading a batch")? {
        let path = entry.context("reading a batch")?.path();
        if path.file_stem().is_some_and(|name| name.to_string_lossy().as_ref() <= last) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// A process that runs hostile components.
struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// After each batch.
    resident_kib: Vec<u64>,
}

impl Worker {
    fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program's path")?);
        command.args(["hostile", "--worker"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting a worker")?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("the worker's output")?);
        Ok(Self { child, input, output: BufReader::new(output), resident_kib: Vec::new() })
    }

    /// `None` when it has ended.
    fn hear(&mut self) -> anyhow::Result<Option<Told>> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("hearing the worker")?;
        if !line.ends_with('\n') {
            return Ok(None);
        }
        serde_json::from_str(&line).with_context(|| format!("the worker said {line:?}")).map(Some)
    }

    fn end(&mut self, totals: &Mutex<Totals>) {
        // It ends with its input.
        drop(self.input.take());
        let _ = self.child.wait();
        locked(totals).memory(&self.resident_kib);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
