//! What a newer binary on the same state changes, and what it does not (host/docs/upgrade.md).

use carrara_types::decision::Severity;

use crate::common::{self, World, finding, manifest};

#[tokio::test]
async fn a_manifest_in_force_is_not_judged_again_by_newer_policies() {
    let (world, before) = World::with(&manifest()).await;
    // The newer binary's validator would refuse it.
    let stricter = finding(Severity::Error, "corp-1", "/Marbles/web", "no longer");
    *world.policies.findings.lock().unwrap() = vec![stricter];
    let after = world.start().await;
    assert_eq!(after.status().code, 3);
    assert_eq!(after.manifest().unwrap(), before.manifest().unwrap());
    common::activate(&after).await;
}
