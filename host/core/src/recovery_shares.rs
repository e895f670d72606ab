//! The data key of a new state and what the holders of recovery keys get of it (L-40..L-43).
//!
//! Only encrypts; what recovery keys decrypt never comes near this file. The assignment of shares to names is arbitrary.
//! The padding's randomness is the operating system's, the keys' is the port's.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use carrara_types::secret::SecretBytes;
use der::asn1::ObjectIdentifier;
use der::{Decode, pem::PemLabel};
use rand_core::OsRng;
use rsa::pkcs1::RsaPublicKey as Pkcs1PublicKey;
use rsa::{BigUint, Oaep, RsaPublicKey};
use sha2::Sha256;
use spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use crate::error::Cause;
use crate::ports::Entropy;
use crate::shamir;

/// Bytes of a data key and of an XOR share.
const KEY_LEN: usize = 32;

/// The largest recovery key: encrypting with a larger one would only cost time.
const MAX_RSA_BITS: usize = 16_384;

/// rsaEncryption (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What a new state needs, and what its owners get.
#[derive(Debug)]
pub struct Recovery {
    /// 32 bytes that open the state.
    pub data_key: SecretBytes,
    /// `null`, or a JSON map of the lower-case hex SHA-256 of each share to `true`. Not secret.
    pub recovery_data: Vec<u8>,
    /// By the recovery key's name: the data key or a share of it, encrypted by RSA-OAEP with SHA-256 and no label.
    pub secrets: BTreeMap<String, Vec<u8>>,
}

/// Makes a data key and encrypts it, or shares of it, for the owners of `keys` (PEM by name). `threshold` 0 means all.
///
/// # Errors
/// M-76, M-77, M-79: the threshold fits not, or a key is no RSA public key in PEM or too small.
pub fn make_recovery(
    keys: &BTreeMap<String, String>,
    threshold: u64,
    entropy: &dyn Entropy,
) -> Result<Recovery, Cause> {
    let mut owners = Vec::new();
    for (name, pem) in keys {
        let key = read_key(pem).map_err(|why| Cause(format!("recovery key {name:?}: {why}")))?;
        owners.push((name, key));
    }
    let threshold = effective_threshold(owners.len(), threshold)?;
    let (data_key, shares) = match owners.len() {
        0 => (random_key(entropy), Vec::new()),
        1 => {
            let data_key = random_key(entropy);
            let share = data_key.duplicate();
            (data_key, vec![share])
        }
        count if threshold == count => xor_shares(count, entropy),
        count => {
            let data_key = random_key(entropy);
            let shares = shamir::split(&data_key, count, threshold, entropy)?;
            (data_key, shares)
        }
    };
    let mut secrets = BTreeMap::new();
    for ((name, key), share) in owners.iter().zip(&shares) {
        let blob = encrypt(key, share).map_err(|why| Cause(format!("recovery key {name:?}: {why}")))?;
        secrets.insert((*name).clone(), blob);
    }
    Ok(Recovery { data_key, recovery_data: recovery_data(&shares)?, secrets })
}

/// How many of `keys` recovery keys are needed: 0 means all of them.
fn effective_threshold(keys: usize, threshold: u64) -> Result<usize, Cause> {
    let too_many = || {
        Cause(format!(
            "not enough recovery keys ({keys}) defined to meet the recovery threshold of {threshold}"
        ))
    };
    match usize::try_from(threshold) {
        Ok(0) => Ok(keys),
        Ok(wanted) if wanted > keys => Err(too_many()),
        Ok(1) => Err(Cause("invalid recovery threshold: if set, threshold must be at least 2".to_owned())),
        Ok(wanted) => Ok(wanted),
        Err(_) => Err(too_many()),
    }
}

fn random_key(entropy: &dyn Entropy) -> SecretBytes {
    let mut key = vec![0; KEY_LEN];
    entropy.fill(&mut key);
    SecretBytes::new("data key", key)
}

/// Random shares and the XOR of all of them (L-42).
fn xor_shares(count: usize, entropy: &dyn Entropy) -> (SecretBytes, Vec<SecretBytes>) {
    let mut data_key = Zeroizing::new(vec![0_u8; KEY_LEN]);
    let mut shares = Vec::new();
    for _ in 0..count {
        let share = random_key(entropy);
        for (sum, byte) in data_key.iter_mut().zip(share.expose()) {
            *sum ^= byte;
        }
        shares.push(share);
    }
    (SecretBytes::new("data key", std::mem::take(&mut *data_key)), shares)
}

/// With one key, or none, there is nothing to tell shares by (L-40, L-41).
fn recovery_data(shares: &[SecretBytes]) -> Result<Vec<u8>, Cause> {
    let hashes: BTreeMap<String, bool> = shares
        .iter()
        .map(|share| (hex::encode(digest::digest(&digest::SHA256, share.expose())), true))
        .collect();
    let hashes = (shares.len() > 1).then_some(hashes);
    serde_json::to_vec(&hashes).map_err(|_| Cause("encoding recovery data".to_owned()))
}

/// The first PEM block: label `PUBLIC KEY`, SubjectPublicKeyInfo, RSA (M-79).
fn read_key(text: &str) -> Result<RsaPublicKey, &'static str> {
    let not_a_key = "given PEM data is not a public key";
    let block = pem::parse(text).map_err(|_| not_a_key)?;
    if block.tag() != SubjectPublicKeyInfoRef::PEM_LABEL {
        return Err(not_a_key);
    }
    let spki = SubjectPublicKeyInfoRef::from_der(block.contents()).map_err(|_| not_a_key)?;
    if spki.algorithm.oid != RSA_ENCRYPTION {
        return Err("unsupported type of public key: use RSA");
    }
    let key = Pkcs1PublicKey::from_der(spki.subject_public_key.raw_bytes()).map_err(|_| not_a_key)?;
    let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
    let exponent = BigUint::from_bytes_be(key.public_exponent.as_bytes());
    RsaPublicKey::new_with_max_size(modulus, exponent, MAX_RSA_BITS)
        .map_err(|_| "the RSA key is malformed or longer than 16384 bits")
}

fn encrypt(key: &RsaPublicKey, secret: &SecretBytes) -> Result<Vec<u8>, &'static str> {
    key.encrypt(&mut OsRng, Oaep::new::<Sha256>(), secret.expose())
        .map_err(|_| "the RSA key is too small for a share by OAEP with SHA-256")
}
