//! Who may do what. The only maker of grants: what asks for a grant cannot be reached without the check.
//!
//! A decision is the authorizers'; what the host guarantees whatever they say (private and generated secrets) stands
//! here, too.

use std::collections::BTreeSet;

use carrara_types::decision::{AuthorizationRequest, Decision, Denial, Principal};
use time::OffsetDateTime;

use crate::error::{
    BackupError, PendingUpdateError, ReadAuditError, ReadDecisionsError, ReadSecretsError, Unauthorized,
    UpdateManifestError, UploadPolicyError, WriteSecretsError,
};
use crate::owner::OwnerCertificate;
use crate::ports::{Policies, PolicyDecision, PolicyFailure};
use crate::view::View;

/// Permission to read secrets; made by [`may_read`] alone and good for the view that it was made from.
pub(crate) struct ReadGrant<'view> {
    view: &'view View,
    names: Vec<String>,
}

impl<'view> ReadGrant<'view> {
    /// The view that was judged.
    pub(crate) fn view(&self) -> &'view View {
        self.view
    }

    /// The names that may be read, in the order asked for, each once.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

/// Permission to write secrets; made by [`may_write`] alone. That the names are user-defined secrets is not said.
pub(crate) struct WriteGrant<'view> {
    view: &'view View,
}

impl<'view> WriteGrant<'view> {
    /// The view that was judged. The commit must depend on its manifest.
    pub(crate) fn view(&self) -> &'view View {
        self.view
    }
}

/// Permission to change the manifest in force: the packages named, or the whole; made by [`may_update_packages`] and
/// [`may_update_manifest`] alone.
pub(crate) struct UpdateGrant<'view> {
    view: &'view View,
}

impl<'view> UpdateGrant<'view> {
    /// The view that was judged. The commit must depend on its manifest.
    pub(crate) fn view(&self) -> &'view View {
        self.view
    }
}

/// Permission to make a state: the first one, or in recovery a new one; made by [`may_set_manifest`] alone.
pub(crate) struct ClaimGrant(());

/// Permission to read the audit trail; made by [`may_read_audit`] alone.
pub(crate) struct AuditGrant<'view> {
    view: &'view View,
}

impl<'view> AuditGrant<'view> {
    /// The view that was judged.
    pub(crate) fn view(&self) -> &'view View {
        self.view
    }
}

/// Whether the caller may set the first manifest, or a new one in recovery: the owner where one is configured, else
/// anybody. No policy is asked, since none is in force.
///
/// # Errors
/// [`Unauthorized`], as for callers who are no users.
pub(crate) fn may_set_manifest(
    owner: Option<&OwnerCertificate>,
    peer: Option<&[u8]>,
) -> Result<ClaimGrant, Unauthorized> {
    let is_owner = |owner: &OwnerCertificate| peer.is_some_and(|certificate| owner.is(certificate));
    if owner.is_none_or(is_owner) { Ok(ClaimGrant(())) } else { Err(Unauthorized) }
}

/// Permission to copy the sealed state; made by [`may_back_up`] alone.
pub(crate) struct BackupGrant<'view> {
    view: &'view View,
}

impl<'view> BackupGrant<'view> {
    /// The view that was judged.
    pub(crate) fn view(&self) -> &'view View {
        self.view
    }
}

/// Whether the user may read all these secrets: all or nothing.
///
/// # Errors
/// [`ReadSecretsError::Denied`] with R-52's text, or the policy's failure.
pub(crate) async fn may_read<'view>(
    view: &'view View,
    user: &Principal,
    names: &[String],
    now: OffsetDateTime,
) -> Result<ReadGrant<'view>, ReadSecretsError> {
    let mut seen = BTreeSet::new();
    let names: Vec<String> = names.iter().filter(|name| seen.insert((*name).clone())).cloned().collect();
    let question =
        Question { user, action: "ReadSecret", resource_type: "Secrets", names: seen.into_iter().collect() };
    let specified = || {
        let listed = names.join(" ");
        format!("user {} is not allowed to read one or more secrets of: [{listed}]", user.name)
    };
    let refusal = ask(view, view.policies(), question, now).await.map_err(ReadSecretsError::Policy)?;
    if let Some(refusal) = refusal {
        return Err(ReadSecretsError::Denied(refusal.text(specified())));
    }
    if !names.iter().all(|name| is_readable(view, name)) {
        return Err(ReadSecretsError::Denied(specified()));
    }
    Ok(ReadGrant { view, names })
}

/// Whether the user may write all these secrets (S-56, X-11): asked before anything about them is looked at.
///
/// # Errors
/// [`WriteSecretsError::Denied`] with S-56's text for the first name refused, or the policy's failure.
pub(crate) async fn may_write<'view>(
    view: &'view View,
    user: &Principal,
    names: BTreeSet<String>,
    now: OffsetDateTime,
) -> Result<WriteGrant<'view>, WriteSecretsError> {
    let first = names.first().cloned().unwrap_or_default();
    let names = names.into_iter().collect();
    let question = Question { user, action: "WriteSecret", resource_type: "Secrets", names };
    let refusal = ask(view, view.policies(), question, now).await.map_err(WriteSecretsError::Policy)?;
    match refusal {
        None => Ok(WriteGrant { view }),
        Some(refusal) => {
            let name = refusal.denial.resources.first().unwrap_or(&first);
            let specified = format!("user {} is not allowed to update secret: {name}", user.name);
            Err(WriteSecretsError::Denied(refusal.text(specified)))
        }
    }
}

/// Whether the user may raise the security version of all these packages (M-100). One that the manifest does not have is
/// refused alike, whatever the authorizers say (M-101).
///
/// # Errors
/// [`UpdateManifestError::Denied`] with M-100's text, or the policy's failure.
pub(crate) async fn may_update_packages<'view>(
    view: &'view View,
    user: &Principal,
    packages: BTreeSet<String>,
    now: OffsetDateTime,
) -> Result<UpdateGrant<'view>, UpdateManifestError> {
    let names: Vec<String> = packages.into_iter().collect();
    let specified =
        format!("user {} is not allowed to update one or more packages of [{}]", user.name, names.join(" "));
    let known = names.iter().all(|name| view.epoch.packages.contains_key(name));
    let question = Question { user, action: "UpdateSecurityVersion", resource_type: "Packages", names };
    match ask(view, view.policies(), question, now).await.map_err(UpdateManifestError::Policy)? {
        None if known => Ok(UpdateGrant { view }),
        None => Err(UpdateManifestError::Denied(specified)),
        Some(refusal) => Err(UpdateManifestError::Denied(refusal.text(specified))),
    }
}

/// Whether the user may update the whole manifest (M-110).
///
/// # Errors
/// [`UpdateManifestError::Denied`] with M-110's text, or the policy's failure.
pub(crate) async fn may_update_manifest<'view>(
    view: &'view View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<UpdateGrant<'view>, UpdateManifestError> {
    let question = update_manifest(user);
    match ask(view, view.policies(), question, now).await.map_err(UpdateManifestError::Policy)? {
        None => Ok(UpdateGrant { view }),
        Some(refusal) => Err(UpdateManifestError::Denied(refusal.text(not_allowed_to_update(user)))),
    }
}

/// Whether the user may cancel a pending update (L-56): whoever may start one.
///
/// # Errors
/// [`PendingUpdateError::Denied`], or the policy's failure.
pub(crate) async fn may_cancel_update<'view>(
    view: &'view View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<UpdateGrant<'view>, PendingUpdateError> {
    let question = update_manifest(user);
    match ask(view, view.policies(), question, now).await.map_err(PendingUpdateError::Policy)? {
        None => Ok(UpdateGrant { view }),
        Some(refusal) => Err(PendingUpdateError::Denied(refusal.text(not_allowed_to_update(user)))),
    }
}

/// Whether a user counts among those who acknowledge updates (L-51, policy.md), where the authorizers say; `None` where
/// one of them fails.
pub(crate) async fn holds_update_manifest(
    view: &View,
    user: &Principal,
    now: OffsetDateTime,
) -> Option<bool> {
    let request = request(view, update_manifest(user), now);
    refusal(view.policies().would_authorize(request).await).ok().map(|refusal| refusal.is_none())
}

/// Whether a user could update a proposed manifest, by its own policies. One that fails could let nobody.
pub(crate) async fn could_update_manifest(
    view: &View,
    proposed: &dyn Policies,
    user: &Principal,
    now: OffsetDateTime,
) -> bool {
    let request = request(view, update_manifest(user), now);
    matches!(refusal(proposed.would_authorize(request).await), Ok(None))
}

/// Permission to upload a policy's component; made by [`may_upload_policy`] alone.
pub(crate) struct UploadGrant(());

/// Whether the user may upload components that the manifest in force does not name: whoever may update it.
///
/// # Errors
/// [`UploadPolicyError::Denied`], or the policy's failure.
pub(crate) async fn may_upload_policy(
    view: &View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<UploadGrant, UploadPolicyError> {
    match ask(view, view.policies(), update_manifest(user), now).await.map_err(UploadPolicyError::Policy)? {
        None => Ok(UploadGrant(())),
        Some(refusal) => {
            let specified = format!(
                "user {} is not allowed to upload policies; it takes a role of type Manifest with the action \
                 UpdateManifest",
                user.name
            );
            Err(UploadPolicyError::Denied(refusal.text(specified)))
        }
    }
}

/// The action that lets read what policies decided.
pub(crate) const READ_DECISIONS: &str = "ReadDecisions";

/// Permission to read what policies decided; made by [`may_read_decisions`] alone.
pub(crate) struct DecisionsGrant(());

/// Whether the user may read what policies decided.
///
/// # Errors
/// [`ReadDecisionsError::Denied`], or the policy's failure.
pub(crate) async fn may_read_decisions(
    view: &View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<DecisionsGrant, ReadDecisionsError> {
    let question = Question { user, action: READ_DECISIONS, resource_type: "Manifest", names: Vec::new() };
    match ask(view, view.policies(), question, now).await.map_err(ReadDecisionsError::Policy)? {
        None => Ok(DecisionsGrant(())),
        Some(refusal) => {
            let specified = format!(
                "user {} is not allowed to read the policies' decisions; it takes a role of type Manifest with the action \
                 ReadDecisions",
                user.name
            );
            Err(ReadDecisionsError::Denied(refusal.text(specified)))
        }
    }
}

/// Whether the user may read the audit trail.
///
/// # Errors
/// [`ReadAuditError::Denied`], or the policy's failure.
pub(crate) async fn may_read_audit<'view>(
    view: &'view View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<AuditGrant<'view>, ReadAuditError> {
    let question = Question { user, action: "ReadAudit", resource_type: "Manifest", names: Vec::new() };
    match ask(view, view.policies(), question, now).await.map_err(ReadAuditError::Policy)? {
        None => Ok(AuditGrant { view }),
        Some(refusal) => {
            let specified = format!(
                "user {} is not allowed to read the audit trail; it takes a role of type Manifest with the action \
                 ReadAudit",
                user.name
            );
            Err(ReadAuditError::Denied(refusal.text(specified)))
        }
    }
}

/// Whether the user may copy the sealed state.
///
/// # Errors
/// [`BackupError::Denied`], or the policy's failure.
pub(crate) async fn may_back_up<'view>(
    view: &'view View,
    user: &Principal,
    now: OffsetDateTime,
) -> Result<BackupGrant<'view>, BackupError> {
    let question = Question { user, action: "Backup", resource_type: "Manifest", names: Vec::new() };
    match ask(view, view.policies(), question, now).await.map_err(BackupError::Policy)? {
        None => Ok(BackupGrant { view }),
        Some(refusal) => {
            let specified = format!(
                "user {} is not allowed to back up the state; it takes a role of type Manifest with the action Backup",
                user.name
            );
            Err(BackupError::Denied(refusal.text(specified)))
        }
    }
}

/// What the authorizers are asked.
struct Question<'a> {
    user: &'a Principal,
    action: &'a str,
    resource_type: &'a str,
    /// Sorted, each once.
    names: Vec<String>,
}

/// Who refused, and why.
struct Refusal {
    policy: String,
    denial: Denial,
}

impl Refusal {
    /// The specified text first, then what a custom policy says (policy.md, Texts).
    fn text(&self, specified: String) -> String {
        const BUILT_IN: &str = "rbac";
        if self.policy == BUILT_IN {
            return specified;
        }
        let hint = self.denial.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{specified}: {}: {}{hint}", self.policy, self.denial.message)
    }
}

fn update_manifest(user: &Principal) -> Question<'_> {
    Question { user, action: "UpdateManifest", resource_type: "Manifest", names: Vec::new() }
}

fn not_allowed_to_update(user: &Principal) -> String {
    format!("user {} is not allowed to update the complete manifest", user.name)
}

async fn ask(
    view: &View,
    policies: &dyn Policies,
    question: Question<'_>,
    now: OffsetDateTime,
) -> Result<Option<Refusal>, PolicyFailure> {
    refusal(policies.authorize(request(view, question, now)).await)
}

fn request(view: &View, question: Question<'_>, now: OffsetDateTime) -> AuthorizationRequest {
    AuthorizationRequest {
        context: view.context(now),
        principal: question.user.clone(),
        action: question.action.to_owned(),
        resource_type: question.resource_type.to_owned(),
        resource_names: question.names,
    }
}

fn refusal(answer: Result<PolicyDecision, PolicyFailure>) -> Result<Option<Refusal>, PolicyFailure> {
    let PolicyDecision { policy, decision } = answer?;
    Ok(match decision {
        Decision::Allow => None,
        Decision::Deny(denial) => Some(Refusal { policy, denial }),
    })
}

/// The host's guarantee: secrets that are generated for each Marble are never read (M-61).
fn is_readable(view: &View, name: &str) -> bool {
    view.epoch.manifest.secrets.get(name).is_some_and(|secret| secret.shared || secret.user_defined)
}
