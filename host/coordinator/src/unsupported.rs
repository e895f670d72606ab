//! Variables of the original that ask for what this version cannot do. Whoever sets one must not believe that it works.

use anyhow::{Result, bail};

type Lookup<'a> = dyn Fn(&str) -> Result<Option<String>> + 'a;

/// Refuses what cannot be done.
///
/// # Errors
/// Such a variable is set; the text names it and the remedy.
pub(crate) fn refuse(variable: &Lookup<'_>) -> Result<()> {
    if variable("EDG_DISTRIBUTED_COORDINATOR")?.as_deref() == Some("1") {
        bail!(
            "EDG_DISTRIBUTED_COORDINATOR=1: distributed mode is not offered yet; unset it and run one instance"
        );
    }
    if let Some(features) = variable("EDG_ENTERPRISE_LICENSED_FEATURES")? {
        bail!("EDG_ENTERPRISE_LICENSED_FEATURES={features}: licensed features do not exist here; unset it");
    }
    if let Some(backend) = variable("EDG_STORE_BACKEND")? {
        bail!(
            "EDG_STORE_BACKEND={backend}: the state is kept in local files only; unset it and use EDG_COORDINATOR_SEAL_DIR"
        );
    }
    for name in AZURE {
        // Values are not repeated here: one of them is a secret.
        if variable(name)?.is_some() {
            bail!("{name}: sealing with Azure Key Vault is not offered yet; unset it");
        }
    }
    Ok(())
}

const AZURE: [&str; 9] = [
    "EDG_AZURE_HSM_VAULT_URL",
    "EDG_AZURE_HSM_KEY_NAME",
    "EDG_AZURE_HSM_KEY_VERSION",
    "EDG_MAA_URL",
    "EDG_AZURE_CLIENT_ID",
    "EDG_AZURE_TENANT_ID",
    "EDG_AZURE_CLIENT_SECRET",
    "EDG_AZURE_FEDERATED_TOKEN_FILE",
    "EDG_AZURE_AUTHORITY_HOST",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str, value: &str) -> Result<()> {
        refuse(&|asked| Ok((asked == name).then(|| value.to_owned())))
    }

    // L-32, L-70..L-74
    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        let others = [
            ("EDG_DISTRIBUTED_COORDINATOR", "1"),
            ("EDG_STORE_BACKEND", "k8s-secret"),
            ("EDG_ENTERPRISE_LICENSED_FEATURES", "DistributedCoordinator"),
        ];
        for (name, value) in others.into_iter().chain(AZURE.map(|name| (name, "x"))) {
            let error = judge(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("unset it"), "{error}");
        }
    }

    #[test]
    fn distributed_mode_switched_off_is_no_request_for_it() {
        assert!(judge("EDG_DISTRIBUTED_COORDINATOR", "0").is_ok());
        assert!(judge("EDG_OTHER", "1").is_ok());
    }

    #[test]
    fn a_secret_in_a_variable_is_not_repeated() {
        let error = judge("EDG_AZURE_CLIENT_SECRET", "hunter2").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
