//! The four kinds of policies.

/// The version of the package that this host offers.
pub const VERSION: &str = "1.0.0";

/// A world of the package: which question a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum World {
    /// Is this manifest acceptable?
    ManifestValidation,
    /// May this user do this?
    RoleAuthorization,
    /// May this Marble be activated?
    MarbleAdmission,
    /// How does a secret get into a file?
    SecretRendering,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ManifestValidation, Self::RoleAuthorization, Self::MarbleAdmission, Self::SecretRendering];

    /// The world's name, as a manifest writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManifestValidation => "manifest-validation",
            Self::RoleAuthorization => "role-authorization",
            Self::MarbleAdmission => "marble-admission",
            Self::SecretRendering => "secret-rendering",
        }
    }

    /// The interface that a policy of this world exports, besides `configuration`.
    #[must_use]
    pub fn interface(self) -> &'static str {
        match self {
            Self::ManifestValidation => "manifest-validator",
            Self::RoleAuthorization => "role-authorizer",
            Self::MarbleAdmission => "marble-admitter",
            Self::SecretRendering => "secret-renderer",
        }
    }
}

impl std::str::FromStr for World {
    type Err = UnknownWorld;

    fn from_str(name: &str) -> Result<Self, UnknownWorld> {
        Self::ALL.into_iter().find(|world| world.name() == name).ok_or(UnknownWorld)
    }
}

/// A name that is none of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown world; it must be manifest-validation, role-authorization, marble-admission or secret-rendering"
)]
pub struct UnknownWorld;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_read_by_its_name_and_no_other() {
        for world in World::ALL {
            assert_eq!(world.name().parse(), Ok(world));
        }
        assert_eq!("Role-authorization".parse::<World>(), Err(UnknownWorld));
    }
}
