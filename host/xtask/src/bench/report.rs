//! What was measured, as a table for people and as JSON.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::figures::Figures;
use super::rows::{Judgement, Row};

/// All rows of one run so far.
#[derive(Default)]
pub(crate) struct Report {
    smoke: bool,
    entries: Vec<Entry>,
}

struct Entry {
    row: &'static Row,
    outcome: Outcome,
    judgements: Vec<Judgement>,
}

/// How a row ended.
pub(crate) enum Outcome {
    /// With figures.
    Measured(Figures),
    /// With an error.
    Failed(String),
}

impl Report {
    /// Prints the table's head. The figures of a smoke run mean nothing and are not judged.
    pub(crate) fn start(smoke: bool) -> Self {
        if smoke {
            println!("A smoke run: its figures mean nothing and are not judged.");
        }
        println!(
            "{:<46} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}  goals (reference)",
            "row", "n", "rate/s", "p50", "p99", "max", "CPU/op", "RSS"
        );
        Self { smoke, entries: Vec::new() }
    }

    /// Takes a row's outcome and prints its line.
    pub(crate) fn add(&mut self, row: &'static Row, outcome: Outcome) {
        let judgements = match &outcome {
            Outcome::Measured(figures) if !self.smoke => {
                row.goals.iter().filter_map(|goal| goal.judge(figures, |id| self.figures(id))).collect()
            }
            _ => Vec::new(),
        };
        let entry = Entry { row, outcome, judgements };
        println!("{}", entry.line());
        self.entries.push(entry);
    }

    /// The names of the rows that failed.
    pub(crate) fn failed(&self) -> Vec<&'static str> {
        let failed = self.entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Failed(_)));
        failed.map(|entry| entry.row.id).collect()
    }

    /// Writes everything as JSON. Times are microseconds, memory is KiB.
    pub(crate) fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let rows: Vec<Value> = self.entries.iter().map(Entry::json).collect();
        let document = json!({ "version": env!("CARGO_PKG_VERSION"), "smoke": self.smoke, "rows": rows });
        let text = serde_json::to_string_pretty(&document).context("writing JSON")?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    fn figures(&self, id: &str) -> Option<&Figures> {
        self.entries.iter().find(|entry| entry.row.id == id).and_then(|entry| match &entry.outcome {
            Outcome::Measured(figures) => Some(figures),
            _ => None,
        })
    }
}

impl Entry {
    fn line(&self) -> String {
        let title = self.row.title;
        let figures = match &self.outcome {
            Outcome::Failed(error) => return format!("{title:<46} FAILED: {error}"),
            Outcome::Measured(figures) => figures,
        };
        let rate = figures.rate_per_second.map_or_else(dash, |rate| format!("{rate:.0}"));
        let [p50, p99, max] = match figures.latency {
            Some(latency) => [latency.p50_us, latency.p99_us, latency.max_us].map(time),
            None => [dash(), dash(), dash()],
        };
        let cpu = figures.cpu_us.map_or_else(dash, time);
        let rss = figures.rss_kib.map_or_else(dash, |kib| format!("{:.1} MB", kib as f64 * 1024.0 / 1e6));
        let n = figures.n;
        let goals: Vec<String> = self.judgements.iter().map(judgement).collect();
        let goals = goals.join("; ");
        format!(
            "{title:<46} {n:>8} {rate:>9} {p50:>9} {p99:>9} {max:>9} {cpu:>9} {rss:>8}  {goals}{}",
            self.reference()
        )
    }

    fn reference(&self) -> String {
        if self.row.reference.is_empty() { String::new() } else { format!(" ({})", self.row.reference) }
    }

    fn json(&self) -> Value {
        let (state, figures, error) = match &self.outcome {
            Outcome::Measured(figures) => ("measured", Some(figures), None),
            Outcome::Failed(error) => ("failed", None, Some(error)),
        };
        json!({
            "id": self.row.id,
            "title": self.row.title,
            "reference": self.row.reference,
            "state": state,
            "figures": figures,
            "error": error,
            "goals": self.judgements,
        })
    }
}

fn judgement(judged: &Judgement) -> String {
    if judged.met {
        format!("{}: yes", judged.goal)
    } else {
        format!("{}: NO, {}", judged.goal, number(judged.measured))
    }
}

/// Three digits where there is room for doubt.
fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// A time for people.
pub(crate) fn time(microseconds: f64) -> String {
    if microseconds >= 10_000.0 {
        format!("{:.1} ms", microseconds / 1000.0)
    } else if microseconds >= 1000.0 {
        format!("{:.2} ms", microseconds / 1000.0)
    } else {
        format!("{microseconds:.1} us")
    }
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::rows::ROWS;

    fn row(id: &str) -> &'static Row {
        ROWS.iter().find(|row| row.id == id).unwrap()
    }

    fn figures(cpu_us: u64) -> Outcome {
        let times = vec![Duration::from_micros(1500)];
        Outcome::Measured(Figures::of_run(times, Duration::from_secs(1), Duration::from_micros(cpu_us)))
    }

    #[test]
    fn a_line_says_whether_the_goals_are_met() {
        let mut report = Report::default();
        report.add(row("read-10"), figures(60));
        report.add(row("read-1k"), figures(90));
        let line = report.entries[1].line();
        assert!(line.contains("1.50 ms"), "{line}");
        assert!(line.contains("CPU <= 65 us: NO, 90.00; CPU <= 1.3 x read-10: NO, 1.50 (500/s)"), "{line}");
        assert!(report.entries[0].line().contains("CPU <= 65 us: yes"));
    }

    #[test]
    fn a_smoke_run_is_not_judged() {
        let mut report = Report::start(true);
        report.add(row("read-10"), figures(60));
        assert!(report.entries[0].judgements.is_empty());
    }

    #[test]
    fn failed_rows_are_told_apart_in_json() {
        let mut report = Report::default();
        report.add(row("start"), Outcome::Failed("no binary".to_owned()));
        report.add(row("kill"), figures(1));
        assert_eq!(report.failed(), ["start"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        report.write_json(file.path()).unwrap();
        let read: Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(read["rows"][0]["state"], "failed");
        assert_eq!(read["rows"][0]["error"], "no binary");
        assert_eq!(read["rows"][1]["state"], "measured");
        assert_eq!(read["rows"][0]["figures"], Value::Null);
    }
}
