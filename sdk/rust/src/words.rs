//! The words that every world shares: facts, context, roles, principals.

/// The value of a [`Fact`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
    /// True or false.
    Truth(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several texts.
    Texts(Vec<String>),
}

impl Value {
    /// The text, where the value is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, where the value is one.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The truth, where the value is one.
    #[must_use]
    pub fn as_truth(&self) -> Option<bool> {
        if let Self::Truth(truth) = self { Some(*truth) } else { None }
    }

    /// The bytes, where the value is some.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The texts, where the value is several.
    #[must_use]
    pub fn as_texts(&self) -> Option<&[String]> {
        if let Self::Texts(texts) = self { Some(texts) } else { None }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

/// A named value. A policy ignores names that it does not know: later coordinators add some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Such as `secret-last-set:NAME`.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// What every question carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The JSON text of the policy entry's `Settings`, `null` where absent. [`Context::settings`] reads it into a type.
    pub settings: String,
    /// Unix seconds by the coordinator's clock, which its host can shift.
    pub now: u64,
    /// The revision of the state that the question is asked about.
    pub revision: u64,
    /// What else is known.
    pub facts: Vec<Fact>,
}

impl Context {
    /// The value of a fact; `None` where it is absent.
    ///
    /// Known today: `secret-last-set:NAME`, the Unix seconds at which a user last set a secret.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| &fact.value)
    }

    /// The settings as a type of the policy's own.
    ///
    /// Absent settings are read as `null`, and where the type takes no `null` as `{}`: with `#[serde(default)]` fields
    /// an entry without `Settings` means their defaults.
    ///
    /// # Errors
    /// [`SettingsError`](crate::settings::SettingsError) with line and column. The check that is given to the policy's
    /// macro refuses such settings when the manifest is set, so that here it is enough to use `?`.
    #[cfg(feature = "serde")]
    pub fn settings<T: serde::de::DeserializeOwned>(&self) -> Result<T, crate::settings::SettingsError> {
        crate::settings::read(&self.settings)
    }
}

/// A role of the manifest that a principal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// Its name in the manifest.
    pub name: String,
    /// `Packages`, `Secrets` or `Manifest`.
    pub resource_type: String,
    /// What it is about.
    pub resource_names: Vec<String>,
    /// What it allows.
    pub actions: Vec<String>,
}

/// A user of the manifest, authenticated by the client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The name in the manifest.
    pub name: String,
    /// SHA-256 of the client certificate's DER: 32 bytes.
    pub certificate_sha256: Vec<u8>,
    /// The roles that the manifest gives the user, in its order.
    pub roles: Vec<Role>,
}

impl Principal {
    /// Whether the user holds a role of that name.
    #[must_use]
    pub fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held.name == role)
    }
}
