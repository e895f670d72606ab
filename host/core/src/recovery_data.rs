//! The clear recovery data: how many recovery secrets open the state, and by which hashes they are known (L-40..L-43).
//!
//! Anybody with the disk can change it, and whoever does gains nothing: the head of the state holds its hash, so that
//! what changed data leads to is refused (X-18, X-19). It names the threshold, so that the number of secrets that are
//! still missing is exact (X-29).

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use carrara_types::secret::SecretBytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::Cause;
use crate::shamir;

/// Of the encoding.
const FORMAT: u8 = 1;

/// One JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryData {
    format: u8,
    /// How many secrets are needed; 0 where the manifest has no recovery keys.
    pub(crate) threshold: usize,
    /// Lower-case hex SHA-256 of each share to `true`; empty with one recovery key or none, where there is nothing to
    /// tell shares by.
    shares: BTreeMap<String, bool>,
}

impl RecoveryData {
    /// Of the secrets that the holders get.
    pub(crate) fn new(threshold: usize, secrets: &[SecretBytes]) -> Self {
        let shares = if secrets.len() > 1 { secrets } else { &[] };
        let shares = shares.iter().map(|share| (hash(share), true)).collect();
        Self { format: FORMAT, threshold, shares }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Cause> {
        serde_json::to_vec(self).map_err(|_| Cause("encoding recovery data".to_owned()))
    }

    /// `None` if the bytes are not what [`Self::encode`] makes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let data: Self = serde_json::from_slice(bytes).ok()?;
        let fits = match data.shares.len() {
            0 => data.threshold <= 1,
            shares => (2..=shares).contains(&data.threshold),
        };
        (data.format == FORMAT && fits).then_some(data)
    }

    /// Whether one secret is the data key itself.
    pub(crate) fn is_single(&self) -> bool {
        self.shares.is_empty()
    }

    /// Whether a share with this hash was given out.
    pub(crate) fn knows(&self, hash: &str) -> bool {
        self.shares.contains_key(hash)
    }

    /// The data key of as many shares as are needed; `None` where they are no shares of one key.
    pub(crate) fn join(&self, shares: &[&SecretBytes]) -> Option<SecretBytes> {
        if self.threshold < self.shares.len() {
            return shamir::combine(shares).ok();
        }
        let length = shares.first()?.len();
        let mut data_key = Zeroizing::new(vec![0_u8; length]);
        for share in shares {
            if share.len() != length {
                return None;
            }
            data_key.iter_mut().zip(share.expose()).for_each(|(sum, byte)| *sum ^= byte);
        }
        Some(SecretBytes::new("data key", std::mem::take(&mut *data_key)))
    }
}

/// By which a share is known.
pub(crate) fn hash(secret: &SecretBytes) -> String {
    hex::encode(digest::digest(&digest::SHA256, secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(count: u8) -> Vec<SecretBytes> {
        (0..count).map(|byte| SecretBytes::new("share", vec![byte; 32])).collect()
    }

    // A golden: states that were written once must be read for ever.
    #[test]
    fn the_encoding_does_not_change() {
        let one = RecoveryData::new(1, &shares(1));
        assert_eq!(one.encode().unwrap(), br#"{"format":1,"threshold":1,"shares":{}}"#);
        let two = RecoveryData::new(2, &shares(2));
        let text = String::from_utf8(two.encode().unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"format\":1,\"threshold\":2,\"shares\":{\
             \"66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925\":true,\
             \"72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793\":true}}"
        );
        assert_eq!(RecoveryData::decode(text.as_bytes()), Some(two));
        assert_eq!(RecoveryData::decode(&one.encode().unwrap()), Some(one));
    }

    #[test]
    fn other_formats_and_thresholds_that_no_shares_can_meet_are_no_recovery_data() {
        let share = |hash: &str| format!("{:?}:true", hash.repeat(32));
        let with = |format: u8, threshold: i64, shares: &[String]| {
            format!(r#"{{"format":{format},"threshold":{threshold},"shares":{{{}}}}}"#, shares.join(","))
        };
        let (one, two) = ([share("aa")], [share("aa"), share("bb")]);
        assert!(RecoveryData::decode(with(1, 2, &two).as_bytes()).is_some());
        for text in [
            with(2, 2, &two),
            with(1, 3, &two),
            with(1, 1, &two),
            with(1, 0, &two),
            with(1, 1, &one),
            with(1, 2, &[]),
            with(1, -1, &[]),
            "null".to_owned(),
            String::new(),
        ] {
            assert_eq!(RecoveryData::decode(text.as_bytes()), None, "{text}");
        }
    }

    // L-42
    #[test]
    fn shares_of_different_lengths_are_not_joined() {
        let all = shares(3);
        let data = RecoveryData::new(3, &all);
        let joined = data.join(&all.iter().collect::<Vec<_>>()).unwrap();
        assert!(joined.equals(&[1 ^ 2; 32]));
        let long = SecretBytes::new("share", vec![0; 33]);
        assert!(data.join(&[&all[0], &all[1], &long]).is_none());
    }
}
