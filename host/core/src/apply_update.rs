//! What a full update changes when it takes effect (L-61, S-41, S-42).
//!
//! Computes one batch and stores nothing. The validators judged the manifest when the update was started; here the
//! host's own list and the dry run are repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use carrara_types::manifest::safe::Known;
use carrara_types::manifest::{AcceptedManifest, ParsedManifest};
use carrara_types::secret::SecretBytes;
use time::OffsetDateTime;

use crate::Coordinator;
use crate::authority::Authority;
use crate::carry_over::{Fate, fates};
use crate::components::{self, AtHand, Offered, named};
use crate::dry_run::dry_run;
use crate::error::{Cause, Refused, SetManifestError};
use crate::judging::{self, Own, Unfit};
use crate::ports::{Batch, Entropy, NewState, Policies};
use crate::records;
use crate::recovery_shares;
use crate::set_manifest::make_secrets;
use crate::update_manifest::{Turn, copied, dependencies, put_authority};
use crate::view::View;

/// What is committed, but for the log lines.
pub(crate) struct Applied {
    pub(crate) batch: Batch,
    /// What the holders of recovery keys get; `None` where neither keys nor threshold change.
    pub(crate) recovery_secrets: Option<BTreeMap<String, Vec<u8>>>,
    /// Those that come into force: held until they are, so that nothing is compiled twice.
    pub(crate) policies: Arc<dyn Policies>,
}

impl Coordinator {
    /// The host's own judgement of a manifest that was accepted before.
    ///
    /// # Errors
    /// What this coordinator refuses.
    pub(crate) fn judge_again(
        &self,
        view: &View,
        bytes: &[u8],
    ) -> Result<AcceptedManifest, SetManifestError> {
        let renderers = self.policies.built_in().renderers();
        let known = Known { renderers: Some(&renderers), coordinator_names: view.epoch.live.names() };
        AcceptedManifest::restore(ParsedManifest::parse(bytes)?, &known)
            .map_err(|refusal| SetManifestError::Refused(Refused(refusal)))
    }

    /// The policies of an update that waited, compiled again where they no longer are. Their components are those that it brought
    /// along, or what was uploaded since for one that is lost.
    ///
    /// # Errors
    /// One of them cannot be used any more.
    pub(crate) async fn pending_set(
        &self,
        view: &View,
        manifest: &ParsedManifest,
    ) -> Result<Own, SetManifestError> {
        let offered = match self.gather(&manifest.policies, &Offered::new(), Some(view)) {
            Ok(offered) => offered,
            Err(unfit) => return Err(unusable(unfit)),
        };
        let snapshot = Some(Arc::clone(&view.snapshot));
        let policies = self.policies.of(&manifest.policies, AtHand { offered: offered.clone(), snapshot });
        match judging::prepare(policies.as_ref()).await {
            Ok(()) => Ok(Own { policies, offered }),
            Err(unfit) => Err(unusable(unfit)),
        }
    }

    /// Reads the state that was just committed while its policies are at hand, compiled.
    pub(crate) fn put_in_force(&self, policies: Arc<dyn Policies>) {
        let _ = self.view();
        drop(policies);
    }

    /// Runs the templates and makes everything that the update changes, the slow part off the async workers.
    ///
    /// # Errors
    /// L-55; or the state cannot be read.
    pub(crate) async fn apply(
        &self,
        view: &View,
        manifest: Arc<AcceptedManifest>,
        own: Own,
        bytes: &[u8],
        now: OffsetDateTime,
        turn: &Turn,
    ) -> Result<Applied, SetManifestError> {
        dry_run(&manifest, own.policies.as_ref(), now).await?;
        let (view, bytes, turn) = (view.clone(), bytes.to_vec(), Arc::clone(turn));
        let entropy = Arc::clone(&self.ports.entropy);
        let work = move || {
            let applied = applied(&view, &manifest, own, bytes, now, entropy.as_ref());
            drop(turn);
            applied
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(SetManifestError::Secrets(Cause("generation ended unexpectedly".to_owned())))
        })
    }
}

fn unusable(unfit: Unfit) -> SetManifestError {
    match unfit {
        Unfit::Refused(why) => SetManifestError::Refused(why),
        Unfit::Policy(failure) => SetManifestError::Policy(failure),
    }
}

/// Whether an update makes a new data key: the recovery keys change, or how many of them are needed (L-61).
pub(crate) fn changes_recovery(current: &ParsedManifest, proposed: &ParsedManifest) -> bool {
    let threshold = |manifest: &ParsedManifest| match manifest.config.recovery_threshold {
        0 => u64::try_from(manifest.recovery_keys.len()).unwrap_or(u64::MAX),
        threshold => threshold,
    };
    current.recovery_keys != proposed.recovery_keys || threshold(current) != threshold(proposed)
}

fn applied(
    view: &View,
    manifest: &AcceptedManifest,
    own: Own,
    bytes: Vec<u8>,
    now: OffsetDateTime,
    entropy: &dyn Entropy,
) -> Result<Applied, SetManifestError> {
    let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
    let authority =
        view.epoch.live.authority.renew_intermediate(now, entropy).map_err(SetManifestError::Secrets)?;
    put_authority(&mut batch, authority.to_records().map_err(SetManifestError::Secrets)?);
    let root_secret = put_root_secret(&mut batch, view, manifest, entropy)?;
    put_secrets(&mut batch, view, manifest, &Maker { root_secret, authority: &authority, now, entropy })?;

    let signature = authority.sign_fingerprint(&bytes).map_err(SetManifestError::Secrets)?;
    records::put(&mut batch, records::MANIFEST_SIGNATURE, signature);
    records::put(&mut batch, records::MANIFEST, bytes);
    batch.deletes.extend(view.snapshot.keys(&records::package_version("")));
    batch.deletes.push(records::PENDING_UPDATE.to_owned());
    let snapshot = view.snapshot.as_ref();
    components::keep(&mut batch, Some(snapshot), &named(&manifest.policies), &own.offered);

    let seal_mode = manifest.seal_mode();
    let recovery_secrets = if changes_recovery(&view.epoch.manifest, manifest) {
        let (keys, threshold) = (&manifest.recovery_keys, manifest.config.recovery_threshold);
        let made = recovery_shares::make_recovery(keys, threshold, entropy)
            .map_err(SetManifestError::RecoveryKeys)?;
        let (data_key, recovery_data) = (made.data_key, made.recovery_data);
        batch.rekey = Some(Box::new(NewState { data_key, recovery_data, seal_mode }));
        Some(made.secrets)
    } else {
        // also where nothing else changes.
        batch.seal_mode = Some(seal_mode);
        None
    };
    Ok(Applied { batch, recovery_secrets, policies: own.policies })
}

/// S-42: the root secret that is in force afterwards.
fn put_root_secret(
    batch: &mut Batch,
    view: &View,
    manifest: &AcceptedManifest,
    entropy: &dyn Entropy,
) -> Result<SecretBytes, SetManifestError> {
    let current = copied(batch, view, records::ROOT_SECRET).map_err(SetManifestError::Store)?;
    if !manifest.config.rotate_root_secret {
        return Ok(current);
    }
    let mut root = vec![0; 32];
    entropy.fill(&mut root);
    let root = SecretBytes::new("root secret", root);
    batch.puts.push((records::PREVIOUS_ROOT_SECRET.to_owned(), current));
    batch.puts.push((records::ROOT_SECRET.to_owned(), root.duplicate()));
    Ok(root)
}

/// What secrets are made with.
struct Maker<'a> {
    root_secret: SecretBytes,
    authority: &'a Authority,
    now: OffsetDateTime,
    entropy: &'a dyn Entropy,
}

/// S-41. A secret whose current value changes has its previous one written, or deleted where it is the new one.
fn put_secrets(
    batch: &mut Batch,
    view: &View,
    manifest: &AcceptedManifest,
    maker: &Maker<'_>,
) -> Result<(), SetManifestError> {
    let fates: BTreeMap<&str, Fate> = fates(&view.epoch.manifest, manifest).collect();
    for (name, fate) in &fates {
        let (current, previous) = (records::secret(name), records::previous_secret(name));
        match fate {
            Fate::Kept => {}
            Fate::Renewed => {
                let value = copied(batch, view, &current).map_err(SetManifestError::Store)?;
                batch.puts.push((previous, value));
            }
            // Also where nothing is stored yet: an upload may be committed before this batch. It is lost either way, so
            // that the batch does not depend on it, or whoever uploads again and again would hold up every update.
            Fate::Fresh => batch.deletes.push(previous),
            Fate::Emptied => batch.deletes.extend([current, previous, records::secret_set(name)]),
        }
    }
    let wanted = |name: &str| matches!(fates.get(name), Some(Fate::Renewed | Fate::Fresh));
    let Maker { root_secret, authority, now, entropy } = maker;
    let made = make_secrets(manifest, wanted, root_secret, authority, *now, *entropy)
        .map_err(SetManifestError::Secrets)?;
    for (name, value) in &made {
        records::put(batch, records::secret(name), records::encode_secret(value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(keys: &[(&str, &str)], threshold: u64) -> ParsedManifest {
        let mut manifest = ParsedManifest::default();
        manifest.recovery_keys =
            keys.iter().map(|(name, key)| ((*name).to_owned(), (*key).to_owned())).collect();
        manifest.config.recovery_threshold = threshold;
        manifest
    }

    // L-61: "new DEK and blobs if keys, or effective threshold, changed (0 and n are equal)"
    #[test]
    fn recovery_changes_with_the_keys_and_with_the_threshold_in_effect() {
        const TWO: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
        let three = [("a", "1"), ("b", "2"), ("c", "3")];
        let same = |a: &ParsedManifest, b: &ParsedManifest| {
            assert_eq!(changes_recovery(a, b), changes_recovery(b, a));
            !changes_recovery(a, b)
        };
        assert!(same(&manifest(TWO, 0), &manifest(TWO, 2)));
        assert!(same(&manifest(&[], 0), &manifest(&[], 0)));
        assert!(!same(&manifest(&three, 0), &manifest(&three, 2)));
        assert!(!same(&manifest(TWO, 2), &manifest(&three, 2)));
        assert!(!same(&manifest(TWO, 0), &manifest(&[("a", "1"), ("b", "other")], 0)));
        assert!(!same(&manifest(TWO, 0), &manifest(&[("a", "1"), ("c", "2")], 0)));
        assert!(!same(&manifest(TWO, 0), &manifest(&[], 0)));
    }
}
