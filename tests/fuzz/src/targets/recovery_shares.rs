//! Shares of a data key. The input's first bytes say how many and how long they are; the rest are the shares. Then its
//! bytes are a secret that is split and joined again.

use carrara_core::fuzzing::split;
use carrara_core::shamir::combine;
use carrara_types::secret::SecretBytes;

use crate::world::Here;

pub(super) fn run(input: &[u8]) {
    let [first, second, rest @ ..] = input else { return };
    let length = usize::from(*first % 48);
    let shares: Vec<SecretBytes> = match length {
        0 => rest.split(|byte| *byte == 0xff).map(share).collect(),
        length => rest.chunks(length).take(300).map(share).collect(),
    };
    let given: Vec<&SecretBytes> = shares.iter().collect();
    if let Ok(joined) = combine(&given) {
        assert!((2..=255).contains(&given.len()), "{}", given.len());
        assert!(given.iter().all(|share| share.len() == joined.len() + 1));
    }
    let (count, threshold) = (usize::from(*second % 24), usize::from(*first % 24));
    let secret = share(rest.get(..rest.len().min(64)).unwrap_or_default());
    let Some(shares) = split(&secret, count, threshold, &Here) else {
        assert!(threshold < 2 || threshold > count);
        return;
    };
    assert_eq!(shares.len(), count);
    if !secret.is_empty() {
        let some: Vec<&SecretBytes> = shares.iter().skip(count - threshold).collect();
        let joined = combine(&some).expect("enough good shares");
        assert!(joined.equals(secret.expose()), "{count} shares, {threshold} suffice");
    }
}

fn share(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new("share", bytes.to_vec())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let shares = [[3_u8; 32].as_slice(), &[1], &[4; 32], &[2], &[5; 32], &[3]].concat();
    vec![[&[33, 5], shares.as_slice()].concat(), vec![2, 3, 1, 1, 2, 2], vec![0, 255, 7, 1, 0xff, 7, 2], vec![5, 3, 9]]
}
