//! Starting a full update (M-110..M-112, L-51, L-52, X-30).
//!
//! With enough acknowledgements (the proposer's counts) it takes effect in the same commit; else it waits.

use std::sync::Arc;

use carrara_types::decision::{Change, Finding, Severity};
use carrara_types::manifest::AcceptedManifest;
use carrara_types::policy::Digest;
use time::OffsetDateTime;

use crate::Coordinator;
use crate::access;
use crate::apply_update::{Applied, changes_recovery};
use crate::audit::{Action, Entry};
use crate::components::{self, named};
use crate::dry_run::dry_run;
use crate::error::{Lockout, OtherBase, SetManifestError, UpdateManifestError, public_message, told};
use crate::judging::{self, Judged, Own, Unfit};
use crate::log;
use crate::outcome::{Reporting, UpdateProgress};
use crate::pending::Pending;
use crate::ports::{Batch, Policies, StoreError};
use crate::records;
use crate::update_manifest::{Proposed, dependencies, is_base, is_stored};
use crate::view::{self, View};

impl Coordinator {
    /// `None` if the state has changed meanwhile.
    pub(crate) async fn update_whole(
        &self,
        view: &View,
        proposed: &Proposed<'_>,
    ) -> Result<Option<UpdateProgress>, UpdateManifestError> {
        let Proposed { user, now, .. } = *proposed;
        let asked = access::may_update_manifest(view, user, now).await;
        let view = match asked {
            Ok(grant) => grant.view(),
            Err(error) => {
                self.note_refused_update(proposed.entry(), &error);
                return Err(error);
            }
        };
        if !is_base(view, &proposed.terms.guards) {
            return Err(UpdateManifestError::OtherBase(OtherBase));
        }
        let (judged, mut warnings) = self.judge_update(view, proposed).await?;
        refuse_lockout(proposed, &warnings)?;
        let Judged { manifest, own } = judged;
        let manifest = Arc::new(manifest);
        let pending = Self::pending_of(view, proposed).await;
        refuse_unreportable(view, proposed, &manifest, &pending)?;
        let progress = if pending.missing() == 0 {
            self.apply_at_once(view, proposed, manifest, own).await?
        } else {
            let tried = dry_run(&manifest, own.policies.as_ref(), now).await;
            warnings.extend(tried.err().and_then(|error| would_fail(&error)));
            self.wait_for_others(view, proposed, &pending, &own).await?
        };
        Ok(progress.map(|progress| UpdateProgress { warnings, ..progress }))
    }

    /// Host, validators and the proposed users' permissions.
    async fn judge_update(
        &self,
        view: &View,
        proposed: &Proposed<'_>,
    ) -> Result<(Judged, Vec<Finding>), UpdateManifestError> {
        let question = judging::Question {
            manifest: proposed.manifest,
            sent: proposed.sent,
            proposal: Self::proposal(view, proposed, Change::FullUpdate),
            view: Some(view),
            names: view.epoch.live.names(),
        };
        let judged = self.judge_proposal(question).await.map_err(|unfit| match unfit {
            Unfit::Refused(why) => UpdateManifestError::Refused(why),
            Unfit::Policy(failure) => UpdateManifestError::Policy(failure),
        })?;
        let mut warnings = judged.manifest.warnings().to_vec();
        if !warnings.iter().any(|warning| warning.code == LOCKOUT) {
            let (manifest, policies) = (&judged.manifest, judged.own.policies.as_ref());
            let found = lockout(view, manifest, policies, proposed.now).await;
            warnings.extend(found.map_err(UpdateManifestError::Store)?);
        }
        Ok((judged, warnings))
    }

    /// L-51: who must acknowledge, by the manifest in force. Of whom the authorizers cannot say it, that counts as a yes
    /// where all must agree, and as a no where a number must: either way a policy that fails, or is kept busy, makes an
    /// update need no fewer users, and makes nobody one of them whom it would deny.
    async fn pending_of(view: &View, proposed: &Proposed<'_>) -> Pending {
        let threshold = view.epoch.manifest.config.update_threshold;
        let (mut holders, all) = (Vec::new(), threshold == 0);
        for user in view.epoch.users() {
            if access::holds_update_manifest(view, user, proposed.now).await.unwrap_or(all) {
                holders.push(user.name.clone());
            }
        }
        Pending::start(proposed.bytes.to_vec(), &proposed.user.name, holders, threshold)
    }

    async fn wait_for_others(
        &self,
        view: &View,
        proposed: &Proposed<'_>,
        pending: &Pending,
        own: &Own,
    ) -> Result<Option<UpdateProgress>, UpdateManifestError> {
        let Proposed { user, now, .. } = *proposed;
        let (missing, users) = (pending.missing(), pending.missing_users());
        let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
        batch.log_lines.push(log::update_waiting(now, &user.name, missing, &users, &proposed.fingerprint()));
        log::check_lengths(&batch.log_lines).map_err(UpdateManifestError::Log)?;
        let record = pending.encode().map_err(UpdateManifestError::Log)?;
        records::put(&mut batch, records::PENDING_UPDATE, record);
        let mut needed = named(&view.epoch.manifest.policies);
        needed.extend(named(&proposed.manifest.policies));
        components::keep(&mut batch, Some(view.snapshot.as_ref()), &needed, &own.offered);
        let stored = is_stored(self.commit(batch, now, &[proposed.entry()]).await)
            .map_err(UpdateManifestError::Store)?;
        if stored {
            self.uploads.forget(own.offered.keys());
            // What came along may be what the manifest in force lacks, too.
            if view.policies().unusable().iter().any(|lost| own.offered.contains_key(lost)) {
                self.remake_policies().map_err(UpdateManifestError::Store)?;
            }
        }
        Ok(stored.then(|| UpdateProgress {
            missing_acknowledgments: missing,
            missing_users: Some(users),
            ..UpdateProgress::default()
        }))
    }

    /// L-52, in one commit.
    async fn apply_at_once(
        &self,
        view: &View,
        proposed: &Proposed<'_>,
        manifest: Arc<AcceptedManifest>,
        own: Own,
    ) -> Result<Option<UpdateProgress>, UpdateManifestError> {
        let Proposed { bytes, user, now, turn, .. } = *proposed;
        let fingerprint = proposed.fingerprint();
        let initiated = log::update_initiated(now, &user.name, &fingerprint);
        let applied = Entry::done(now, Some(user), Action::ApplyUpdate, [fingerprint.clone()]);
        let offered: Vec<Digest> = own.offered.keys().copied().collect();
        let made = self.apply(view, manifest, own, bytes, now, turn).await;
        let Applied { mut batch, recovery_secrets, policies } = match made {
            Ok(made) => made,
            Err(SetManifestError::Store(error)) => return Err(UpdateManifestError::Store(error)),
            Err(error) => {
                let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
                batch.log_lines = vec![initiated, log::update_failed(now, &fingerprint)];
                log::check_lengths(&batch.log_lines).map_err(UpdateManifestError::Log)?;
                let entries = [proposed.entry(), applied.refused(&public_message(&error))];
                let stored =
                    is_stored(self.commit(batch, now, &entries).await).map_err(UpdateManifestError::Store)?;
                return if stored { Err(UpdateManifestError::Apply(error)) } else { Ok(None) };
            }
        };
        batch.log_lines = vec![initiated, log::manifest_updated(now, &fingerprint)];
        log::check_lengths(&batch.log_lines).map_err(UpdateManifestError::Log)?;
        let committed = self.commit(batch, now, &[proposed.entry(), applied]).await;
        let stored = match is_stored(committed) {
            Ok(stored) => stored,
            Err(cause) => return Err(told(cause, fingerprint, recovery_secrets, UpdateManifestError::Store)),
        };
        if stored {
            self.uploads.forget(&offered);
            self.put_in_force(policies);
        }
        Ok(stored.then(|| UpdateProgress { recovery_secrets, ..UpdateProgress::default() }))
    }
}

/// The warning that nobody, or too few, could update the proposed manifest by its own policies (policy.md, In the manifest).
pub(crate) async fn lockout(
    view: &View,
    manifest: &AcceptedManifest,
    policies: &dyn Policies,
    now: OffsetDateTime,
) -> Result<Option<Finding>, StoreError> {
    let users = view::principals(manifest)?;
    let mut holders = 0;
    for user in users.values() {
        holders += usize::from(access::could_update_manifest(view, policies, user, now).await);
    }
    let needed = usize::try_from(manifest.config.update_threshold.max(1)).unwrap_or(usize::MAX);
    Ok((holders < needed).then(|| lockout_warning(holders, needed)))
}

/// What the caller makes sure of; whether the update waits for others does not matter.
fn refuse_lockout(proposed: &Proposed<'_>, warnings: &[Finding]) -> Result<(), UpdateManifestError> {
    match warnings.iter().find(|warning| warning.code == LOCKOUT) {
        Some(found) if proposed.terms.guards.refuse_lockout => {
            Err(UpdateManifestError::Lockout(Lockout(found.message.clone())))
        }
        _ => Ok(()),
    }
}

/// The code of the warning that nobody could update the manifest again; the validator `manifest-rules` uses it, too.
const LOCKOUT: &str = "update-lockout";

fn lockout_warning(holders: usize, needed: usize) -> Finding {
    let message = match holders {
        0 => "nobody could update this manifest again".to_owned(),
        _ => format!("fewer users ({holders}) could update this manifest again than must agree ({needed})"),
    };
    let hint =
        "give users a role of type Manifest with the action UpdateManifest, and let every policy allow it";
    Finding {
        severity: Severity::Warning,
        code: LOCKOUT.to_owned(),
        path: "/Users".to_owned(),
        message,
        hint: Some(hint.to_owned()),
    }
}

/// Templates count when the update is applied (L-55). Who starts one that waits is told before others acknowledge it.
fn would_fail(error: &SetManifestError) -> Option<Finding> {
    if !matches!(error, SetManifestError::DryRun(_) | SetManifestError::DryRunPolicy { .. }) {
        return None;
    }
    Some(Finding {
        severity: Severity::Warning,
        code: "M-80".to_owned(),
        path: "/Marbles".to_owned(),
        message: format!("the update would fail when it is applied: {}", public_message(error)),
        hint: Some("cancel it and send a corrected manifest".to_owned()),
    })
}

/// an update whose outcome the caller's protocol cannot carry is refused before anything is stored.
fn refuse_unreportable(
    view: &View,
    proposed: &Proposed<'_>,
    manifest: &AcceptedManifest,
    pending: &Pending,
) -> Result<(), UpdateManifestError> {
    if proposed.terms.reporting == Reporting::Full {
        return Ok(());
    }
    let text = if changes_recovery(&view.epoch.manifest, manifest) {
        "the update changes the recovery keys, and this version of the API cannot return the new recovery secrets: use \
         /api/v2/update"
    } else if pending.missing() > 0 {
        "the update needs acknowledgements of further users, and this version of the API cannot say so: use \
         /api/v2/update"
    } else {
        return Ok(());
    };
    Err(UpdateManifestError::NeedsVersion2(text.to_owned()))
}
