//! World `secret-rendering`: where do secrets go in a file or an environment variable? Asked for each template of a Marble
//! whose manifest names this renderer, and in every dry run.
//!
//! A renderer sees no byte of a secret: [`Secret::encode`] gives a [`Fragment`], the answer says where it goes, and the
//! coordinator puts the bytes in after the policy has ended. A fragment can be used once.
//!
//! ```
//! use carrara_policy::rendering::{Chunk, Encoding, Part, RenderError, Scope, Secrets, Template};
//!
//! /// `${NAME}` is the secret NAME in base64.
//! fn render(template: &Template, secrets: &Secrets) -> Result<Vec<Chunk>, RenderError> {
//!     let text = std::str::from_utf8(&template.text).map_err(|_| RenderError::new("the template is no UTF-8"))?;
//!     let mut chunks = Vec::new();
//!     for (number, line) in text.split_inclusive('\n').enumerate() {
//!         let mut rest = line;
//!         while let Some((before, after)) = rest.split_once("${") {
//!             let at = |message: &str| RenderError::new(message).at(number as u32 + 1, before.chars().count() as u32);
//!             let (name, after) = after.split_once('}').ok_or_else(|| at("${ without }"))?;
//!             let secret = secrets.lookup(Scope::Current, name).map_err(|error| at(&format!("{name}: {error}")))?;
//!             let fragment = secret.encode(Part::Whole, Encoding::Base64).map_err(|error| at(&error.to_string()))?;
//!             chunks.extend([Chunk::from(before), Chunk::Secret(fragment)]);
//!             rest = after;
//!         }
//!         chunks.push(Chunk::from(rest));
//!     }
//!     Ok(chunks)
//! }
//!
//! carrara_policy::renderer!(render);
//!
//! let secrets = Secrets::of([carrara_policy::testing::plain_secret("token")]);
//! let chunks = render(&Template::file("/etc/app", "key=${token}\n"), &secrets).unwrap();
//! assert_eq!(carrara_policy::testing::shown(&chunks), "key=<secret:token:whole:base64>\n");
//! assert_eq!(render(&Template::file("/etc/app", "\n${x}"), &secrets).unwrap_err().line, 2);
//! ```

mod answer;
#[cfg(not(target_arch = "wasm32"))]
mod fake;

pub use answer::{Chunk, IntoRendered, RenderError};
#[cfg(not(target_arch = "wasm32"))]
pub use fake::{Fragment, Secret, Secrets};

#[cfg(target_arch = "wasm32")]
pub use crate::glue::secrets::{Fragment, Secret, Secrets};
use crate::words::Context;

/// Where a rendered template goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Target {
    /// A file: [`Encoding::Raw`] is allowed, [`Encoding::Text`] is not.
    #[default]
    File,
    /// An environment variable: [`Encoding::Text`] is allowed, [`Encoding::Raw`] is not.
    Env,
}

/// A template to render.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// Time, revision, settings, facts; the same for all templates of one Marble.
    pub context: Context,
    /// The file's path or the variable's name.
    pub name: String,
    /// Where it goes.
    pub target: Target,
    /// The decoded data; need not be UTF-8.
    pub text: Vec<u8>,
}

/// Which secrets a name is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// What Go's templates call `.Secrets`.
    Current,
    /// `.Previous.Secrets`.
    Previous,
    /// `.MarbleRun`.
    Reserved,
}

/// A part of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The bare secret: for keys and plain secrets their bytes, for certificates the certificate.
    Whole,
    /// The public key.
    Public,
    /// The private key.
    Private,
    /// The certificate.
    Certificate,
}

impl Part {
    /// Its name in `wit/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Public => "public",
            Self::Private => "private",
            Self::Certificate => "certificate",
        }
    }
}

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// The bytes.
    Raw,
    /// Lower-case hex.
    Hex,
    /// Standard, padded.
    Base64,
    /// PEM, 64 columns, trailing newline.
    Pem,
    /// The bytes of a plain secret, for environment variables.
    Text,
}

impl Encoding {
    /// Its name in `wit/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Pem => "pem",
            Self::Text => "text",
        }
    }
}

/// What may be known of a secret without looking at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// `symmetric-key`, `cert-rsa`, `cert-ecdsa`, `cert-ed25519` or `plain`; reserved entries are `cert-ecdsa`.
    pub kind: String,
    /// As declared, never measured.
    pub size: u32,
    /// Whether all Marbles get the same.
    pub shared: bool,
    /// Whether users upload it.
    pub user_defined: bool,
    /// As declared, in days.
    pub valid_for: u32,
    /// The parts that are set; never [`Part::Whole`].
    pub parts: Vec<Part>,
}

/// Why a secret cannot be written; depends on what is known of it, never on its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessError {
    /// There is no secret of that name.
    NoSuchSecret,
    /// The secret has no such part.
    NoSuchPart,
    /// The part is not set.
    Empty,
    /// The part cannot be written that way; the text says why.
    WrongKind(String),
}

impl std::fmt::Display for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchSecret => f.write_str("there is no such secret"),
            Self::NoSuchPart => f.write_str("the secret has no such part"),
            Self::Empty => f.write_str("the secret is not set"),
            Self::WrongKind(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AccessError {}
