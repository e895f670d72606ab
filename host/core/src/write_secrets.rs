//! Writing user-defined secrets (S-50..S-57).

use crate::Coordinator;
use crate::error::WriteSecretsError;
use crate::outcome::SecretUpload;

impl Coordinator {
    /// Sets user-defined secrets: all or none.
    ///
    /// # Errors
    /// S-51..S-56, permission first. Nothing was changed.
    pub async fn write_secrets(
        &self,
        _peer: Option<&[u8]>,
        _uploads: Vec<SecretUpload>,
    ) -> Result<(), WriteSecretsError> {
        Err(WriteSecretsError::Unauthorized)
    }
}
