//! Who may do what. The only maker of grants: what asks for a grant cannot be reached without the check.
//!
//! A decision is the authorizers'; what the host guarantees whatever they say (private and generated secrets) stands
//! here, too.

use std::collections::BTreeSet;

use carrara_types::decision::{AuthorizationRequest, Decision, Denial, Principal};
use time::OffsetDateTime;

use crate::error::ReadSecretsError;
use crate::ports::{Policies, PolicyDecision};
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

/// Whether the user may read all these secrets: all or nothing.
///
/// # Errors
/// [`ReadSecretsError::Denied`] with R-52's text, or the policy's failure.
pub(crate) async fn may_read<'view>(
    view: &'view View,
    policies: &dyn Policies,
    user: &Principal,
    names: &[String],
    now: OffsetDateTime,
) -> Result<ReadGrant<'view>, ReadSecretsError> {
    let mut seen = BTreeSet::new();
    let names: Vec<String> = names.iter().filter(|name| seen.insert((*name).clone())).cloned().collect();
    let request = AuthorizationRequest {
        context: view.context(now),
        principal: user.clone(),
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: seen.into_iter().collect(),
    };
    let specified = || {
        let listed = names.join(" ");
        format!("user {} is not allowed to read one or more secrets of: [{listed}]", user.name)
    };
    let answer = policies.authorize(request).await.map_err(ReadSecretsError::Policy)?;
    if let Decision::Deny(denial) = &answer.decision {
        return Err(ReadSecretsError::Denied(denied_text(specified(), &answer, denial)));
    }
    if !names.iter().all(|name| is_readable(view, name)) {
        return Err(ReadSecretsError::Denied(specified()));
    }
    Ok(ReadGrant { view, names })
}

/// The specified text first, then what a custom policy says (policy.md, Texts).
fn denied_text(specified: String, answer: &PolicyDecision, denial: &Denial) -> String {
    const BUILT_IN: &str = "rbac";
    if answer.policy == BUILT_IN {
        return specified;
    }
    let hint = denial.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{specified}: {}: {}{hint}", answer.policy, denial.message)
}

/// The host's guarantee: secrets that are generated for each Marble are never read (M-61).
fn is_readable(view: &View, name: &str) -> bool {
    view.epoch.manifest.secrets.get(name).is_some_and(|secret| secret.shared || secret.user_defined)
}
