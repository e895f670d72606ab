//! libFuzzer's program: how it is started, and what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// What puts libFuzzer's counters into the code.
pub(super) const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// No input may take longer, in seconds.
const TIMEOUT_SECONDS: u64 = 10;
/// No input may use more memory.
const MEMORY_MB: u64 = 2048;
/// No input may ask for more memory at once.
const ALLOCATION_MB: u64 = 512;
/// Longer inputs find nothing that shorter ones do not, and take longer.
const MAX_INPUT_BYTES: usize = 8192;
/// For making a finding smaller.
const MINIMISE_SECONDS: u64 = 20;

/// The program that holds all targets, and its folders.
pub(super) struct Program {
    path: PathBuf,
    folder: PathBuf,
}

/// What a turn of a target came to.
pub(super) struct Turn {
    pub(super) runs: u64,
    pub(super) time: Duration,
    pub(super) coverage: u64,
    pub(super) corpus: u64,
    /// An input that failed.
    pub(super) finding: Option<PathBuf>,
    pub(super) program: PathBuf,
}

impl Program {
    pub(super) fn new(root: &Path, path: PathBuf) -> Self {
        Self { path, folder: root.join("target/fuzz") }
    }

    /// The names of all targets.
    pub(super) fn targets(&self) -> anyhow::Result<Vec<String>> {
        let output = Command::new(&self.path).env("CARRARA_FUZZ_LIST", "1").output();
        let output = output.with_context(|| format!("starting {}", self.path.display()))?;
        let names: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        ensure!(!names.is_empty(), "{} names no targets", self.path.display());
        Ok(names)
    }

    /// Makes the folders of a target.
    pub(super) fn prepare(&self, target: &str) -> anyhow::Result<()> {
        for kind in ["corpus", "findings"] {
            let folder = self.folder.join(kind).join(target);
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::create_dir_all(self.folder.join("logs")).context("making the folder of logs")
    }

    /// Runs a target for a time, from what earlier turns have learnt.
    pub(super) fn turn(&self, target: &str, time: Duration) -> anyhow::Result<Turn> {
        let seeds = self.folder.join("seeds").join(target);
        let mut command = self.command(target);
        command.env("CARRARA_FUZZ_SEEDS", &seeds);
        command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command.arg(format!("-artifact_prefix={}/", self.folder.join("findings").join(target).display()));
        command
            .arg(format!("-max_len={MAX_INPUT_BYTES}"))
            .arg("-print_final_stats=1")
            .arg("-use_value_profile=1");
        command.arg(self.folder.join("corpus").join(target)).arg(&seeds);
        fs::create_dir_all(&seeds).context("making the folder of seeds")?;
        let began = Instant::now();
        let text = self.run(target, &mut command)?;
        let mut turn = Turn {
            runs: number_after(&text, "stat::number_of_executed_units:").unwrap_or(0),
            time: began.elapsed(),
            coverage: number_after(&text, " cov: ").unwrap_or(0),
            corpus: number_after(&text, " corp: ").unwrap_or(0),
            finding: None,
            program: self.path.clone(),
        };
        let written = text.lines().rev().find_map(|line| line.split("Test unit written to ").nth(1));
        turn.finding = written.map(|path| self.smaller(target, Path::new(path.trim())));
        Ok(turn)
    }

    /// The input made smaller; as it is where that does not work.
    fn smaller(&self, target: &str, finding: &Path) -> PathBuf {
        let name = finding.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with("crash") {
            return finding.to_path_buf();
        }
        let small = finding.with_file_name(format!("small-{name}"));
        let mut command = self.command(target);
        command.args(["-minimize_crash=1", &format!("-max_total_time={MINIMISE_SECONDS}")]);
        command.arg(format!("-exact_artifact_path={}", small.display())).arg(finding);
        let made = self.run(target, &mut command).is_ok() && small.is_file();
        if made { small } else { finding.to_path_buf() }
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.env("CARRARA_FUZZ_TARGET", target).stdin(Stdio::null());
        command.arg(format!("-timeout={TIMEOUT_SECONDS}")).arg(format!("-rss_limit_mb={MEMORY_MB}"));
        command.arg(format!("-malloc_limit_mb={ALLOCATION_MB}"));
        command
    }

    /// Runs it to its end, which for a finding is a failure; what it said is kept as the target's log, too.
    fn run(&self, target: &str, command: &mut Command) -> anyhow::Result<String> {
        let output = command.output().with_context(|| format!("starting {}", self.path.display()))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let log = self.folder.join("logs").join(target);
        fs::write(&log, &text).with_context(|| format!("writing {}", log.display()))?;
        Ok(text)
    }
}

/// The number after the last occurrence of a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(word)?;
    rest.trim_start().split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_after_a_word_is_read() {
        let text = "#2 INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0\n#99 NEW    cov: 345 ft: 400 corp: 17/2Kb\n\
                    stat::number_of_executed_units: 1024\n";
        assert_eq!(number_after(text, " cov: "), Some(345));
        assert_eq!(number_after(text, " corp: "), Some(17));
        assert_eq!(number_after(text, "stat::number_of_executed_units:"), Some(1024));
        assert_eq!(number_after(text, "no such word"), None);
    }
}
