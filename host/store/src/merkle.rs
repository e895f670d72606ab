//! The root of an RFC 6962 Merkle tree, kept while leaves are appended.
//!
//! Only the roots of the complete subtrees are kept (a compact range: one hash per set bit of the size), so that a
//! commit's cost does not grow with the log.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A node: SHA-256.
pub(crate) type Hash = [u8; 32];

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// The tree's complete subtrees, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf: the exact bytes of a line.
    pub(crate) fn append(&mut self, line: &[u8]) {
        let mut node = hash(&[&[LEAF], line]);
        // Each set bit at the low end is a complete subtree as large as the new one: they become one.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = hash(&[&[NODE], &left, &node]);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The tree's root (RFC 6962, section 2.1); of the empty tree, the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return hash(&[]) };
        peaks.fold(*last, |right, left| hash(&[&[NODE], left, &right]))
    }
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6962, section 2.1, as written there.
    fn naive(lines: &[Vec<u8>]) -> Hash {
        match lines {
            [] => sha256(b""),
            [line] => sha256(&[&[0x00], line.as_slice()].concat()),
            _ => {
                let split = lines.len().next_power_of_two() / 2;
                let (left, right) = lines.split_at(split);
                sha256(&[&[0x01], naive(left).as_slice(), &naive(right)].concat())
            }
        }
    }

    proptest! {
        #[test]
        fn the_kept_root_is_the_computed_root(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..70)) {
            let mut tree = Tree::default();
            for (index, line) in lines.iter().enumerate() {
                prop_assert_eq!(tree.root(), naive(&lines[..index]));
                tree.append(line);
            }
            prop_assert_eq!(tree.root(), naive(&lines));
            prop_assert_eq!(tree.size(), lines.len() as u64);
            prop_assert_eq!(tree.peaks.len() as u32, tree.size().count_ones());
        }
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(Tree::default().root()), empty);
    }
}
