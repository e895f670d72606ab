//! Reading secrets: the user's certificate, the authorizers, then the values (R-50..R-52, R-54).

use carrara_types::secret::SecretBytes;

use crate::Coordinator;
use crate::access::{self, ReadGrant};
use crate::audit::{Action, Entry};
use crate::error::{ReadSecretsError, Unauthorized};
use crate::outcome::ReadableSecret;
use crate::ports::StoreError;
use crate::records;

impl Coordinator {
    /// Whether the certificate (DER) is a user's: the 401 that comes before any other answer.
    ///
    /// # Errors
    /// [`Unauthorized`] if not.
    pub fn authenticate(&self, peer: Option<&[u8]>) -> Result<(), Unauthorized> {
        // Without a manifest there are no users: 401 comes before the wrong state. So does a state that cannot be read:
        // the use case that follows says why.
        let Ok(Some(view)) = self.view() else { return Err(Unauthorized) };
        peer.and_then(|certificate| view.user(certificate)).map(|_| ()).ok_or(Unauthorized)
    }

    /// Secrets by name for the user whose certificate (DER) the connection proved, sorted by name, each once.
    ///
    /// # Errors
    /// Not a user, wrong state, not permitted; all or nothing.
    pub async fn read_secrets(
        &self,
        peer: Option<&[u8]>,
        names: &[String],
    ) -> Result<Vec<ReadableSecret>, ReadSecretsError> {
        let view = self.view().map_err(ReadSecretsError::Store)?.ok_or(ReadSecretsError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(ReadSecretsError::Unauthorized)?;
        let now = self.now(&view);
        let asked = access::may_read(&view, &user, names, now).await;
        let entry = Entry::done(now, Some(&user), Action::ReadSecret, names.iter().cloned());
        let grant = match asked {
            Ok(grant) => grant,
            Err(error) => {
                self.note(&entry.refused(&error.to_string()));
                return Err(error);
            }
        };
        let mut secrets = read_granted(&grant).map_err(ReadSecretsError::Store)?;
        self.note(&entry);
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets)
    }
}

/// The values that the grant allows. An unset user-defined secret has none.
fn read_granted(grant: &ReadGrant<'_>) -> Result<Vec<ReadableSecret>, StoreError> {
    let view = grant.view();
    grant
        .names()
        .iter()
        .map(|name| {
            let definition = view
                .epoch
                .manifest
                .secrets
                .get(name)
                .ok_or_else(|| StoreError::Read(format!("secret {name} is not in the manifest")))?;
            let value = records::read_secret(view.snapshot.as_ref(), &records::secret(name))?;
            let (cert, private, public, valid_for) = match value {
                Some(value) => (value.certificate, value.private, value.public, value.valid_for),
                None => (None, None::<SecretBytes>, None, definition.valid_for),
            };
            Ok(ReadableSecret {
                name: name.clone(),
                kind: definition.kind.name().to_owned(),
                size: definition.size,
                shared: definition.shared,
                user_defined: definition.user_defined,
                valid_for,
                cert,
                private,
                public,
            })
        })
        .collect()
}
