//! The data key of a new state and what the holders of recovery keys get of it (L-40..L-43).
//!
//! Only encrypts; what recovery keys decrypt never comes near this file. The assignment of shares to names is arbitrary.
//! The padding's randomness is the operating system's, the keys' is the port's.

use std::collections::BTreeMap;

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
use crate::recovery_data::RecoveryData;
use crate::shamir;

/// Bytes of a data key and of an XOR share.
const KEY_LEN: usize = 32;

/// The largest recovery key: encrypting with a larger one would only cost time.
pub(crate) const MAX_RSA_BITS: usize = 16_384;

/// rsaEncryption (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What a new state needs, and what its owners get.
#[derive(Debug)]
pub struct Recovery {
    /// 32 bytes that open the state.
    pub data_key: SecretBytes,
    /// How many secrets are needed, and the SHA-256 of each share. Not secret.
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
    let recovery_data = RecoveryData::new(threshold, &shares).encode()?;
    Ok(Recovery { data_key, recovery_data, secrets })
}

/// How many of `keys` recovery keys are needed: 0 means all of them.
pub(crate) fn effective_threshold(keys: usize, threshold: u64) -> Result<usize, Cause> {
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

/// The first PEM block: label `PUBLIC KEY`, SubjectPublicKeyInfo, RSA (M-79).
pub(crate) fn read_key(text: &str) -> Result<RsaPublicKey, &'static str> {
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use proptest::test_runner::Config as ProptestConfig;

    use super::*;
    use crate::key_pair::{KeyKind, KeyPair};
    use crate::test_authority::Random;

    /// Recovery keys by name, and the private keys that never leave their owners.
    struct Owners {
        public: BTreeMap<String, String>,
        private: BTreeMap<String, SecretBytes>,
    }

    fn public_pem(spki: &[u8]) -> String {
        pem::encode(&pem::Pem::new("PUBLIC KEY", spki))
    }

    fn owners(names: &[&str]) -> Owners {
        let mut owners = Owners { public: BTreeMap::new(), private: BTreeMap::new() };
        for name in names {
            let key = KeyPair::generate(KeyKind::Rsa(2048), "recovery key").unwrap();
            owners.public.insert((*name).to_owned(), public_pem(&key.spki));
            owners.private.insert((*name).to_owned(), key.pkcs8);
        }
        owners
    }

    impl Owners {
        /// What each owner decrypts, by another library.
        fn decrypt(&self, recovery: &Recovery) -> Vec<SecretBytes> {
            let decrypt = |(name, blob): (&String, &Vec<u8>)| {
                let key = PrivateDecryptingKey::from_pkcs8(self.private[name].expose()).unwrap();
                let key = OaepPrivateDecryptingKey::new(key).unwrap();
                let mut plain = vec![0; key.min_output_size()];
                let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, blob, &mut plain, None).unwrap();
                SecretBytes::new("share", plain.to_vec())
            };
            recovery.secrets.iter().map(decrypt).collect()
        }
    }

    fn make(owners: &Owners, threshold: u64) -> Recovery {
        make_recovery(&owners.public, threshold, &Random).unwrap()
    }

    /// The recovery data of shares, by another implementation of SHA-256.
    fn known_by(threshold: u64, shares: &[SecretBytes]) -> serde_json::Value {
        use sha2::Digest;
        let hash = |share: &SecretBytes| hex::encode(Sha256::digest(share.expose()));
        let shares: serde_json::Map<_, _> =
            shares.iter().map(|share| (hash(share), serde_json::Value::Bool(true))).collect();
        serde_json::json!({ "format": 1, "threshold": threshold, "shares": shares })
    }

    fn data(recovery: &Recovery) -> serde_json::Value {
        serde_json::from_slice(&recovery.recovery_data).unwrap()
    }

    fn refusal(pem: &str) -> String {
        let keys = BTreeMap::from([("k".to_owned(), pem.to_owned())]);
        make_recovery(&keys, 0, &Random).unwrap_err().0
    }

    // L-40
    #[test]
    fn without_keys_there_is_a_data_key_and_nothing_to_recover_with() {
        let recovery = make(&owners(&[]), 0);
        assert_eq!(recovery.data_key.len(), 32);
        assert!(recovery.secrets.is_empty());
        assert_eq!(data(&recovery), known_by(0, &[]));
        assert!(!make(&owners(&[]), 0).data_key.equals(recovery.data_key.expose()));
    }

    // L-41
    #[test]
    fn one_owner_gets_the_data_key() {
        let owners = owners(&["a"]);
        let recovery = make(&owners, 0);
        assert!(owners.decrypt(&recovery)[0].equals(recovery.data_key.expose()));
        assert_eq!(data(&recovery), known_by(1, &[]));
    }

    // L-42
    #[test]
    fn several_owners_get_shares_whose_xor_is_the_data_key() {
        let owners = owners(&["a", "b", "c"]);
        for threshold in [0, 3] {
            let recovery = make(&owners, threshold);
            let shares = owners.decrypt(&recovery);
            let xor = shares
                .iter()
                .fold(vec![0; 32], |sum, share| sum.iter().zip(share.expose()).map(|(a, b)| a ^ b).collect());
            assert!(recovery.data_key.equals(&xor));
            assert!(
                shares.iter().all(|share| share.len() == 32 && !recovery.data_key.equals(share.expose()))
            );
            assert_eq!(data(&recovery), known_by(3, &shares));
        }
    }

    // L-43
    #[test]
    fn with_a_threshold_the_owners_get_shamir_shares() {
        let owners = owners(&["a", "b", "c"]);
        let recovery = make(&owners, 2);
        let shares = owners.decrypt(&recovery);
        assert!(shares.iter().all(|share| share.len() == 33));
        for (one, other) in [(0, 1), (1, 2), (2, 0)] {
            let key = shamir::combine(&[&shares[one], &shares[other]]).unwrap();
            assert!(key.equals(recovery.data_key.expose()));
        }
        assert_eq!(data(&recovery), known_by(2, &shares));
    }

    // M-76, M-77
    #[test]
    fn thresholds_that_do_not_fit_are_refused() {
        assert_eq!(effective_threshold(3, 0).unwrap(), 3);
        assert_eq!(effective_threshold(3, 2).unwrap(), 2);
        assert_eq!(
            effective_threshold(2, 3).unwrap_err().0,
            "not enough recovery keys (2) defined to meet the recovery threshold of 3"
        );
        assert!(effective_threshold(0, 1).unwrap_err().0.starts_with("not enough recovery keys (0)"));
        assert!(effective_threshold(2, u64::MAX).is_err());
        assert_eq!(
            effective_threshold(3, 1).unwrap_err().0,
            "invalid recovery threshold: if set, threshold must be at least 2"
        );
    }

    // M-79
    #[test]
    fn what_is_no_rsa_public_key_is_refused() {
        let rsa = KeyPair::generate(KeyKind::Rsa(2048), "key").unwrap();
        let other_label = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", rsa.spki.as_slice()));
        for text in ["", "no PEM", &other_label, &public_pem(b"no DER"), &public_pem(&[])] {
            assert_eq!(refusal(text), "recovery key \"k\": given PEM data is not a public key");
        }
        let ecdsa = KeyPair::generate(KeyKind::EcdsaP256, "key").unwrap();
        assert_eq!(
            refusal(&public_pem(&ecdsa.spki)),
            "recovery key \"k\": unsupported type of public key: use RSA"
        );
    }

    // M-79: OAEP with SHA-256 takes 66 bytes
    #[test]
    fn small_and_large_rsa_keys_encrypt_as_long_as_a_share_fits() {
        use p384::pkcs8::EncodePublicKey;
        // Encrypting needs no primes: any odd number of that length is modulus enough.
        let pem = |bits: usize| {
            let modulus = BigUint::from_bytes_be(&vec![0xFF; bits / 8]);
            let key = RsaPublicKey::new_unchecked(modulus, BigUint::from(65_537_u32));
            public_pem(key.to_public_key_der().unwrap().as_bytes())
        };
        let too_small = refusal(&pem(768));
        assert!(too_small.contains("too small"), "{too_small}");
        let too_large = refusal(&pem(16_384 + 8));
        assert!(too_large.contains("longer than 16384 bits"), "{too_large}");
        let keys = BTreeMap::from([("k".to_owned(), pem(1024))]);
        make_recovery(&keys, 0, &Random).unwrap();
        let keys = BTreeMap::from([("k".to_owned(), pem(8192))]);
        assert_eq!(make_recovery(&keys, 0, &Random).unwrap().secrets["k"].len(), 1024);
    }

    // M-79: text around the block does not matter
    #[test]
    fn text_before_and_after_the_pem_block_is_ignored() {
        let key = KeyPair::generate(KeyKind::Rsa(2048), "key").unwrap();
        let keys = BTreeMap::from([("k".to_owned(), format!("comment\n{}\nmore", public_pem(&key.spki)))]);
        assert!(make_recovery(&keys, 0, &Random).is_ok());
    }

    proptest::proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        // L-42
        #[test]
        fn all_xor_shares_in_any_order_give_the_data_key_and_fewer_do_not(
            count in 2_usize..10, rotation in 0_usize..10, left_out in 0_usize..10,
        ) {
            let (data_key, mut shares) = xor_shares(count, &Random);
            let data = RecoveryData::new(count, &shares);
            shares.rotate_left(rotation % count);
            let all: Vec<&SecretBytes> = shares.iter().collect();
            proptest::prop_assert!(data.join(&all).unwrap().equals(data_key.expose()));
            let mut fewer = all;
            fewer.remove(left_out % count);
            proptest::prop_assert!(data.join(&fewer).is_none_or(|joined| !joined.equals(data_key.expose())));
        }
    }
}
