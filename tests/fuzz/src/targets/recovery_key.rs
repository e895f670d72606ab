//! A recovery key of a manifest, and signatures under it. What the reader of manifests takes, the coordinator can use.

use carrara_core::fuzzing::{recovery_key, signed};
use carrara_types::manifest::names;

use crate::world::RECOVERY_KEYS;

pub(super) fn run(input: &[u8]) {
    assert!(!signed(RECOVERY_KEYS[0], b"secret", input), "nobody has the key");
    let Ok(text) = std::str::from_utf8(input) else { return };
    if names::recovery_key_spki(text).is_ok() {
        assert!(recovery_key(text), "a manifest with this key is accepted, and the key cannot be used");
    }
    let _ = (recovery_key(text), signed(text, b"secret", &[7; 256]));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = RECOVERY_KEYS.map(|key| key.as_bytes().to_vec()).to_vec();
    seeds.push(crate::world::ADMIN.as_bytes().to_vec());
    seeds.push(vec![7; 256]);
    seeds
}
