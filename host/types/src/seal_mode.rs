//! How a state is kept on disk (manifest.md 2.7, L-35).

use std::fmt;

/// `Config.SealMode` of a manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SealMode {
    /// Sealed for this coordinator's signer: newer versions of the coordinator open it.
    #[default]
    ProductKey,
    /// Sealed for this very coordinator: any other version needs a recovery.
    UniqueKey,
    /// Never written: a restart begins without a state.
    Disabled,
}

/// What a sealing key is bound to, besides the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    /// The code's signer and product (SGX: MRSIGNER).
    Product,
    /// The code's measurement (SGX: MRENCLAVE).
    Unique,
}

impl SealMode {
    /// Reads the manifest's word, whose letters' case counts (M-73); `""` is the default.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "" | "ProductKey" => Some(Self::ProductKey),
            "UniqueKey" => Some(Self::UniqueKey),
            "Disabled" => Some(Self::Disabled),
            _ => None,
        }
    }

    /// The key that wraps the state's; `None` where nothing is written.
    #[must_use]
    pub fn key_policy(self) -> Option<KeyPolicy> {
        match self {
            Self::ProductKey => Some(KeyPolicy::Product),
            Self::UniqueKey => Some(KeyPolicy::Unique),
            Self::Disabled => None,
        }
    }
}

impl From<KeyPolicy> for SealMode {
    fn from(policy: KeyPolicy) -> Self {
        match policy {
            KeyPolicy::Product => Self::ProductKey,
            KeyPolicy::Unique => Self::UniqueKey,
        }
    }
}

impl fmt::Display for SealMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProductKey => "ProductKey",
            Self::UniqueKey => "UniqueKey",
            Self::Disabled => "Disabled",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // M-73, X-66
    #[test]
    fn words_are_read_in_their_exact_case_and_written_as_they_are_read() {
        assert_eq!(SealMode::parse(""), Some(SealMode::ProductKey));
        for mode in [SealMode::ProductKey, SealMode::UniqueKey, SealMode::Disabled] {
            assert_eq!(SealMode::parse(&mode.to_string()), Some(mode));
            assert_eq!(SealMode::parse(&mode.to_string().to_lowercase()), None);
        }
    }

    // L-35
    #[test]
    fn a_mode_that_writes_something_has_its_key_and_the_other_none() {
        for policy in [KeyPolicy::Product, KeyPolicy::Unique] {
            assert_eq!(SealMode::from(policy).key_policy(), Some(policy));
        }
        assert_eq!(SealMode::Disabled.key_policy(), None);
    }
}
