//! Raising security versions of packages (M-100..M-106, L-60).
//!
//! The manifest stays; the versions are records of their own. Intermediate and marble root are made anew, and with them
//! the shared certificates, which keep the end of their life (S-34). Previous secrets stay what they are (S-43).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carrara_types::decision::{Change, Finding, Severity};
use carrara_types::manifest::{Package, ParsedManifest, merge};
use time::OffsetDateTime;

use crate::Coordinator;
use crate::access;
use crate::error::{Cause, OtherBase, SetManifestError, UpdateManifestError};
use crate::generate::{self, Source};
use crate::log;
use crate::outcome::UpdateProgress;
use crate::ports::{Batch, Entropy};
use crate::records;
use crate::update_manifest::{Proposed, copied, depend, dependencies, is_base, is_stored, put_authority};
use crate::view::View;

impl Coordinator {
    /// `None` if the state has changed meanwhile.
    pub(crate) async fn update_packages(
        &self,
        view: &View,
        proposed: &Proposed<'_>,
    ) -> Result<Option<UpdateProgress>, UpdateManifestError> {
        let Proposed { user, now, .. } = *proposed;
        let names: BTreeSet<String> = proposed.manifest.packages.keys().cloned().collect();
        let entry = proposed.entry();
        let asked = access::may_update_packages(view, user, names, now).await;
        let view = match asked {
            Ok(grant) => grant.view(),
            Err(error) => {
                self.note_refused_update(entry, &error);
                return Err(error);
            }
        };
        if !is_base(view, &proposed.terms.guards) {
            return Err(UpdateManifestError::OtherBase(OtherBase));
        }
        let versions =
            new_versions(&view.epoch.packages, proposed.manifest).map_err(UpdateManifestError::Packages)?;
        let proposal = Self::proposal(view, proposed, Change::PackageUpdate);
        let found = view.policies().validate(proposal).await;
        let warnings = accepted(found.map_err(UpdateManifestError::Policy)?, proposed.manifest)
            .map_err(UpdateManifestError::Packages)?;

        let mut batch = self.renew(view, proposed).await?;
        let lines = versions
            .iter()
            .map(|(name, version)| log::security_version_increased(now, &user.name, name, *version));
        batch.log_lines = lines.collect();
        log::check_lengths(&batch.log_lines).map_err(UpdateManifestError::Log)?;
        for (name, version) in &versions {
            records::put(&mut batch, records::package_version(name), version.to_le_bytes().to_vec());
        }
        let stored =
            is_stored(self.commit(batch, now, &[entry]).await).map_err(UpdateManifestError::Store)?;
        Ok(stored.then(|| UpdateProgress { warnings, ..UpdateProgress::default() }))
    }

    /// The new CA with the shared certificates, made off the async workers.
    async fn renew(&self, view: &View, proposed: &Proposed<'_>) -> Result<Batch, UpdateManifestError> {
        let (view, now, turn) = (view.clone(), proposed.now, Arc::clone(proposed.turn));
        let entropy = Arc::clone(&self.ports.entropy);
        let work = move || {
            let batch = renewed(&view, now, entropy.as_ref());
            drop(turn);
            batch
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| {
                Err(SetManifestError::Secrets(Cause("generation ended unexpectedly".to_owned())))
            })
            .map_err(|error| match error {
                SetManifestError::Store(error) => UpdateManifestError::Store(error),
                error => UpdateManifestError::Apply(error),
            })
    }
}

/// M-101..M-105 and X-35: the versions that the update sets.
fn new_versions(
    current: &BTreeMap<String, Package>,
    update: &ParsedManifest,
) -> Result<Vec<(String, u64)>, Cause> {
    let refused = |text: &str| Err(Cause(text.to_owned()));
    if update.packages.is_empty() {
        return refused("no packages defined");
    }
    if update.has_config || !update.policies.is_empty() {
        return refused(
            "an update of packages alone cannot change Config or Policies; send a full manifest to change them, or \
             leave them out",
        );
    }
    let mut versions = Vec::with_capacity(update.packages.len());
    for (name, package) in &update.packages {
        let fixed = !package.unique_id.is_empty()
            || !package.signer_id.is_empty()
            || package.product_id.is_some()
            || package.tdx.is_some()
            || package.snp.is_some();
        if package.debug || fixed {
            return refused("update manifest contains unupdatable values");
        }
        let Some(version) = package.security_version else {
            return refused("update manifest does not specify a SecurityVersion to update");
        };
        let stands = current.get(name);
        if stands.is_some_and(|package| {
            !package.debug && !package.has_sgx() && (package.tdx.is_some() || package.snp.is_some())
        }) {
            return Err(Cause(format!(
                "package {name} is no SGX enclave and has no SecurityVersion; send a full manifest to change it"
            )));
        }
        if stands.and_then(|package| package.security_version).is_some_and(|least| version < least) {
            return refused("update manifest tries to downgrade SecurityVersion of the original manifest");
        }
        versions.push((name.clone(), version));
    }
    Ok(versions)
}

/// The warnings of the reader and the validators.
fn accepted(found: Vec<Finding>, update: &ParsedManifest) -> Result<Vec<Finding>, Cause> {
    let findings = merge(update.warnings.iter().cloned().chain(found).collect());
    match findings.iter().find(|finding| finding.severity == Severity::Error) {
        Some(error) => Err(Cause(error.to_string())),
        None => Ok(findings),
    }
}

fn renewed(view: &View, now: OffsetDateTime, entropy: &dyn Entropy) -> Result<Batch, SetManifestError> {
    let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
    let authority =
        view.epoch.live.authority.renew_intermediate(now, entropy).map_err(SetManifestError::Secrets)?;
    put_authority(&mut batch, authority.to_records().map_err(SetManifestError::Secrets)?);
    let certificates = view.epoch.manifest.secrets.iter().filter(|(_, definition)| {
        definition.shared && !definition.user_defined && definition.kind.is_certificate()
    });
    for (name, definition) in certificates {
        let key = records::secret(name);
        let current = copied(&mut batch, view, &key).map_err(SetManifestError::Store)?;
        let stored = records::read_secret(view.snapshot.as_ref(), &key).map_err(SetManifestError::Store)?;
        let previous_certificate = stored.and_then(|value| value.certificate).unwrap_or_default();
        let source = Source::Reissued { previous_certificate: &previous_certificate };
        let value = generate::generate(name, definition, source, &authority, now, entropy)
            .map_err(SetManifestError::Secrets)?;
        // S-43: without a record of its own the previous value is the current one, which is about to change.
        let previous = records::previous_secret(name);
        depend(&mut batch.depends, view, &previous);
        if view.snapshot.record_revision(&previous).is_none() {
            batch.puts.push((previous, current));
        }
        records::put(&mut batch, key, records::encode_secret(&value));
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(current: &str, update: &str) -> Result<Vec<(String, u64)>, String> {
        let parse = |text: &str| ParsedManifest::parse(text.as_bytes()).unwrap();
        new_versions(&parse(current).packages, &parse(update)).map_err(|cause| cause.0)
    }

    const CURRENT: &str =
        r#"{"Packages":{"a":{"SecurityVersion":3},"u":{"UniqueID":"ab"},"d":{"Debug":true}}}"#;

    fn refused(update: &str, text: &str) {
        assert_eq!(versions(CURRENT, update).unwrap_err(), text, "{update}");
    }

    // M-101
    #[test]
    fn an_update_without_packages_is_refused() {
        refused("{}", "no packages defined");
        refused(r#"{"Config":{"UpdateThreshold":1}}"#, "no packages defined");
    }

    // M-102
    #[test]
    fn whatever_identifies_an_enclave_cannot_be_updated() {
        for field in [
            r#""Debug":true"#,
            r#""UniqueID":"ab""#,
            r#""SignerID":"ab""#,
            r#""ProductID":0"#,
            r#""TDX":{}"#,
            r#""SNP":{}"#,
        ] {
            let update = format!(r#"{{"Packages":{{"a":{{"SecurityVersion":4,{field}}}}}}}"#);
            refused(&update, "update manifest contains unupdatable values");
        }
        assert!(versions(CURRENT, r#"{"Packages":{"a":{"SecurityVersion":4,"Debug":false}}}"#).is_ok());
    }

    // M-103
    #[test]
    fn a_version_must_be_given() {
        let text = "update manifest does not specify a SecurityVersion to update";
        refused(r#"{"Packages":{"a":{}}}"#, text);
        refused(r#"{"Packages":{"a":{"SecurityVersion":null}}}"#, text);
    }

    // M-104
    #[test]
    fn a_version_may_stay_or_rise_and_never_fall() {
        let text = "update manifest tries to downgrade SecurityVersion of the original manifest";
        refused(r#"{"Packages":{"a":{"SecurityVersion":2}}}"#, text);
        for version in [3, 4] {
            let update = format!(r#"{{"Packages":{{"a":{{"SecurityVersion":{version}}}}}}}"#);
            assert_eq!(versions(CURRENT, &update).unwrap(), [("a".to_owned(), version)]);
        }
    }

    // M-105
    #[test]
    fn a_package_without_a_version_gets_any_and_the_accepted_lists_are_ignored() {
        let update = r#"{"Packages":{"u":{"SecurityVersion":0,"AcceptedTCBStatuses":["x"]},
            "d":{"SecurityVersion":9,"AcceptedAdvisories":["y"]}}}"#;
        assert_eq!(versions(CURRENT, update).unwrap(), [("d".to_owned(), 9), ("u".to_owned(), 0)]);
    }

    // M-105, and the deviations' M-33
    #[test]
    fn a_package_that_is_no_enclave_has_no_version_to_raise() {
        let update = r#"{"Packages":{"t":{"SecurityVersion":4}}}"#;
        for tee in [r#""TDX":{}"#, r#""SNP":{}"#] {
            let error = versions(&format!(r#"{{"Packages":{{"t":{{{tee}}}}}}}"#), update).unwrap_err();
            assert!(error.contains("send a full manifest"), "{error}");
            for also in [r#","UniqueID":"ab""#, r#","Debug":true"#] {
                let current = format!(r#"{{"Packages":{{"t":{{{tee}{also}}}}}}}"#);
                assert!(versions(&current, update).is_ok(), "{current}");
            }
        }
    }

    // X-35
    #[test]
    fn config_or_policies_beside_packages_are_refused_with_a_hint() {
        let digest = "ab".repeat(32);
        let policies =
            format!(r#""Policies":{{"x":{{"World":"marble-admission","Component":"sha256:{digest}"}}}}"#);
        for section in [r#""Config":{"UpdateThreshold":0}"#, &policies] {
            let error =
                versions(CURRENT, &format!(r#"{{"Packages":{{"a":{{"SecurityVersion":4}}}},{section}}}"#));
            assert!(error.unwrap_err().contains("send a full manifest"), "{section}");
        }
        for section in [r#""Config":{}"#, r#""Config":null"#, r#""Policies":{}"#] {
            let update = format!(r#"{{"Packages":{{"a":{{"SecurityVersion":4}}}},{section}}}"#);
            assert!(versions(CURRENT, &update).is_ok(), "{section}");
        }
    }
}
