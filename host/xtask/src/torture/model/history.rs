//! The update log and the audit trail: what was read once is never different, and nothing is missing.

use anyhow::{Context as _, ensure};
use carrara_client::checkpoint::{Checkpoint, Hash};
use serde_json::Value;

/// Everything read so far.
#[derive(Debug, Default)]
pub(crate) struct History {
    lines: Vec<String>,
    checkpoint: Option<Checkpoint>,
    /// `None` where entries went before they were read.
    entries: Vec<Option<String>>,
}

impl History {
    /// Lines read so far.
    pub(crate) fn size(&self) -> usize {
        self.lines.len()
    }

    /// Lines of the checkpoint that was seen last.
    pub(crate) fn checkpoint_size(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, Checkpoint::size)
    }

    /// Entries read so far.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// The log's lines from `from` on, which is not past what was read.
    pub(crate) fn add_lines(&mut self, from: usize, lines: Vec<String>) -> anyhow::Result<()> {
        for (index, line) in (from..).zip(lines) {
            match self.lines.get(index) {
                Some(known) => {
                    ensure!(*known == line, "line {index} of the update log was {known}, and is {line}")
                }
                None => self.lines.push(line),
            }
        }
        Ok(())
    }

    /// A verified head of the log, with the proof from the one seen last.
    pub(crate) fn add_head(&mut self, head: Checkpoint, proof: &[Hash]) -> anyhow::Result<()> {
        if let Some(last) = &self.checkpoint {
            last.follow(&head, proof).with_context(|| format!("after\n{last:?}\ncame\n{head:?}"))?;
        }
        self.checkpoint = Some(head);
        Ok(())
    }

    /// Whether the head seen last covers exactly the lines that were read.
    pub(crate) fn whole(&self) -> anyhow::Result<()> {
        let head = self.checkpoint.as_ref().context("no head was read")?;
        let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
        let lines = self.lines.get(..size).with_context(|| format!("the head covers {size} lines"))?;
        ensure!(head.covers(lines), "the head does not cover the lines that were read");
        Ok(())
    }

    /// How many lines tell of this.
    pub(crate) fn count(&self, update: &str) -> u64 {
        let wanted = format!("\"update\":\"{update}\"");
        self.lines.iter().filter(|line| line.contains(&wanted)).count() as u64
    }

    /// A page of the audit trail.
    pub(crate) fn add_entries(&mut self, page: &Value) -> anyhow::Result<()> {
        let number =
            |name: &str| page.get(name).and_then(Value::as_u64).with_context(|| format!("no {name}: {page}"));
        let (from, end) = (number("from")?, number("end")?);
        ensure!(
            end >= self.entries.len() as u64,
            "the audit trail ended at {} and ends at {end}",
            self.entries.len()
        );
        let page = page.get("entries").and_then(Value::as_array).context("no entries")?;
        for (index, entry) in (from..).zip(page) {
            ensure!(entry.get("index").and_then(Value::as_u64) == Some(index), "entry {index} is {entry}");
            let index = usize::try_from(index)?;
            while self.entries.len() < index {
                self.entries.push(None);
            }
            let text = entry.to_string();
            match self.entries.get(index) {
                Some(Some(known)) => {
                    ensure!(*known == text, "audit entry {index} was {known}, and is {text}")
                }
                Some(None) => {}
                None => self.entries.push(Some(text)),
            }
        }
        Ok(())
    }

    /// How many entries tell of such an action, done.
    pub(crate) fn done(&self, action: &str) -> u64 {
        let wanted = format!("\"action\":\"{action}\"");
        let is = |entry: &&String| entry.contains(&wanted) && entry.contains("\"outcome\":\"done\"");
        self.entries.iter().flatten().filter(is).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(second: u8) -> String {
        format!("{{\"time\":\"2031-02-03T04:05:{second:02}.000Z\",\"update\":\"Secret set\"}}")
    }

    #[test]
    fn a_line_that_was_read_never_changes() {
        let mut history = History::default();
        history.add_lines(0, vec![line(1), line(2)]).unwrap();
        history.add_lines(1, vec![line(2), line(2)]).unwrap();
        assert_eq!((history.size(), history.count("Secret set")), (3, 3));
        assert!(history.add_lines(2, vec![line(9)]).is_err());
    }

    #[test]
    fn an_index_of_the_trail_has_one_entry_for_ever() {
        let page = |from: u64, actions: &[&str]| {
            let entry = |(index, action)| json!({ "index": index, "action": action, "outcome": "done" });
            let entries: Vec<Value> = (from..).zip(actions).map(entry).collect();
            json!({ "from": from, "end": from + actions.len() as u64, "entries": entries })
        };
        let mut history = History::default();
        history.add_entries(&page(0, &["A", "B"])).unwrap();
        history.add_entries(&page(1, &["B", "A"])).unwrap();
        assert_eq!((history.entries(), history.done("A")), (3, 2));
        assert!(history.add_entries(&page(2, &["C"])).is_err());
        assert!(history.add_entries(&page(0, &["A"])).is_err(), "it is shorter");
    }
}
