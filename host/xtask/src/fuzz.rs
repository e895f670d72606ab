//! `cargo xtask fuzz`: runs the fuzz targets of `tests/fuzz` with libFuzzer, guided by coverage.
//!
//! The stable compiler is enough: its coverage pass is an option of LLVM. The targets are built apart, in `target/fuzz`, with
//! every check on. They take turns until the time is up; what they learn stays in `target/fuzz/corpus`. An input that fails is
//! made smaller and kept in `target/fuzz/findings`.

mod libfuzzer;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::cargo::cargo;
use crate::guests;
use libfuzzer::{Program, Turn};

/// One turn of a target: long enough to get somewhere from a large corpus.
const LONGEST_TURN: Duration = Duration::from_secs(120);
const SHORTEST_TURN: Duration = Duration::from_secs(10);

/// A target with as many findings is left out: it would only find them again.
const ENOUGH_FINDINGS: usize = 3;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long, after building
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Only this target; may be repeated
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// How many run side by side
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Print the names of all targets
    #[arg(long)]
    list: bool,
}

/// What all turns of a target came to.
#[derive(Debug, Default, Clone)]
struct Total {
    runs: u64,
    time: Duration,
    coverage: u64,
    corpus: u64,
    findings: Vec<PathBuf>,
}

/// Fuzzes.
///
/// # Errors
/// Something was found, or the targets cannot be built.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    let program = Program::new(&root, build(&root)?);
    let all = program.targets()?;
    if arguments.list {
        println!("{}", all.join("\n"));
        return Ok(());
    }
    if let Some(unknown) = arguments.target.iter().find(|target| !all.contains(target)) {
        bail!("{unknown} is no target; there are {}", all.join(", "));
    }
    let targets = if arguments.target.is_empty() { all } else { arguments.target.clone() };
    for target in &targets {
        program.prepare(target)?;
    }
    let totals =
        rotate(&program, &targets, Duration::from_secs(arguments.minutes * 60), arguments.jobs.max(1));
    report(&targets, &totals)
}

/// Builds the program that holds all targets.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let host = host_triple()?;
    let folder = root.join("target/fuzz");
    let mut command = cargo(root);
    command.args([
        "build",
        "--quiet",
        "--profile",
        "fuzz",
        "--package",
        "carrara-fuzz",
        "--bin",
        "carrara-fuzz",
    ]);
    // With a target named, the flags are for the product's code only and not for build scripts.
    command.args(["--features", "libfuzzer", "--target", &host]);
    command.env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", libfuzzer::RUSTFLAGS);
    println!("building the fuzz targets in {}; the first time takes minutes", folder.display());
    ensure!(
        command.status().context("starting cargo")?.success(),
        "the fuzz targets do not build; see above"
    );
    Ok(folder.join(host).join("fuzz/carrara-fuzz"))
}

fn host_triple() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("starting rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name its host")
}

/// Lets the targets take turns until the time is up.
fn rotate(program: &Program, targets: &[String], time: Duration, jobs: usize) -> Vec<Total> {
    let share = time.mul_f64(jobs as f64 / targets.len().max(1) as f64);
    let turn = share.clamp(SHORTEST_TURN, LONGEST_TURN);
    let (end, next) = (Instant::now() + time, Mutex::new(0));
    let totals = Mutex::new(vec![Total::default(); targets.len()]);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(index) = take_next(&next, &totals, end) {
                    let left = end.saturating_duration_since(Instant::now());
                    let Some(target) = targets.get(index) else { return };
                    match program.turn(target, turn.min(left.max(SHORTEST_TURN))) {
                        Ok(turn) => {
                            if let Some(total) = open(&totals).get_mut(index) {
                                add(target, total, turn);
                            }
                        }
                        Err(error) => println!("{target}: {error:#}"),
                    }
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The next target that is not left out; `None` when the time is up and each has had a turn.
fn take_next(next: &Mutex<usize>, totals: &Mutex<Vec<Total>>, end: Instant) -> Option<usize> {
    let totals = open(totals);
    let mut next = open(next);
    if Instant::now() >= end && *next >= totals.len() {
        return None;
    }
    for _ in 0..totals.len() {
        let index = *next % totals.len();
        *next += 1;
        if totals.get(index).is_some_and(|total| total.findings.len() < ENOUGH_FINDINGS) {
            return Some(index);
        }
    }
    None
}

fn open<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(target: &str, total: &mut Total, turn: Turn) {
    total.runs += turn.runs;
    total.time += turn.time;
    total.coverage = total.coverage.max(turn.coverage);
    total.corpus = turn.corpus.max(total.corpus);
    println!(
        "{target:<20} {:>9} runs {:>8.0}/s   coverage {:>6}   corpus {:>5}",
        turn.runs,
        turn.runs as f64 / turn.time.as_secs_f64().max(0.001),
        turn.coverage,
        turn.corpus
    );
    if let Some(finding) = turn.finding {
        let name = finding.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        println!(
            "{target}: FOUND {}; see it with\n  CARRARA_FUZZ_TARGET={target} {} {}\nand keep it with\n  \
             mkdir -p tests/fuzz/regressions/{target} && xxd -p {} > tests/fuzz/regressions/{target}/{name}.hex",
            finding.display(),
            turn.program.display(),
            finding.display(),
            finding.display(),
        );
        total.findings.push(finding);
    }
}

fn report(targets: &[String], totals: &[Total]) -> anyhow::Result<()> {
    println!(
        "\n{:<20} {:>12} {:>9} {:>9} {:>7} {:>9}",
        "target", "runs", "runs/s", "coverage", "corpus", "findings"
    );
    for (target, total) in targets.iter().zip(totals) {
        let rate = total.runs as f64 / total.time.as_secs_f64().max(0.001);
        let findings = total.findings.len();
        println!(
            "{target:<20} {:>12} {rate:>9.0} {:>9} {:>7} {findings:>9}",
            total.runs, total.coverage, total.corpus
        );
    }
    let (runs, findings) = totals
        .iter()
        .fold((0, 0), |(runs, findings), total| (runs + total.runs, findings + total.findings.len()));
    println!("\n{} targets, {runs} inputs, {findings} findings", targets.len());
    ensure!(findings == 0, "{findings} inputs failed; see above");
    let unfed = targets.iter().zip(totals).filter(|(_, total)| total.runs == 0);
    let unfed: Vec<&str> = unfed.map(|(target, _)| target.as_str()).collect();
    ensure!(
        unfed.is_empty(),
        "nothing was fed to {}; see above, or its log in target/fuzz/logs",
        unfed.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_turn_however_little_time_there_is() {
        let (next, totals) = (Mutex::new(0), Mutex::new(vec![Total::default(); 3]));
        let over = Instant::now();
        let turns: Vec<usize> = std::iter::from_fn(|| take_next(&next, &totals, over)).take(9).collect();
        assert_eq!(turns, [0, 1, 2]);
    }

    #[test]
    fn a_target_that_was_fed_nothing_is_no_success() {
        let targets = ["fed".to_owned(), "unfed".to_owned()];
        let fed = Total { runs: 1, ..Total::default() };
        let error = report(&targets, &[fed.clone(), Total::default()]).unwrap_err();
        assert!(error.to_string().contains("to unfed;"), "{error}");
        report(&targets, &[fed.clone(), fed]).unwrap();
    }
}
