//! The one type for secret bytes.
//!
//! It has no `Clone`, `Display`, `Serialize` or `PartialEq`; `Debug` prints its label only; the bytes are wiped on
//! drop. Who calls [`SecretBytes::expose`] stands on a short list of files that a test enforces.

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret bytes with a label that may be shown.
pub struct SecretBytes {
    label: Cow<'static, str>,
    bytes: Zeroizing<Vec<u8>>,
}

impl SecretBytes {
    /// Takes the bytes over; `label` is what `Debug` prints.
    pub fn new(label: impl Into<Cow<'static, str>>, bytes: Vec<u8>) -> Self {
        Self { label: label.into(), bytes: Zeroizing::new(bytes) }
    }

    /// The bytes. Keep the borrow short and copy into nothing that is not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// A second holder of the same bytes, made on purpose and visible in a review.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { label: self.label.clone(), bytes: self.bytes.clone() }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Compares in constant time (for equal lengths).
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        self.bytes.ct_eq(other).into()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_the_label_and_never_the_bytes() {
        let secret = SecretBytes::new("root secret", b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "SecretBytes(root secret)");
    }

    #[test]
    fn comparison_looks_at_every_byte() {
        let secret = SecretBytes::new("k", vec![1, 2, 3]);
        assert!(secret.equals(&[1, 2, 3]));
        assert!(!secret.equals(&[1, 2, 4]));
        assert!(!secret.equals(&[1, 2]));
    }
}
