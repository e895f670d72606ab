//! The dry run (S-60..S-62): every template of every Marble is rendered once before a manifest comes into force.

use std::sync::Arc;
use std::time::Duration;

use carrara_types::decision::Context;
use carrara_types::manifest::{AcceptedManifest, Marble};
use time::OffsetDateTime;

use crate::catalog::{Catalog, UserDefined};
use crate::error::{Cause, SetManifestError};
use crate::ports::Policies;
use crate::render;
use crate::ttls::TtlsPlan;
use crate::view;

/// For the templates of all Marbles together. Each call of a renderer has its own limits, but a manifest may have very
/// many Marbles, and anybody may upload one.
pub(crate) const DRY_RUN_LIMIT: Duration = Duration::from_secs(60);

/// Renders every template of every Marble once with dummies for what users will upload, within [`DRY_RUN_LIMIT`]. The renderers are
/// the manifest's.
///
/// # Errors
/// The first template that does not render, or the limit.
pub(crate) async fn dry_run(
    manifest: &Arc<AcceptedManifest>,
    policies: &dyn Policies,
    now: OffsetDateTime,
) -> Result<(), SetManifestError> {
    within(DRY_RUN_LIMIT, render_all(manifest, policies, now)).await
}

async fn render_all(
    manifest: &Arc<AcceptedManifest>,
    policies: &dyn Policies,
    now: OffsetDateTime,
) -> Result<(), SetManifestError> {
    let catalog = Arc::new(Catalog::new(Arc::clone(manifest), UserDefined::Dummies));
    let context = context(now);
    for (name, marble) in &manifest.marbles {
        refuse_nul(name, marble)?;
        let plan = TtlsPlan::of(manifest, marble);
        render::render_marble(policies, &context, marble, plan, catalog.clone())
            .await
            .map_err(|fault| fault.in_dry_run(name))?;
    }
    Ok(())
}

/// What renderers are told in a dry run.
pub(crate) fn context(now: OffsetDateTime) -> Context {
    Context { now: view::unix_seconds(now), revision: 0, facts: Vec::new() }
}

/// A dry run, given up at its limit.
pub(crate) async fn within<T>(
    limit: Duration,
    dry_run: impl Future<Output = Result<T, SetManifestError>>,
) -> Result<T, SetManifestError> {
    tokio::time::timeout(limit, dry_run).await.unwrap_or_else(|_| {
        let text =
            format!("rendering took longer than {} s; give fewer or simpler templates", limit.as_secs());
        Err(SetManifestError::DryRun(Cause(text)))
    })
}

/// S-62.
fn refuse_nul(name: &str, marble: &Marble) -> Result<(), SetManifestError> {
    match marble.parameters.env.iter().find(|(_, file)| file.data.contains(&0)) {
        None => Ok(()),
        Some((variable, _)) => {
            let text = format!("in Marble {name}: env variable: {variable}: content contains null bytes");
            Err(SetManifestError::DryRun(Cause(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-60
    #[tokio::test]
    async fn a_dry_run_that_does_not_end_is_a_refusal() {
        let error = within::<()>(Duration::ZERO, std::future::pending()).await.unwrap_err();
        let text = crate::error::public_message(&error);
        assert_eq!(
            text,
            "running manifest template dry run: rendering took longer than 0 s; give fewer or simpler templates"
        );
        within(DRY_RUN_LIMIT, async { Ok(()) }).await.unwrap();
    }
}
