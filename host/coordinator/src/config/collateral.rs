//! Where Intel's collateral comes from, by which the quotes of Marbles are judged. It is signed by Intel, so that the host may say it:
//! a false source can withhold collateral, which the host can anyway, and nothing else.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use carrara_attest::collateral::PccsUrl;
use clap::Args;
use serde::Deserialize;

/// The settings of one source, by the options' names.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct CollateralLayer {
    /// The PCCS that is asked for Intel's collateral: https://HOST:PORT [EDG_COORDINATOR_PCCS_URL; default: none]
    #[arg(long, value_name = "URL")]
    pccs_url: Option<String>,
    /// PEM file with the PCCS's own certificate, or with those of its CAs [EDG_COORDINATOR_PCCS_CA; default: the system's]
    #[arg(long, value_name = "FILE")]
    pccs_ca: Option<String>,
    /// Collateral of `carrara collateral fetch`, used where the PCCS gives none [EDG_COORDINATOR_COLLATERAL_BUNDLE; default: none]
    #[arg(long, value_name = "FILE")]
    collateral_bundle: Option<String>,
}

/// Where collateral comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CollateralSource {
    /// The PCCS.
    pub(crate) pccs: Option<PccsUrl>,
    /// Who it may be; else whom the system trusts.
    pub(crate) pccs_ca: Option<PathBuf>,
    /// The file.
    pub(crate) bundle: Option<PathBuf>,
}

impl CollateralLayer {
    /// Reads the variables.
    pub(super) fn of_environment(variable: &impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        Ok(Self {
            pccs_url: variable("EDG_COORDINATOR_PCCS_URL")?,
            pccs_ca: variable("EDG_COORDINATOR_PCCS_CA")?,
            collateral_bundle: variable("EDG_COORDINATOR_COLLATERAL_BUNDLE")?,
        })
    }

    /// Takes from `lower` what is unset here.
    pub(super) fn over(self, lower: Self) -> Self {
        let text =
            |upper: Option<String>, lower: Option<String>| upper.filter(|text| !text.is_empty()).or(lower);
        Self {
            pccs_url: text(self.pccs_url, lower.pccs_url),
            pccs_ca: text(self.pccs_ca, lower.pccs_ca),
            collateral_bundle: text(self.collateral_bundle, lower.collateral_bundle),
        }
    }

    /// The sources.
    pub(super) fn check(self) -> Result<CollateralSource> {
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let parse = |text: String| text.parse().with_context(|| format!("setting pccs-url: \"{text}\""));
        let source = CollateralSource {
            pccs: set(self.pccs_url).map(parse).transpose()?,
            pccs_ca: set(self.pccs_ca).map(PathBuf::from),
            bundle: set(self.collateral_bundle).map(PathBuf::from),
        };
        if source.pccs.is_none() && source.pccs_ca.is_some() {
            bail!("setting pccs-ca: there is no pccs-url whose certificate it could be");
        }
        Ok(source)
    }
}

impl CollateralSource {
    /// The files that are read while the process runs, each with its setting.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let ca = self.pccs_ca.clone().map(|path| ("pccs-ca", path));
        let bundle = self.bundle.clone().map(|path| ("collateral-bundle", path));
        ca.into_iter().chain(bundle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<CollateralSource> {
        toml::from_str::<CollateralLayer>(text).unwrap().check()
    }

    #[test]
    fn there_is_no_source_but_what_was_named() {
        assert_eq!(check("").unwrap(), CollateralSource::default());
        assert_eq!(check("pccs-url = \"\"\npccs-ca = \"\"").unwrap(), CollateralSource::default());
        let source = check(
            "pccs-url = \"https://h:8081/sgx/certification/v4/\"\npccs-ca = \"ca\"\ncollateral-bundle = \"b\"",
        );
        let source = source.unwrap();
        assert_eq!(source.pccs.as_ref().unwrap().to_string(), "https://h:8081");
        let files = source.files().collect::<Vec<_>>();
        assert_eq!(files, [("pccs-ca", "ca".into()), ("collateral-bundle", "b".into())]);
    }

    #[test]
    fn an_address_that_is_none_or_not_encrypted_is_refused_by_its_setting() {
        for (text, named) in [
            ("pccs-url = \"h:8081\"", "https://HOST:PORT"),
            ("pccs-url = \"http://h:8081\"", "write https"),
            ("pccs-ca = \"ca\"", "no pccs-url"),
        ] {
            let error = format!("{:#}", check(text).unwrap_err());
            assert!(error.contains("setting pccs-") && error.contains(named), "{error}");
        }
        assert!(check("pccs-url = \"http://127.0.0.1:8081\"").is_ok());
    }
}
