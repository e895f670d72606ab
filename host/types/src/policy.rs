//! What a manifest says of a policy: which question it answers, which component it is made of, and how its answer counts.

use std::fmt;

/// A world of `wit/`: which question a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
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

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

/// The built-in policies with their worlds: the names that `Replaces` and `Renderer` know.
pub const BUILT_IN: [(&str, World); 4] = [
    ("manifest-rules", World::ManifestValidation),
    ("rbac", World::RoleAuthorization),
    ("go-template", World::SecretRendering),
    ("liquid", World::SecretRendering),
];

/// Names a component by its content: the SHA-256 of its bytes. Written `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    const PREFIX: &'static str = "sha256:";
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, hex::encode(self.0))
    }
}

impl std::str::FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(NoDigest)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| NoDigest)?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(NoDigest);
        }
        Ok(Self(digest))
    }
}

#[cfg(feature = "host")]
impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "host")]
impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that names no component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a component is named by `sha256:` and the 64 lower-case hex digits of its SHA-256")]
pub struct NoDigest;

/// How a policy's answer counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "host", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Mode {
    /// It is obeyed.
    #[default]
    Enforce,
    /// It is asked after the answer, recorded, and never obeyed.
    Shadow,
}

impl Mode {
    /// The mode's name, as a manifest writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// An entry of the manifest's section `Policies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// Which question it answers.
    pub world: World,
    /// What it is made of.
    pub component: Digest,
    /// The JSON text of `Settings`; `null` where absent.
    pub settings: String,
    /// How its answer counts.
    pub mode: Mode,
    /// The built-in policy that is not asked any more.
    pub replaces: Option<String>,
}

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

    #[test]
    fn a_digest_is_read_in_the_one_way_in_which_it_is_written() {
        let digest = Digest([0xab; 32]);
        let text = digest.to_string();
        assert_eq!(text, format!("sha256:{}", "ab".repeat(32)));
        assert_eq!(text.parse(), Ok(digest));
        let wrong = [
            text.to_uppercase(),
            text.replace("ab", "AB"),
            text[..text.len() - 2].to_owned(),
            format!("{text}00"),
            text.replace("sha256:", ""),
            text.replace("sha256", "sha512"),
            format!(" {text}"),
            String::new(),
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
        }
    }
}
