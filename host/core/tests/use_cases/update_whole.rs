//! M-110..M-112, L-61, S-41, S-42, X-23, X-30: a full update that one user makes alone.

use serde_json::json;

use super::update_world::{Updating, fingerprint};
use crate::common::{activate, manifest};

// M-112, L-52, R-60
#[tokio::test]
async fn a_full_update_replaces_the_manifest_in_one_commit() {
    let test = Updating::alone(&manifest()).await;
    let new = test.changed(|manifest| {
        manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]);
        manifest["Packages"]["app"]["SecurityVersion"] = json!(1);
    });
    let before = test.world.revision();
    let progress = test.update("alice", &new).await;
    assert_eq!(test.world.revision(), before + 1);
    assert_eq!((progress.missing_acknowledgments, progress.missing_users), (0, None));
    assert!(progress.recovery_secrets.is_none());
    assert_eq!(test.in_force(), new);
    assert_eq!(activate(&test.coordinator).await.argv, ["./new"]);
    let fingerprint = fingerprint(&new);
    assert_eq!(
        test.log(1),
        [
            json!({
                "update": "Complete Manifest update initiated by user. No further acknowledgements required",
                "user": "alice", "manifestFingerprint": fingerprint
            }),
            json!({ "update": "Complete Manifest updated", "manifestFingerprint": fingerprint }),
        ]
    );
}
