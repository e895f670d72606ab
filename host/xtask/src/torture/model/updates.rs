//! The manifest: at most one change of it is under way at a time.

use anyhow::{bail, ensure};

use crate::torture::plan::Update;

/// What changes from manifest to manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Activations that the counted type may have.
    pub(crate) limit: u64,
    /// Which recovery key it names.
    pub(crate) recovery: usize,
    /// Whether the state is sealed with a key of this very program, and not of its signer.
    pub(crate) unique: bool,
    /// The security version of the package.
    pub(crate) package: u64,
    /// So that no two manifests are the same.
    pub(crate) serial: u64,
}

/// What is in force, and what may be.
#[derive(Debug)]
pub(crate) struct Updates {
    current: Version,
    under_way: Option<(Update, Version)>,
    sent: u64,
    packages: u64,
    wholes: u64,
    recovery: Option<Vec<u8>>,
}

impl Updates {
    /// The first manifest.
    pub(crate) fn new() -> Self {
        let current = Version { limit: 20, recovery: 0, unique: false, package: 1, serial: 0 };
        Self { current, under_way: None, sent: 0, packages: 0, wholes: 0, recovery: None }
    }

    /// Another first manifest.
    pub(crate) fn start(&mut self, version: Version) {
        self.current = version;
    }

    /// The manifest in force, unless an unanswered one is.
    pub(crate) fn current(&self) -> &Version {
        &self.current
    }

    /// The change that is about to be sent.
    pub(crate) fn send(&mut self, update: Update, more: u64, serial: u64) -> Version {
        let mut next = self.current.clone();
        match update {
            Update::Package => next.package += 1,
            _ => (next.limit, next.serial) = (next.limit + more, serial),
        }
        if update == Update::RecoveryKey {
            next.recovery = 1 - next.recovery.min(1);
        }
        next.unique ^= update == Update::SealMode;
        self.under_way = Some((update, next.clone()));
        self.sent += 1;
        next
    }

    /// It was acknowledged, with the recovery secret if there is a new one.
    pub(crate) fn acknowledge(&mut self, recovery: Option<Vec<u8>>) -> anyhow::Result<()> {
        let Some((update, _)) = self.under_way else { bail!("no update was sent") };
        let new = recovery.is_some();
        ensure!(
            new == (update == Update::RecoveryKey),
            "{update:?} was answered with a recovery secret: {new}"
        );
        self.made();
        if new {
            self.recovery = recovery;
        }
        Ok(())
    }

    fn made(&mut self) {
        if let Some((update, version)) = self.under_way.take() {
            self.current = version;
            match update {
                Update::Package => self.packages += 1,
                Update::Full | Update::SealMode => self.wholes += 1,
                // Its answer may follow; without it, nobody knows the secret.
                Update::RecoveryKey => (self.wholes, self.recovery) = (self.wholes + 1, None),
            }
        }
    }

    /// The manifest set first, with its recovery secret if that was answered.
    pub(crate) fn set(&mut self, recovery: Option<Vec<u8>>) {
        self.recovery = recovery;
    }

    /// The change that waits for its answer, if any.
    pub(crate) fn under_way(&self) -> Option<(Update, &Version)> {
        self.under_way.as_ref().map(|(update, version)| (*update, version))
    }

    /// What became of it after a restart.
    pub(crate) fn resolve(&mut self, stored: bool) {
        if stored { self.made() } else { self.under_way = None }
    }

    /// The lowest and the highest number of activations that the manifest in force may allow.
    pub(crate) fn limits(&self) -> (u64, u64) {
        let low = self.current.limit;
        (low, self.under_way.as_ref().map_or(low, |(_, version)| version.limit))
    }

    /// Changes sent so far: each may have made the Marbles' certificates old.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Those of them that cannot make any older any more: it is known what became of them.
    pub(crate) fn settled(&self) -> u64 {
        self.sent - u64::from(self.under_way.is_some())
    }

    /// Package updates made.
    pub(crate) fn packages(&self) -> u64 {
        self.packages
    }

    /// Full updates made.
    pub(crate) fn wholes(&self) -> u64 {
        self.wholes
    }

    /// What the holder of the recovery key has been given, if the answer came.
    pub(crate) fn recovery(&self) -> Option<&[u8]> {
        self.recovery.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_change_of_the_recovery_key_leaves_its_secret_unknown_if_it_was_made() {
        for (stored, known) in [(true, None), (false, Some(&b"first"[..]))] {
            let mut updates = Updates::new();
            updates.set(Some(b"first".to_vec()));
            updates.send(Update::RecoveryKey, 5, 1);
            assert_eq!(updates.limits(), (20, 25));
            updates.resolve(stored);
            assert_eq!(updates.recovery(), known);
            assert_eq!(updates.wholes(), u64::from(stored));
        }
    }

    #[test]
    fn a_recovery_secret_comes_with_a_changed_key_and_only_then() {
        for (update, secret, good) in [
            (Update::RecoveryKey, Some(vec![1]), true),
            (Update::RecoveryKey, None, false),
            (Update::Full, Some(vec![1]), false),
            (Update::Package, None, true),
            (Update::SealMode, None, true),
        ] {
            let mut updates = Updates::new();
            updates.send(update, 5, 1);
            assert_eq!(updates.acknowledge(secret).is_ok(), good, "{update:?}");
        }
    }
}
