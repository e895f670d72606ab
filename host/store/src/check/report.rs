//! What a check found, in words.

use std::fmt;
use std::path::PathBuf;

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every record was opened, or there is no state.
    Sound,
    /// Nothing is wrong with what can be seen without the sealing key.
    Unopened,
    /// Something is wrong.
    Damaged,
    /// Something could not be looked at.
    Unknown,
}

/// A state that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its file.
    pub path: PathBuf,
    /// Chosen when it was made.
    pub state_id: [u8; 16],
    /// Its newest commit.
    pub revision: u64,
    /// Its records, without log and audit trail.
    pub records: usize,
    /// Lines of the update log.
    pub log_lines: usize,
    /// Entries of the audit trail.
    pub audit_entries: usize,
    /// Whether its records were opened, and not only counted.
    pub opened: bool,
}

/// What was found. `Display` is a line for each thing, then one with the verdict.
#[derive(Debug, Default)]
pub struct Report {
    faults: Vec<String>,
    unknown: Vec<String>,
    notes: Vec<String>,
    /// The one in use first.
    states: Vec<Checked>,
    /// Whether the state in use was opened; `None` if there is none.
    opened: Option<bool>,
}

impl Report {
    pub(super) fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    pub(super) fn unknown(&mut self, text: String) {
        self.unknown.push(text);
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    pub(super) fn checked(&mut self, checked: Checked, in_use: bool) {
        if in_use {
            self.opened = Some(checked.opened);
        }
        self.states.push(checked);
    }

    /// What is wrong, where, and what to do.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// What could not be looked at, and why.
    #[must_use]
    pub fn unknown_parts(&self) -> &[String] {
        &self.unknown
    }

    /// What is worth knowing and no fault.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The states that were read.
    #[must_use]
    pub fn states(&self) -> &[Checked] {
        &self.states
    }

    /// A fault outweighs everything.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.faults.is_empty(), self.unknown.is_empty(), self.opened) {
            (false, _, _) => Verdict::Damaged,
            (true, false, _) => Verdict::Unknown,
            (true, true, Some(false)) => Verdict::Unopened,
            (true, true, _) => Verdict::Sound,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for state in &self.states {
            let Checked { revision, records, log_lines, audit_entries, .. } = state;
            let how = if state.opened { "opened" } else { "counted, not opened" };
            writeln!(
                f,
                "{}: state {} at revision {revision}: {records} records, {log_lines} lines of the update log, {audit_entries} \
                 audit entries; {how}",
                state.path.display(),
                hex::encode(state.state_id)
            )?;
        }
        for (kind, texts) in [("note", &self.notes), ("unknown", &self.unknown), ("fault", &self.faults)] {
            texts.iter().try_for_each(|text| writeln!(f, "{kind}: {text}"))?;
        }
        f.write_str(match self.verdict() {
            Verdict::Sound => "sound",
            Verdict::Unopened => {
                "sound as far as it can be seen without the sealing key; check it where the coordinator runs to open the records"
            }
            Verdict::Damaged => "damaged",
            Verdict::Unknown => "could not be checked",
        })
    }
}
