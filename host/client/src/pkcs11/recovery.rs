//! A recovery key on a token: decrypts and signs there. Where a token knows RSA-OAEP with SHA-1 only, as many do, it computes
//! the bare RSA function and the padding is taken off here (RFC 8017 section 7.1.2).

use std::sync::Mutex;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{ObjectChoice, Token, TokenError, find, open};

/// Bytes of SHA-256.
const HASH: usize = 32;

/// A private RSA key on a token.
pub(crate) struct TokenRecoveryKey {
    session: Mutex<Session>,
    handle: ObjectHandle,
}

impl TokenRecoveryKey {
    /// Logs in and finds the key.
    pub(crate) fn open(token: Token, key: &ObjectChoice) -> Result<Self, TokenError> {
        let session = open(token)?;
        let handle = find(&session, "private key", ObjectClass::PRIVATE_KEY, key)?;
        Ok(Self { session: Mutex::new(session), handle })
    }

    /// `None` if it was not encrypted for this key.
    pub(crate) fn decrypt(&self, ciphertext: &[u8]) -> Result<Option<Vec<u8>>, TokenError> {
        let session = self.session();
        let source = PkcsOaepSource::empty();
        let parameters = PkcsOaepParams::new(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, source);
        match session.decrypt(&Mechanism::RsaPkcsOaep(parameters), self.handle, ciphertext) {
            Ok(plain) => Ok(Some(plain)),
            Err(error) if is_unknown_mechanism(&error) => {
                match session.decrypt(&Mechanism::RsaX509, self.handle, ciphertext) {
                    Ok(padded) => Ok(unpad(&Zeroizing::new(padded))),
                    Err(error) => not_for_this_key(error),
                }
            }
            Err(error) => not_for_this_key(error),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        Ok(self.session().sign(&Mechanism::Sha256RsaPkcs, self.handle, message)?)
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// SoftHSM calls parameters that it does not know bad arguments.
fn is_unknown_mechanism(error: &Error) -> bool {
    use RvError::{ArgumentsBad, FunctionNotSupported, MechanismInvalid, MechanismParamInvalid};
    let unknown = [ArgumentsBad, FunctionNotSupported, MechanismInvalid, MechanismParamInvalid];
    matches!(error, Error::Pkcs11(code, _) if unknown.contains(code))
}

fn not_for_this_key(error: Error) -> Result<Option<Vec<u8>>, TokenError> {
    use RvError::{DataInvalid, DataLenRange, EncryptedDataInvalid, EncryptedDataLenRange, GeneralError};
    match error {
        Error::Pkcs11(
            DataInvalid | DataLenRange | EncryptedDataInvalid | EncryptedDataLenRange | GeneralError,
            _,
        ) => Ok(None),
        error => Err(error.into()),
    }
}

/// Takes EME-OAEP with SHA-256 and an empty label off. That it is not done in constant time tells nobody anything: whoever
/// could time it has the plain text.
fn unpad(padded: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = padded.split_first()?;
    let (masked_seed, masked) = rest.split_at_checked(HASH)?;
    let seed = masked_with(masked_seed, masked);
    let block = masked_with(masked, &seed);
    let (label, rest) = block.split_at_checked(HASH)?;
    let one = rest.iter().position(|byte| *byte != 0)?;
    let right = *first == 0 && label == Sha256::digest([]).as_slice() && rest.get(one) == Some(&1);
    right.then(|| rest.get(one + 1..).map(<[u8]>::to_vec))?
}

/// The bytes with the mask that MGF1 makes of the seed (RFC 8017 appendix B.2.1) added.
fn masked_with(bytes: &[u8], seed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut made = Zeroizing::new(bytes.to_vec());
    for (counter, part) in (0_u32..).zip(made.chunks_mut(HASH)) {
        let mask = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        part.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EME-OAEP of RFC 8017 section 7.1.1.
    fn padded(first: u8, label: &[u8], message: &[u8], length: usize) -> Vec<u8> {
        let mut block = Sha256::digest(label).to_vec();
        block.resize(length - HASH - 2 - message.len(), 0);
        block.push(1);
        block.extend_from_slice(message);
        let seed = [0x5A; HASH];
        let masked = masked_with(&block, &seed);
        [&[first], masked_with(&seed, &masked).as_slice(), &masked].concat()
    }

    #[test]
    fn padding_of_any_length_is_taken_off_and_a_wrong_one_refused() {
        for message in [&[][..], &[0, 0, 1], &[1; 33], &[7; 256 - 66]] {
            assert_eq!(unpad(&padded(0, b"", message, 256)).unwrap(), message);
        }
        assert_eq!(unpad(&padded(1, b"", &[7; 33], 256)), None);
        assert_eq!(unpad(&padded(0, b"label", &[7; 33], 256)), None);
        for short in [&[][..], &[0], &[0; 33], &[0; 64], &[0; 256]] {
            assert_eq!(unpad(short), None);
        }
        let mut changed = padded(0, b"", &[7; 33], 256);
        changed[200] ^= 1;
        assert_ne!(unpad(&changed), Some(vec![7; 33]));
    }
}
