//! Acknowledging the pending update (R-59, L-53..L-55).

use std::sync::Arc;

use carrara_types::decision::Principal;
use carrara_types::manifest::AcceptedManifest;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::Coordinator;
use crate::apply_update::{Applied, changes_recovery};
use crate::audit::{Action, Entry};
use crate::error::{Lockout, OtherBase, PendingUpdateError, SetManifestError, public_message, told};
use crate::full_update::lockout;
use crate::log;
use crate::outcome::{Reporting, Terms, UpdateProgress};
use crate::pending::{Acknowledged, Pending};
use crate::ports::Batch;
use crate::records;
use crate::update_manifest::{ATTEMPTS, Turn, dependencies, is_base, is_stored, without_pending};
use crate::view::View;

/// An acknowledgement that counts.
struct Acknowledgement<'a> {
    view: &'a View,
    user: &'a Principal,
    /// With this acknowledgement.
    pending: Pending,
    now: OffsetDateTime,
}

impl Coordinator {
    /// Acknowledges the pending update, which takes effect with the last acknowledgement that is needed (L-53).
    ///
    /// # Errors
    /// Not a user, nothing pending, not among the required users, other bytes; or it could not take effect (L-55).
    pub async fn acknowledge_update(
        &self,
        peer: Option<&[u8]>,
        bytes: &[u8],
        terms: impl Into<Terms>,
    ) -> Result<UpdateProgress, PendingUpdateError> {
        let terms = terms.into();
        self.acknowledger(peer)?;
        let turn = &self.update_turn().await;
        for _ in 0..ATTEMPTS {
            let (view, user) = self.acknowledger(peer)?;
            let mut pending = Pending::clone(&*self.pending(&view)?);
            let now = self.now(&view);
            let acknowledged = pending.acknowledge(&user.name);
            if acknowledged == Acknowledged::NotAllowed {
                return Err(self.refuse(&user, &pending, now));
            }
            if bytes != pending.manifest {
                return Err(self.refuse_different(&user, bytes, now));
            }
            if acknowledged == Acknowledged::Before {
                return Ok(progress(&pending));
            }
            if !is_base(&view, &terms.guards) {
                return Err(PendingUpdateError::OtherBase(OtherBase));
            }
            let acknowledgement = Acknowledgement { view: &view, user: &user, pending, now };
            let progress = if acknowledgement.pending.missing() > 0 {
                self.count_acknowledgement(&acknowledgement).await?
            } else {
                self.complete(&acknowledgement, terms, turn).await?
            };
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
        Err(PendingUpdateError::Busy)
    }

    /// The user of the connection.
    pub(crate) fn acknowledger(
        &self,
        peer: Option<&[u8]>,
    ) -> Result<(View, Arc<Principal>), PendingUpdateError> {
        let view = self.view().map_err(PendingUpdateError::Store)?.ok_or(PendingUpdateError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(PendingUpdateError::Unauthorized)?;
        Ok((view, user))
    }

    fn refuse(&self, user: &Principal, pending: &Pending, now: OffsetDateTime) -> PendingUpdateError {
        let text = format!("user {} is not allowed to acknowledge manifest updates", user.name);
        let entry = Entry::done(now, Some(user), Action::AcknowledgeUpdate, [pending.fingerprint()]);
        self.note(&entry.refused(&text));
        PendingUpdateError::Denied(text)
    }

    /// The entry names the bytes that were sent: those that wait are named by the update's own entry.
    fn refuse_different(&self, user: &Principal, bytes: &[u8], now: OffsetDateTime) -> PendingUpdateError {
        let sent = hex::encode(Sha256::digest(bytes));
        let entry = Entry::done(now, Some(user), Action::AcknowledgeUpdate, [sent]);
        self.note(&entry.refused(&PendingUpdateError::Different.to_string()));
        PendingUpdateError::Different
    }

    /// More are needed. `None` if the state has changed meanwhile.
    async fn count_acknowledgement(
        &self,
        acknowledgement: &Acknowledgement<'_>,
    ) -> Result<Option<UpdateProgress>, PendingUpdateError> {
        let Acknowledgement { view, pending, now, .. } = acknowledgement;
        let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
        batch.log_lines.push(acknowledgement.line());
        log::check_lengths(&batch.log_lines).map_err(PendingUpdateError::Log)?;
        let record = pending.encode().map_err(PendingUpdateError::Log)?;
        records::put(&mut batch, records::PENDING_UPDATE, record);
        let stored = is_stored(self.commit(batch, *now, &[acknowledgement.entry()]).await)
            .map_err(PendingUpdateError::Store)?;
        Ok(stored.then(|| progress(pending)))
    }

    /// It was the last one: the update takes effect, in the same commit. `None` if the state has changed meanwhile.
    async fn complete(
        &self,
        acknowledgement: &Acknowledgement<'_>,
        terms: Terms,
        turn: &Turn,
    ) -> Result<Option<UpdateProgress>, PendingUpdateError> {
        let Acknowledgement { view, user, pending, now } = acknowledgement;
        let (now, fingerprint) = (*now, pending.fingerprint());
        let applied = Entry::done(now, Some(user), Action::ApplyUpdate, [fingerprint.clone()]);
        let Applied { mut batch, recovery_secrets, policies } =
            match self.take_effect(acknowledgement, terms, turn).await {
                Ok(made) => made,
                Err(PendingUpdateError::Apply(error)) => {
                    let mut batch = without_pending(view);
                    batch.log_lines = vec![acknowledgement.line(), log::update_failed(now, &fingerprint)];
                    log::check_lengths(&batch.log_lines).map_err(PendingUpdateError::Log)?;
                    let entries = [acknowledgement.entry(), applied.refused(&public_message(&error))];
                    let stored = is_stored(self.commit(batch, now, &entries).await)
                        .map_err(PendingUpdateError::Store)?;
                    return if stored { Err(PendingUpdateError::Apply(error)) } else { Ok(None) };
                }
                Err(error) => return Err(error),
            };
        batch.log_lines = vec![acknowledgement.line(), log::manifest_updated(now, &fingerprint)];
        log::check_lengths(&batch.log_lines).map_err(PendingUpdateError::Log)?;
        let committed = self.commit(batch, now, &[acknowledgement.entry(), applied]).await;
        let stored = match is_stored(committed) {
            Ok(stored) => stored,
            Err(cause) => return Err(told(cause, fingerprint, recovery_secrets, PendingUpdateError::Store)),
        };
        if stored {
            self.put_in_force(policies);
        }
        Ok(stored.then(|| UpdateProgress { recovery_secrets, ..UpdateProgress::default() }))
    }

    async fn take_effect(
        &self,
        acknowledgement: &Acknowledgement<'_>,
        terms: Terms,
        turn: &Turn,
    ) -> Result<Applied, PendingUpdateError> {
        let Acknowledgement { view, pending, now, .. } = acknowledgement;
        let failed = |error| match error {
            SetManifestError::Store(error) => PendingUpdateError::Store(error),
            error => PendingUpdateError::Apply(error),
        };
        let manifest = self.judge_again(view, &pending.manifest).map_err(failed)?;
        refuse_unreportable(view, &manifest, terms.reporting)?;
        let own = self.pending_set(view, &manifest).await.map_err(failed)?;
        if terms.guards.refuse_lockout {
            let found = lockout(view, &manifest, own.policies.as_ref(), *now).await;
            if let Some(found) = found.map_err(PendingUpdateError::Store)? {
                return Err(PendingUpdateError::Lockout(Lockout(found.message)));
            }
        }
        self.apply(view, Arc::new(manifest), own, &pending.manifest, *now, turn).await.map_err(failed)
    }
}

impl Acknowledgement<'_> {
    fn line(&self) -> String {
        let Self { user, pending, now, .. } = self;
        let (missing, users) = (pending.missing(), pending.missing_users());
        log::update_acknowledged(*now, &user.name, missing, &users, &pending.fingerprint())
    }

    fn entry(&self) -> Entry {
        Entry::done(self.now, Some(self.user), Action::AcknowledgeUpdate, [self.pending.fingerprint()])
    }
}

/// version 1 cannot return the new recovery secrets. The acknowledgement is not counted.
fn refuse_unreportable(
    view: &View,
    manifest: &AcceptedManifest,
    reporting: Reporting,
) -> Result<(), PendingUpdateError> {
    if reporting == Reporting::Full || !changes_recovery(&view.epoch.manifest, manifest) {
        return Ok(());
    }
    let text = "the acknowledgement completes an update that changes the recovery keys, and this version of the API \
                cannot return the new recovery secrets: use /api/v2/update-manifest";
    Err(PendingUpdateError::NeedsVersion2(text.to_owned()))
}

fn progress(pending: &Pending) -> UpdateProgress {
    UpdateProgress {
        missing_acknowledgments: pending.missing(),
        missing_users: Some(pending.missing_users()),
        ..UpdateProgress::default()
    }
}
