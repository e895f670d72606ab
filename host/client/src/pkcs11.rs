//! Users' keys on PKCS#11 tokens: smart cards, USB tokens, HSMs. The key never leaves the token.
//!
//! A token is chosen by label, serial number or slot, the key and the certificate on it by id, label or both. Ids are
//! taken as the token's tools show them: as hex, or as the text itself.

mod recovery;
mod signer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::identity::ClientIdentity;
pub(crate) use recovery::TokenRecoveryKey;
use signer::TokenKey;

/// Which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChoice {
    /// By its label.
    Label(String),
    /// By its serial number.
    Serial(String),
    /// By the id of its slot.
    Slot(u64),
}

/// Which object on a token; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectChoice {
    /// CKA_ID, as hex or as the text itself.
    pub id: Option<String>,
    /// CKA_LABEL.
    pub label: Option<String>,
}

/// A token and how to use it.
pub struct Token {
    /// The PKCS#11 library.
    pub module: PathBuf,
    /// Which of its tokens.
    pub choice: TokenChoice,
    /// The user's PIN; `None` where the token wants no login.
    pub pin: Option<Zeroizing<String>>,
}

/// Where the user's certificate comes from.
pub enum TokenCertificate {
    /// From the token.
    OnToken(ObjectChoice),
    /// DER, leaf first.
    Given(Vec<Vec<u8>>),
}

/// Why a token's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The library.
    #[error("loading the PKCS#11 library {}; check Path in the PKCS#11 configuration", .path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// Why.
        #[source]
        source: Error,
    },
    /// No token fits.
    #[error("there is no token with {wanted}; present are: {present}")]
    NoToken {
        /// What was asked for.
        wanted: String,
        /// Labels.
        present: String,
    },
    /// The PIN.
    #[error("the token refuses the PIN; too many wrong ones lock it")]
    WrongPin,
    /// Nothing to choose by.
    #[error("name the {0} on the token by its id or its label")]
    Unnamed(&'static str),
    /// No object fits.
    #[error(
        "there is no {what} with {wanted} on the token; `pkcs11-tool --list-objects --login` shows what there is"
    )]
    NoObject {
        /// Key or certificate.
        what: &'static str,
        /// What was asked for.
        wanted: String,
    },
    /// Several objects fit.
    #[error("there are {count} objects of kind {what} with {wanted} on the token; name one by id and label")]
    Ambiguous {
        /// Key or certificate.
        what: &'static str,
        /// What was asked for.
        wanted: String,
        /// How many.
        count: usize,
    },
    /// The certificate.
    #[error("the user's certificate is no X.509 certificate")]
    Certificate,
    /// A key that TLS cannot use.
    #[error(
        "the certificate's key is of a kind that is not supported on tokens; use RSA or ECDSA (P-256, P-384)"
    )]
    Unsupported,
    /// They do not belong together.
    #[error("the key on the token does not belong to the certificate")]
    Mismatch,
    /// Anything else that the token says.
    #[error("using the token")]
    Token(#[from] Error),
}

impl ClientIdentity {
    /// A user whose key is on a token. Stays logged in as long as the identity lives.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn from_token(
        token: Token,
        key: &ObjectChoice,
        certificate: &TokenCertificate,
    ) -> Result<Self, TokenError> {
        let session = open(token)?;
        let chain = match certificate {
            TokenCertificate::Given(chain) => chain.clone(),
            TokenCertificate::OnToken(choice) => vec![certificate_on(&session, choice)?],
        };
        let leaf = chain.first().ok_or(TokenError::Certificate)?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| TokenError::Certificate)?;
        let kind = signer::kind(leaf.public_key()).ok_or(TokenError::Unsupported)?;
        let public = leaf.public_key().subject_public_key.data.to_vec();

        let handle = find(&session, "private key", ObjectClass::PRIVATE_KEY, key)?;
        if belongs(&session, handle, &public)? == Some(false) {
            return Err(TokenError::Mismatch);
        }
        let key = TokenKey { session: Arc::new(Mutex::new(session)), handle, kind };
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Ok(Self::of(CertifiedKey::new(chain, Arc::new(key))))
    }
}

fn open(token: Token) -> Result<Session, TokenError> {
    let module = |path: &Path| {
        let library = Pkcs11::new(path)?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Whoever did it before in this process did it for all.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(library),
            Err(error) => Err(error),
        }
    };
    let library =
        module(&token.module).map_err(|source| TokenError::Module { path: token.module.clone(), source })?;
    let session = library.open_ro_session(slot(&library, &token.choice)?)?;
    if let Some(pin) = &token.pin {
        let pin = AuthPin::from(pin.as_str());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                return Err(TokenError::WrongPin);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(session)
}

fn slot(library: &Pkcs11, choice: &TokenChoice) -> Result<Slot, TokenError> {
    let mut present = Vec::new();
    for slot in library.get_slots_with_initialized_token()? {
        let info = library.get_token_info(slot)?;
        let fits = match choice {
            TokenChoice::Label(label) => info.label() == label,
            TokenChoice::Serial(serial) => info.serial_number() == serial,
            TokenChoice::Slot(id) => slot.id() == *id,
        };
        if fits {
            return Ok(slot);
        }
        present.push(format!("{:?} (serial {}, slot {})", info.label(), info.serial_number(), slot.id()));
    }
    let wanted = match choice {
        TokenChoice::Label(label) => format!("the label {label:?}"),
        TokenChoice::Serial(serial) => format!("the serial number {serial:?}"),
        TokenChoice::Slot(id) => format!("the slot {id}"),
    };
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    Err(TokenError::NoToken { wanted, present })
}

/// The only object of its class that fits.
fn find(
    session: &Session,
    what: &'static str,
    class: ObjectClass,
    choice: &ObjectChoice,
) -> Result<ObjectHandle, TokenError> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(choice.label.iter().map(|label| Attribute::Label(label.clone().into_bytes())));
    let templates: Vec<Vec<Attribute>> = match &choice.id {
        None if choice.label.is_none() => return Err(TokenError::Unnamed(what)),
        None => vec![template],
        Some(id) => readings(id)
            .into_iter()
            .map(|id| template.iter().cloned().chain([Attribute::Id(id)]).collect())
            .collect(),
    };
    let wanted = || {
        let id = choice.id.iter().map(|id| format!("the id {id}"));
        let label = choice.label.iter().map(|label| format!("the label {label:?}"));
        id.chain(label).collect::<Vec<_>>().join(" and ")
    };
    for template in templates {
        match session.find_objects(&template)?.as_slice() {
            [] => {}
            [object] => return Ok(*object),
            several => {
                return Err(TokenError::Ambiguous { what, wanted: wanted(), count: several.len() });
            }
        }
    }
    Err(TokenError::NoObject { what, wanted: wanted() })
}

/// What an id may mean: hex (with or without colons) first, then the text itself.
fn readings(id: &str) -> Vec<Vec<u8>> {
    let digits = id.strip_prefix("0x").unwrap_or(id).replace(':', "");
    let hex = hex::decode(digits).ok().filter(|bytes| !bytes.is_empty());
    hex.into_iter().chain([id.as_bytes().to_vec()]).collect()
}

fn certificate_on(session: &Session, choice: &ObjectChoice) -> Result<Vec<u8>, TokenError> {
    let object = find(session, "certificate", ObjectClass::CERTIFICATE, choice)?;
    let value = session.get_attributes(object, &[AttributeType::Value])?;
    let der = value.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(der) => Some(der),
        _ => None,
    });
    der.ok_or(TokenError::Certificate)
}

/// Whether the key has this public key (the bits of its SPKI); `None` where the token keeps nothing to compare.
fn belongs(session: &Session, key: ObjectHandle, public: &[u8]) -> Result<Option<bool>, TokenError> {
    let attributes = session.get_attributes(key, &[AttributeType::Modulus, AttributeType::Id])?;
    for attribute in &attributes {
        if let Attribute::Modulus(modulus) = attribute {
            return Ok(Some(contains(public, modulus)));
        }
    }
    let id =
        attributes.into_iter().find(|attribute| matches!(attribute, Attribute::Id(id) if !id.is_empty()));
    let Some(id) = id else { return Ok(None) };
    for object in session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), id])? {
        for attribute in session.get_attributes(object, &[AttributeType::EcPoint])? {
            if let Attribute::EcPoint(point) = attribute {
                // An OCTET STRING around the point, or in older modules the point itself.
                return Ok(Some(point.ends_with(public)));
            }
        }
    }
    Ok(None)
}

/// An RSA public key holds its modulus as it stands but for a leading zero.
fn contains(public: &[u8], modulus: &[u8]) -> bool {
    let first = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let modulus = modulus.get(first..).unwrap_or_default();
    !modulus.is_empty() && public.windows(modulus.len()).any(|window| window == modulus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_hex_first_and_then_as_text() {
        assert_eq!(readings("0a:0B"), [vec![0x0a, 0x0b], b"0a:0B".to_vec()]);
        assert_eq!(readings("0x01"), [vec![1], b"0x01".to_vec()]);
        assert_eq!(readings("alice"), [b"alice".to_vec()]);
        assert_eq!(readings("123"), [b"123".to_vec()]);
    }

    #[test]
    fn a_modulus_is_found_with_and_without_its_leading_zero() {
        assert!(contains(&[9, 9, 0, 1, 2, 3, 9], &[0, 1, 2, 3]));
        assert!(contains(&[9, 9, 0, 1, 2, 3, 9], &[1, 2, 3]));
        assert!(!contains(&[9, 9, 0, 1, 2, 3, 9], &[1, 2, 4]));
        assert!(!contains(&[9], &[0]));
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let token = Token {
            module: "/nonexistent/module.so".into(),
            choice: TokenChoice::Slot(0),
            pin: Some(Zeroizing::new("1234".to_owned())),
        };
        let certificate = TokenCertificate::OnToken(ObjectChoice::default());
        let error = ClientIdentity::from_token(token, &ObjectChoice::default(), &certificate).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/module.so"), "{error}");
    }
}
