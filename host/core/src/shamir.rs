//! Shamir's secret sharing over GF(2^8), byte by byte, in the layout of HashiCorp Vault (lifecycle.md section 6).
//!
//! A share is the y-bytes followed by one x-byte (1..=255, all different). The field's polynomial is
//! x^8 + x^4 + x^3 + x + 1 (0x11B). Arithmetic has no table and no branch on secret values.

use carrara_types::secret::SecretBytes;
use zeroize::Zeroizing;

use crate::error::Cause;
use crate::ports::Entropy;

/// x-coordinates other than 0, which would be the secret itself.
const MAX_SHARES: usize = 255;

/// Splits the secret into `count` shares, any `threshold` of which give it back.
///
/// # Errors
/// Not 2 <= threshold <= count <= 255.
pub(crate) fn split(
    secret: &SecretBytes,
    count: usize,
    threshold: usize,
    entropy: &dyn Entropy,
) -> Result<Vec<SecretBytes>, Cause> {
    if threshold < 2 || threshold > count || count > MAX_SHARES {
        return Err(Cause(format!("{count} shares of which {threshold} suffice cannot be made")));
    }
    // Coefficients of x^1..x^(threshold-1), `threshold - 1` for every byte of the secret.
    let degree = threshold.saturating_sub(1);
    let mut coefficients = Zeroizing::new(vec![0; secret.len().saturating_mul(degree)]);
    entropy.fill(&mut coefficients);

    let shares = distinct_points(count, entropy).into_iter().map(|x| {
        let mut share = Vec::with_capacity(secret.len().saturating_add(1));
        for (constant, higher) in secret.expose().iter().zip(coefficients.chunks_exact(degree)) {
            let sum = higher.iter().rev().fold(0, |sum, coefficient| multiply(sum ^ coefficient, x));
            share.push(sum ^ constant);
        }
        share.push(x);
        SecretBytes::new("recovery share", share)
    });
    Ok(shares.collect())
}

/// Joins shares. Too few shares or a wrong one give other bytes, not an error: what opens with the result is the test.
///
/// # Errors
/// Fewer than two shares, shares of different or no length, an x twice or 0.
pub fn combine(shares: &[&SecretBytes]) -> Result<SecretBytes, Cause> {
    let mut points = Vec::new();
    for share in shares {
        let Some((x, y)) = share.expose().split_last() else {
            return Err(Cause("a recovery share is empty".to_owned()));
        };
        if *x == 0 || y.is_empty() || points.iter().any(|(other, _)| other == x) {
            return Err(Cause("a recovery share is malformed or given twice".to_owned()));
        }
        points.push((*x, y));
    }
    let length = points.first().map_or(0, |(_, y)| y.len());
    if points.len() < 2 || points.iter().any(|(_, y)| y.len() != length) {
        return Err(Cause("recovery shares must be at least two and of one length".to_owned()));
    }
    let mut secret = vec![0; length];
    for (x, y) in &points {
        let weight = lagrange_at_zero(*x, points.iter().map(|(other, _)| *other));
        for (sum, byte) in secret.iter_mut().zip(*y) {
            *sum ^= multiply(*byte, weight);
        }
    }
    Ok(SecretBytes::new("recovered key", secret))
}

/// The product of `other / (other - x)` over all other points; subtraction is XOR.
fn lagrange_at_zero(x: u8, all: impl Iterator<Item = u8>) -> u8 {
    all.filter(|other| *other != x)
        .fold(1, |product, other| multiply(product, multiply(other, inverse(other ^ x))))
}

/// `count` different points of 1..=255: the first of a random permutation (Fisher-Yates). Points are no secrets.
fn distinct_points(count: usize, entropy: &dyn Entropy) -> Vec<u8> {
    let mut points: Vec<u8> = (1..=255).collect();
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let Ok(left) = u64::try_from(points.len()) else { break };
        let Some(index) = u64::from_le_bytes(random).checked_rem(left) else { break };
        chosen.push(points.swap_remove(usize::try_from(index).unwrap_or(0)));
    }
    chosen
}

/// The product in GF(2^8) modulo 0x11B: shift and add, with masks instead of branches.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & ((b >> bit) & 1).wrapping_neg();
        a = (a << 1) ^ (0x1B & (a >> 7).wrapping_neg());
    }
    product
}

/// `a^254`, which is the inverse of all but 0.
fn inverse(a: u8) -> u8 {
    let mut power = 1;
    for _ in 0..127 {
        power = multiply(power, multiply(a, a));
    }
    power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_authority::Random;

    /// Multiplication by hand: polynomials over GF(2), divided by 0x11B at the end.
    fn naive_multiply(a: u8, b: u8) -> u8 {
        let mut product: u16 =
            (0..8).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| sum ^ (u16::from(a) << bit));
        for bit in (8..16).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11B << (bit - 8);
            }
        }
        u8::try_from(product).unwrap()
    }

    fn naive_inverse(a: u8) -> u8 {
        (1..=255).find(|b| naive_multiply(a, *b) == 1).unwrap()
    }

    /// Lagrange's formula at zero.
    fn naive_combine(shares: &[&[u8]]) -> Vec<u8> {
        let length = shares[0].len() - 1;
        let mut secret = vec![0; length];
        for share in shares {
            let x = share[length];
            let others = shares.iter().map(|other| other[length]).filter(|other| *other != x);
            let weight = others.fold(1, |product, other| {
                naive_multiply(product, naive_multiply(other, naive_inverse(other ^ x)))
            });
            for (sum, y) in secret.iter_mut().zip(&share[..length]) {
                *sum ^= naive_multiply(*y, weight);
            }
        }
        secret
    }

    fn secret(bytes: &[u8]) -> SecretBytes {
        SecretBytes::new("secret", bytes.to_vec())
    }

    // FIPS 197 section 4.2: {57} x {83} = {c1} in the field with 0x11B
    #[test]
    fn the_field_is_that_of_aes() {
        assert_eq!(multiply(0x57, 0x83), 0xC1);
        assert_eq!(multiply(0x57, 0x13), 0xFE);
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), naive_multiply(a, b));
            }
            if a != 0 {
                assert_eq!(inverse(a), naive_inverse(a));
            }
        }
    }

    // L-43: y-bytes first, x last; computed by hand: y = 0x10 + 2x and 0x20 + 3x in the field
    #[test]
    fn known_shares_in_the_layout_with_x_last_are_combined() {
        let shares = [secret(&[0x12, 0x23, 1]), secret(&[0x16, 0x25, 3]), secret(&[0x0B, 0x20 ^ 0x9A, 0x80])];
        let pair = |a: usize, b: usize| combine(&[&shares[a], &shares[b]]).unwrap().expose().to_vec();
        assert_eq!(pair(0, 1), [0x10, 0x20]);
        assert_eq!(pair(1, 0), [0x10, 0x20]);
        assert_eq!(multiply(2, 0x80), 0x1B);
        assert_eq!(multiply(3, 0x80), 0x9B);
    }

    // L-43: shares that Vault made (tests/fixtures/shamir)
    #[test]
    fn shares_of_hashicorps_own_implementation_are_combined() {
        let cases = include_str!("../../../tests/fixtures/shamir/cases.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(cases).unwrap();
        for case in &cases {
            let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
            let shares: Vec<_> = case["shares"].as_array().unwrap().iter().map(bytes).collect();
            let shares: Vec<_> = shares.iter().map(|share| secret(share)).collect();
            let threshold = usize::try_from(case["threshold"].as_u64().unwrap()).unwrap();
            for chosen in [&shares[..threshold], &shares[shares.len() - threshold..]] {
                let joined = combine(&chosen.iter().collect::<Vec<_>>()).unwrap();
                assert_eq!(joined.expose(), bytes(&case["secret"]));
            }
        }
        assert_eq!(cases.len(), 6);
    }

    // L-43
    #[test]
    fn shares_are_one_byte_longer_and_their_points_differ() {
        let shares = split(&secret(&[5; 32]), 255, 255, &Random).unwrap();
        let mut points: Vec<_> = shares.iter().map(|share| *share.expose().last().unwrap()).collect();
        assert!(shares.iter().all(|share| share.len() == 33));
        points.sort_unstable();
        assert_eq!(points, (1..=255).collect::<Vec<_>>());
    }

    #[test]
    fn impossible_thresholds_are_refused() {
        for (count, threshold) in [(3, 0), (3, 1), (3, 4), (256, 2), (0, 0)] {
            assert!(split(&secret(&[1; 32]), count, threshold, &Random).is_err(), "{count} {threshold}");
        }
        assert!(split(&secret(&[1; 32]), 2, 2, &Random).is_ok());
    }

    #[test]
    fn malformed_shares_are_refused() {
        let good = secret(&[1, 2, 3]);
        for bad in [&[][..], &[9], &[1, 2, 0], &[7, 7, 3], &[1, 4]] {
            assert!(combine(&[&good, &secret(bad)]).is_err(), "{bad:?}");
        }
        assert!(combine(&[&good]).is_err());
        assert!(combine(&[]).is_err());
    }

    // L-43: one share less says nothing
    #[test]
    fn too_few_shares_give_something_else() {
        let key = secret(&[0x5A; 32]);
        let shares = split(&key, 5, 4, &Random).unwrap();
        let wrong = combine(&shares[..3].iter().collect::<Vec<_>>()).unwrap();
        assert!(!wrong.equals(key.expose()));
    }

    proptest! {
        // L-43: against the oracle, any threshold, any subset
        #[test]
        fn any_threshold_of_shares_gives_the_secret(
            key in proptest::collection::vec(any::<u8>(), 1..40),
            (count, threshold) in (2_usize..20).prop_flat_map(|count| (Just(count), 2..=count)),
            rotation in 0_usize..20,
        ) {
            let key = secret(&key);
            let mut shares = split(&key, count, threshold, &Random).unwrap();
            shares.rotate_left(rotation % count);
            let chosen: Vec<_> = shares.iter().take(threshold).collect();
            prop_assert!(combine(&chosen).unwrap().equals(key.expose()));
            let bytes: Vec<_> = chosen.iter().map(|share| share.expose()).collect();
            prop_assert_eq!(naive_combine(&bytes), key.expose());
        }

        // L-43: any subset with enough shares gives the secret; one in which a byte is wrong, or with too few, does not
        #[test]
        fn any_subset_with_enough_good_shares_gives_the_secret_and_no_other_does(
            key in proptest::collection::vec(any::<u8>(), 16..40),
            (count, threshold) in (2_usize..12).prop_flat_map(|count| (Just(count), 2..=count)),
            picked in proptest::collection::vec(any::<bool>(), 12),
            (damaged, at, change) in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=u8::MAX),
        ) {
            let key = secret(&key);
            let shares = split(&key, count, threshold, &Random).unwrap();
            let mut chosen: Vec<SecretBytes> =
                shares.iter().zip(&picked).filter(|(_, picked)| **picked).map(|(share, _)| share.duplicate()).collect();
            let join = |shares: &[SecretBytes]| combine(&shares.iter().collect::<Vec<_>>());
            let enough = chosen.len() >= threshold;
            prop_assert_eq!(join(&chosen).is_ok_and(|joined| joined.equals(key.expose())), enough);
            if enough {
                let damaged = damaged.index(chosen.len());
                let mut bytes = chosen[damaged].expose().to_vec();
                let at = at.index(bytes.len() - 1);
                bytes[at] ^= change;
                chosen[damaged] = secret(&bytes);
                prop_assert!(!join(&chosen).unwrap().equals(key.expose()));
            }
        }
    }
}
