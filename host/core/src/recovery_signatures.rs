//! Whether the holders of the manifest's recovery keys have signed the secrets that opened a state (L-45, L-49).
//!
//! Without it, anyone could make a state with keys of her own and "recover" it. Verifying needs no secret key, so that
//! keys of every size that a manifest may name are good here.

use std::collections::{BTreeMap, VecDeque};

use aws_lc_rs::digest;
use carrara_types::secret::SecretBytes;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::Sha256;

use crate::error::Cause;
use crate::recovery_shares::{effective_threshold, read_key};

/// A recovery secret in the clear, with RSA PKCS#1 v1.5 over its SHA-256.
#[derive(Debug)]
pub(crate) struct SignedSecret {
    pub(crate) secret: SecretBytes,
    /// `None` fits any key; in simulation only.
    pub(crate) signature: Option<Vec<u8>>,
}

/// Whether as many secrets as `keys` (PEM by name) and `threshold` demand are signed, each under another key.
///
/// # Errors
/// The public reason.
pub(crate) fn verify(
    keys: &BTreeMap<String, String>,
    threshold: u64,
    secrets: &[&SignedSecret],
) -> Result<(), Cause> {
    let needed = effective_threshold(keys.len(), threshold)?;
    if secrets.len() != needed {
        let given = secrets.len();
        return Err(Cause(format!("{needed} signed secrets are needed, and {given} opened the state")));
    }
    let mut public = Vec::with_capacity(keys.len());
    for (name, pem) in keys {
        public.push(read_key(pem).map_err(|why| Cause(format!("recovery key {name:?}: {why}")))?);
    }
    let signers: Vec<Vec<usize>> = secrets.iter().map(|secret| signers(secret, &public)).collect();
    if let Some(unsigned) = signers.iter().position(Vec::is_empty) {
        let which = numbers(&[unsigned], needed);
        return Err(Cause(format!("a secret is not signed by any of the manifest's recovery keys{which}")));
    }
    if !all_different(&signers, public.len()) {
        let which = numbers(&of_the_same_key(&signers), needed);
        return Err(Cause(format!("two secrets are signed by the same recovery key{which}")));
    }
    Ok(())
}

/// Which secrets, in the order in which they were sent: the holders know whose that was.
fn numbers(positions: &[usize], of: usize) -> String {
    match positions {
        [one] => format!(" (number {} of {of} that were sent)", one + 1),
        [one, other] => format!(" (numbers {} and {} of {of} that were sent)", one + 1, other + 1),
        _ => String::new(),
    }
}

/// The first two that only one and the same key can have signed; none where that is not what is wrong.
fn of_the_same_key(signers: &[Vec<usize>]) -> Vec<usize> {
    let same = |other: usize, mine: &Vec<usize>| {
        signers.iter().take(other).position(|earlier| mine.len() == 1 && earlier == mine)
    };
    let pair = signers.iter().enumerate().find_map(|(other, mine)| Some(vec![same(other, mine)?, other]));
    pair.unwrap_or_default()
}

/// The keys that could have made the signature.
fn signers(signed: &SignedSecret, keys: &[RsaPublicKey]) -> Vec<usize> {
    let digest = digest::digest(&digest::SHA256, signed.secret.expose());
    let fits = |key: &RsaPublicKey| match &signed.signature {
        Some(signature) => key.verify(Pkcs1v15Sign::new::<Sha256>(), digest.as_ref(), signature).is_ok(),
        None => true,
    };
    keys.iter().enumerate().filter_map(|(index, key)| fits(key).then_some(index)).collect()
}

/// Whether everybody can have one of their choices such that no two have the same: a matching in a bipartite graph,
/// grown by augmenting paths.
fn all_different(choices: &[Vec<usize>], options: usize) -> bool {
    let mut holder: Vec<Option<usize>> = vec![None; options];
    (0..choices.len()).all(|person| augment(choices, &mut holder, person))
}

/// Gives `first` one of its choices; whoever has it already moves on to another one.
fn augment(choices: &[Vec<usize>], holder: &mut [Option<usize>], first: usize) -> bool {
    let mut wanted_by: Vec<Option<usize>> = vec![None; holder.len()];
    let mut waiting = VecDeque::from([first]);
    while let Some(person) = waiting.pop_front() {
        for option in choices.get(person).into_iter().flatten().copied() {
            let Some(wanted @ None) = wanted_by.get_mut(option) else { continue };
            *wanted = Some(person);
            match holder.get(option).copied().flatten() {
                Some(other) => waiting.push_back(other),
                None => {
                    hand_over(&wanted_by, holder, option, first);
                    return true;
                }
            }
        }
    }
    false
}

/// Walks the path back from a free option to who started it.
fn hand_over(wanted_by: &[Option<usize>], holder: &mut [Option<usize>], free: usize, first: usize) {
    let mut option = free;
    while let Some(person) = wanted_by.get(option).copied().flatten() {
        let before = holder.iter().position(|other| *other == Some(person));
        if let Some(slot) = holder.get_mut(option) {
            *slot = Some(person);
        }
        match before {
            Some(before) if person != first => option = before,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key_pair::{KeyKind, KeyPair};

    fn signed(secret: &[u8], signature: Vec<u8>) -> SignedSecret {
        SignedSecret { secret: SecretBytes::new("secret", secret.to_vec()), signature: Some(signature) }
    }

    // L-49, M-79: a manifest may name keys of any size
    #[test]
    fn keys_of_every_size_verify_their_own_signatures_and_nothing_else() {
        use p384::pkcs8::{DecodePrivateKey, EncodePublicKey};
        for bits in [1024, 1536, 2048] {
            let pair = KeyPair::generate(KeyKind::Rsa(bits), "key").unwrap();
            let key = rsa::RsaPrivateKey::from_pkcs8_der(pair.pkcs8.expose()).unwrap();
            let spki = key.to_public_key().to_public_key_der().unwrap();
            let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", spki.as_bytes()));
            let keys = BTreeMap::from([("k".to_owned(), pem)]);
            let sign = |secret: &[u8]| {
                let digest = digest::digest(&digest::SHA256, secret);
                key.sign(Pkcs1v15Sign::new::<Sha256>(), digest.as_ref()).unwrap()
            };
            verify(&keys, 0, &[&signed(b"secret", sign(b"secret"))]).unwrap();
            let mut changed = sign(b"secret");
            changed[0] ^= 1;
            let mut longer = sign(b"secret");
            longer.insert(0, 0);
            for wrong in [sign(b"other"), changed, longer, Vec::new()] {
                let error = verify(&keys, 0, &[&signed(b"secret", wrong)]).unwrap_err();
                assert!(error.0.contains("not signed by any"), "{bits}: {error}");
            }
        }
    }

    // L-45, L-49: the state's own manifest says how many; one without keys is never recovered
    #[test]
    fn more_or_fewer_secrets_than_the_manifest_demands_are_refused() {
        let unsigned = || SignedSecret { secret: SecretBytes::new("secret", vec![1]), signature: None };
        let error = verify(&BTreeMap::new(), 0, &[&unsigned()]).unwrap_err();
        assert_eq!(error.0, "0 signed secrets are needed, and 1 opened the state");
        let pair = KeyPair::generate(KeyKind::Rsa(1024), "key").unwrap();
        let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", pair.spki));
        let keys: BTreeMap<String, String> =
            ["a", "b", "c"].map(|name| (name.to_owned(), pem.clone())).into();
        let all = [&unsigned(), &unsigned(), &unsigned()];
        for (threshold, needed) in [(0, 3), (3, 3), (2, 2)] {
            for given in 0..=3 {
                assert_eq!(verify(&keys, threshold, &all[..given]).is_ok(), given == needed);
            }
        }
    }

    /// By trying everything.
    fn possible(choices: &[Vec<usize>], taken: &mut Vec<usize>) -> bool {
        let Some(mine) = choices.get(taken.len()) else { return true };
        mine.iter().any(|option| {
            if taken.contains(option) {
                return false;
            }
            taken.push(*option);
            let rest = possible(choices, taken);
            taken.pop();
            rest
        })
    }

    // L-49
    #[test]
    fn who_can_move_makes_room_for_who_cannot() {
        assert!(all_different(&[vec![0, 1], vec![0]], 2));
        assert!(all_different(&[vec![0, 1, 2], vec![0, 1], vec![0]], 3));
        assert!(!all_different(&[vec![0], vec![0]], 2));
        assert!(!all_different(&[vec![0, 1], vec![0, 1], vec![1, 0]], 3));
        assert!(!all_different(&[vec![]], 1));
        assert!(all_different(&[], 0));
    }

    proptest! {
        // L-49
        #[test]
        fn the_answer_is_that_of_trying_everything(
            choices in prop::collection::vec(prop::collection::btree_set(0..5_usize, 0..4), 0..6)
        ) {
            let choices: Vec<Vec<usize>> = choices.into_iter().map(|set| set.into_iter().collect()).collect();
            prop_assert_eq!(all_different(&choices, 5), possible(&choices, &mut Vec::new()));
        }
    }
}
