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
