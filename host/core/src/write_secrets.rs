//! Writing user-defined secrets (S-50..S-57): permission, values, the templates that use them, one commit.
//!
//! An upload writes the current value and never the previous one (S-57). Updates do not write it either (S-41), so that a
//! user-defined secret has no previous value.

use std::collections::BTreeMap;

use carrara_types::decision::Principal;
use time::OffsetDateTime;

use crate::Coordinator;
use crate::access::{self, WriteGrant};
use crate::audit::{Action, Entry};
use crate::dry_run::{self, DRY_RUN_LIMIT};
use crate::error::{Cause, SetManifestError, WriteSecretsError};
use crate::generate::SecretValue;
use crate::log;
use crate::outcome::SecretUpload;
use crate::ports::{Batch, CommitError};
use crate::records;
use crate::template_uses::DryRun;
use crate::uploaded_secrets;
use crate::view::{self, View};

/// A commit in conflict is computed again this often: what is uploaded depends on the manifest and the CA alone.
const ATTEMPTS: usize = 8;

impl Coordinator {
    /// Sets user-defined secrets: all or none. Of two uploads of one secret in a call the last counts.
    ///
    /// # Errors
    /// S-51..S-56, permission first. Nothing was changed.
    pub async fn write_secrets(
        &self,
        peer: Option<&[u8]>,
        uploads: Vec<SecretUpload>,
    ) -> Result<(), WriteSecretsError> {
        let uploads: BTreeMap<String, SecretUpload> =
            uploads.into_iter().map(|upload| (upload.name.clone(), upload)).collect();
        for _ in 0..ATTEMPTS {
            let view =
                self.view().map_err(WriteSecretsError::Store)?.ok_or(WriteSecretsError::Unauthorized)?;
            let user = peer.and_then(|der| view.user(der)).ok_or(WriteSecretsError::Unauthorized)?;
            if uploads.is_empty() {
                return Err(WriteSecretsError::Invalid(Cause("no new secrets defined".to_owned())));
            }
            let now = self.now(&view);
            let grant = self.may_write(&view, &user, &uploads, now).await?;
            let values = uploaded_secrets::values(&view.epoch.manifest, &uploads)
                .map_err(WriteSecretsError::Invalid)?;
            self.try_values(&grant, &values, now).await.map_err(WriteSecretsError::DryRun)?;
            let entry = Entry::done(now, Some(&user), Action::WriteSecret, values.keys().cloned());
            match self.commit(batch(&grant, &user, &values, now)?, now, &[entry]).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(WriteSecretsError::Store(error)),
            }
        }
        Err(WriteSecretsError::Busy)
    }

    /// Asks for the permission and notes a refusal.
    async fn may_write<'view>(
        &self,
        view: &'view View,
        user: &Principal,
        uploads: &BTreeMap<String, SecretUpload>,
        now: OffsetDateTime,
    ) -> Result<WriteGrant<'view>, WriteSecretsError> {
        let names = uploads.keys().cloned().collect();
        let asked = access::may_write(view, user, names, now).await;
        if let Err(error) = &asked {
            let entry = Entry::done(now, Some(user), Action::WriteSecret, uploads.keys().cloned());
            self.note(&entry.refused(&error.to_string()));
        }
        asked
    }

    /// S-55.
    async fn try_values(
        &self,
        grant: &WriteGrant<'_>,
        values: &BTreeMap<String, SecretValue>,
        now: OffsetDateTime,
    ) -> Result<(), SetManifestError> {
        let epoch = &grant.view().epoch;
        let run = DryRun {
            policies: grant.view().policies(),
            manifest: &epoch.manifest,
            context: &dry_run::context(now),
        };
        dry_run::within(DRY_RUN_LIMIT, epoch.uses.render_affected(run, values)).await
    }
}

fn batch(
    grant: &WriteGrant<'_>,
    user: &Principal,
    values: &BTreeMap<String, SecretValue>,
    now: OffsetDateTime,
) -> Result<Batch, WriteSecretsError> {
    let view = grant.view();
    let kind = |name: &str| view.epoch.manifest.secrets.get(name).map_or("", |secret| secret.kind.name());
    let mut batch = Batch { depends: view.dependencies(), ..Batch::default() };
    for (name, value) in values {
        records::put(&mut batch, records::secret(name), records::encode_secret(value));
        records::put(&mut batch, records::secret_set(name), view::unix_seconds(now).to_le_bytes().to_vec());
        batch.log_lines.push(log::secret_set(now, &user.name, name, kind(name)));
    }
    log::check_lengths(&batch.log_lines).map_err(WriteSecretsError::Log)?;
    Ok(batch)
}
