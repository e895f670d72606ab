//! RFC 6962 Merkle trees with SHA-256: hashing lines, and verifying consistency proofs (RFC 9162 section 2.1.4.2).

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// RFC 6962 section 2.1.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The Merkle tree hash of the lines.
#[must_use]
pub fn root_of<T: AsRef<[u8]>>(lines: &[T]) -> Hash {
    // Complete subtrees from the left with their heights, each higher than the next: one per bit of the count.
    let mut subtrees: Vec<(u32, Hash)> = Vec::new();
    for line in lines {
        let (mut height, mut hash) = (0, leaf_hash(line.as_ref()));
        while let Some((_, left)) = subtrees.pop_if(|(other, _)| *other == height) {
            hash = node_hash(&left, &hash);
            height += 1;
        }
        subtrees.push((height, hash));
    }
    let whole =
        subtrees.into_iter().map(|(_, hash)| hash).rev().reduce(|right, left| node_hash(&left, &right));
    whole.unwrap_or_else(|| Sha256::digest([]).into())
}

/// Whether `proof` shows that the log with the newer size and root begins with the one of the older size and root.
#[must_use]
pub fn consistent(older: (u64, &Hash), newer: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((older_size, older_root), (newer_size, newer_root)) = (older, newer);
    if older_size > newer_size {
        return false;
    }
    if older_size == newer_size {
        return proof.is_empty() && older_root == newer_root;
    }
    if older_size == 0 {
        // Every log continues the empty one.
        return proof.is_empty() && *older_root == root_of::<&[u8]>(&[]);
    }
    match proven_roots(older_size, older_root, newer_size, proof) {
        Some((older, newer)) => older == *older_root && newer == *newer_root,
        None => false,
    }
}

/// The roots of both trees as the proof has them; `None` if it has another length than a proof between these sizes. The
/// sizes are neither 0 nor equal.
fn proven_roots(older_size: u64, older_root: &Hash, newer_size: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut older, mut newer) = (older_size - 1, newer_size - 1);
    // Up to the subtree that both trees share at the older one's right edge.
    let shared = older.trailing_ones();
    older >>= shared;
    newer >>= shared;
    // A complete older tree is this subtree itself, so the proof leaves it out.
    let (first, rest) = match older_size.is_power_of_two() {
        true => (older_root, proof),
        false => proof.split_first()?,
    };
    let (mut older_hash, mut newer_hash) = (*first, *first);
    for sibling in rest {
        if newer == 0 {
            return None;
        }
        if older & 1 == 1 || older == newer {
            older_hash = node_hash(sibling, &older_hash);
            newer_hash = node_hash(sibling, &newer_hash);
            while older & 1 == 0 && older != 0 {
                older >>= 1;
                newer >>= 1;
            }
        } else {
            newer_hash = node_hash(&newer_hash, sibling);
        }
        older >>= 1;
        newer >>= 1;
    }
    (newer == 0).then_some((older_hash, newer_hash))
}
