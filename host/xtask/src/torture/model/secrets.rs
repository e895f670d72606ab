//! User-defined secrets: each is written by one client, one upload after the other, with numbers that only grow.

use anyhow::{Context as _, ensure};

/// How many there are.
pub(crate) const SECRETS: usize = 50;

/// What an upload writes: these secrets, all with one number.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// Indices of the secrets.
    pub(crate) secrets: Vec<usize>,
    /// What they are set to.
    pub(crate) number: u64,
}

/// All secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    all: Vec<Secret>,
    unanswered: Vec<Upload>,
    next: u64,
    uploads: u64,
    lines: u64,
}

#[derive(Debug, Default, Clone)]
struct Secret {
    acknowledged: u64,
    sent: u64,
}

/// What became of the uploads that the server did not answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// How many there were.
    pub(crate) unanswered: u64,
    /// How many of them were stored.
    pub(crate) found: u64,
}

impl Secrets {
    /// Nothing is set.
    pub(crate) fn new() -> Self {
        Self { all: vec![Secret::default(); SECRETS], unanswered: Vec::new(), next: 1, uploads: 0, lines: 0 }
    }

    /// The upload that is about to be sent.
    pub(crate) fn send(&mut self, secrets: Vec<usize>) -> Upload {
        let number = self.next;
        self.next += 1;
        for index in &secrets {
            if let Some(secret) = self.all.get_mut(*index) {
                secret.sent = number;
            }
        }
        let upload = Upload { secrets, number };
        self.unanswered.push(upload.clone());
        upload
    }

    /// It was acknowledged.
    pub(crate) fn acknowledge(&mut self, upload: &Upload) {
        self.unanswered.retain(|other| other.number != upload.number);
        self.stored(upload);
    }

    fn stored(&mut self, upload: &Upload) {
        for index in &upload.secrets {
            if let Some(secret) = self.all.get_mut(*index) {
                secret.acknowledged = upload.number;
            }
        }
        self.uploads += 1;
        self.lines += upload.secrets.len() as u64;
    }

    /// What was acknowledged before a read.
    pub(crate) fn acknowledged(&self, index: usize) -> u64 {
        self.all.get(index).map_or(0, |secret| secret.acknowledged)
    }

    /// A read under load: not older than what was acknowledged before it, and nothing that nobody sent.
    pub(crate) fn read(&self, index: usize, before: u64, found: u64) -> anyhow::Result<()> {
        let sent = self.all.get(index).context("no such secret")?.sent;
        ensure!(
            (before..=sent).contains(&found),
            "secret {index} was read as {found}; {before} was acknowledged before and {sent} was sent last"
        );
        Ok(())
    }

    /// What all secrets are after a restart: as acknowledged, or as in an upload that was not answered, and then all of it.
    pub(crate) fn resolve(&mut self, found: &[u64]) -> anyhow::Result<Resolved> {
        ensure!(found.len() == self.all.len(), "{} secrets were read", found.len());
        let unanswered = std::mem::take(&mut self.unanswered);
        let mut resolved = Resolved { unanswered: unanswered.len() as u64, found: 0 };
        for upload in &unanswered {
            let stored = upload.secrets.iter().filter(|index| found.get(**index) == Some(&upload.number));
            let stored = stored.count();
            ensure!(
                stored == 0 || stored == upload.secrets.len(),
                "of an upload of the secrets {:?} only {stored} were stored",
                upload.secrets
            );
            if stored > 0 {
                self.stored(upload);
                resolved.found += 1;
            }
        }
        for (index, (secret, found)) in self.all.iter_mut().zip(found).enumerate() {
            ensure!(
                *found == secret.acknowledged,
                "secret {index} is {found}; {} was acknowledged and {} was sent last",
                secret.acknowledged,
                secret.sent
            );
            secret.sent = *found;
        }
        Ok(resolved)
    }

    /// Uploads that the server has, each with one entry in the audit trail.
    pub(crate) fn uploads(&self) -> u64 {
        self.uploads
    }

    /// Secrets in them, each with one line in the update log.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All as they are acknowledged, with changes.
    fn found(secrets: &Secrets, changes: &[(usize, u64)]) -> Vec<u64> {
        let mut all: Vec<u64> = (0..SECRETS).map(|index| secrets.acknowledged(index)).collect();
        for (index, number) in changes {
            all[*index] = *number;
        }
        all
    }

    #[test]
    fn an_acknowledged_upload_must_be_there() {
        let mut secrets = Secrets::new();
        let upload = secrets.send(vec![1, 2]);
        secrets.acknowledge(&upload);
        assert!(secrets.resolve(&found(&secrets, &[])).is_ok());
        assert!(secrets.resolve(&found(&secrets, &[(1, 0)])).is_err());
        assert_eq!((secrets.uploads(), secrets.lines()), (1, 2));
    }

    #[test]
    fn an_unanswered_upload_may_be_there_or_not_but_not_in_part() {
        let begun = || {
            let mut secrets = Secrets::new();
            let upload = secrets.send(vec![3, 4]);
            (secrets, upload.number)
        };
        let (mut secrets, _) = begun();
        let resolved = secrets.resolve(&found(&secrets, &[])).unwrap();
        assert_eq!((resolved, secrets.uploads()), (Resolved { unanswered: 1, found: 0 }, 0));
        let (mut secrets, number) = begun();
        let resolved = secrets.resolve(&found(&secrets, &[(3, number), (4, number)])).unwrap();
        assert_eq!((resolved, secrets.lines()), (Resolved { unanswered: 1, found: 1 }, 2));
        let (mut secrets, number) = begun();
        assert!(secrets.resolve(&found(&secrets, &[(3, number)])).is_err());
    }

    #[test]
    fn a_read_lies_between_what_was_acknowledged_and_what_was_sent() {
        let mut secrets = Secrets::new();
        let first = secrets.send(vec![0]);
        secrets.acknowledge(&first);
        let second = secrets.send(vec![0]);
        for (read, good) in [(0, false), (first.number, true), (second.number, true), (9, false)] {
            assert_eq!(secrets.read(0, first.number, read).is_ok(), good, "{read}");
        }
    }
}
