//! An RFC 6962 Merkle tree, kept while leaves are appended: its root, and the proofs that it only ever grew.
//!
//! The roots of all complete subtrees are kept, 64 bytes per leaf, in a persistent vector: a commit copies none of them,
//! and no proof needs to open a line.

use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, SHA256, digest};
use imbl::Vector;

/// A node: SHA-256.
pub(crate) type Hash = [u8; 32];

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// The tree's complete subtrees, each behind its children: post-order, as leaves complete them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    nodes: Vector<Hash>,
    /// Computed when first asked for.
    root: OnceLock<Hash>,
}

impl Tree {
    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf: the exact bytes of a line.
    pub(crate) fn append(&mut self, line: &[u8]) {
        let mut node = hash(&[&[LEAF], line]);
        self.nodes.push_back(node);
        self.size += 1;
        // Each doubling that the new leaf completes: the left half ends where the right one begins.
        for level in 1..=self.size.trailing_zeros() {
            let left = self.complete(self.size - (1 << level), level - 1);
            node = hash(&[&[NODE], &left, &node]);
            self.nodes.push_back(node);
        }
        self.root = OnceLock::new();
    }

    /// The tree's root (RFC 6962, section 2.1); of the empty tree, the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        *self.root.get_or_init(|| self.range(0, self.size))
    }

    /// The proof that the first `from` leaves are a prefix of all (RFC 6962, section 2.1.2): PROOF(from, D[size]). Empty
    /// where there is nothing to prove; `None` where there are fewer leaves.
    pub(crate) fn consistency(&self, from: u64) -> Option<Vec<Hash>> {
        if from > self.size {
            return None;
        }
        let mut proof = Vec::new();
        if from == 0 {
            return Some(proof);
        }
        // SUBPROOF(from - start, D[start:end], whole), from the root down; the RFC lists what is found deepest first.
        let (mut start, mut end) = (0, self.size);
        let mut whole = true;
        while from < end {
            let split = start + largest_power_below(end - start);
            if from <= split {
                proof.push(self.range(split, end));
                end = split;
            } else {
                proof.push(self.range(start, split));
                start = split;
                whole = false;
            }
        }
        if !whole {
            proof.push(self.range(start, end));
        }
        proof.reverse();
        Some(proof)
    }

    /// MTH(D[start:end]), where `start` is a multiple of a power of two not below the length.
    fn range(&self, start: u64, end: u64) -> Hash {
        let length = end - start;
        if length == 0 {
            return hash(&[]);
        }
        if length.is_power_of_two() {
            return self.complete(start, length.trailing_zeros());
        }
        let split = start + largest_power_below(length);
        hash(&[&[NODE], &self.range(start, split), &self.range(split, end)])
    }

    /// The root of the complete subtree of 2^level leaves from `start` on. The first n leaves have 2n - popcount(n)
    /// nodes, the last of them the roots of the subtrees that leaf n completes, smallest first.
    fn complete(&self, start: u64, level: u32) -> Hash {
        let end = start + (1 << level);
        let nodes = 2 * end - u64::from(end.count_ones());
        let position = nodes - 1 - u64::from(end.trailing_zeros() - level);
        let node = usize::try_from(position).ok().and_then(|position| self.nodes.get(position));
        // Every such subtree was completed when its last leaf was appended.
        node.copied().unwrap_or_default()
    }
}

/// The largest power of two below a length of two or more.
fn largest_power_below(length: u64) -> u64 {
    1 << (u64::BITS - 1 - (length - 1).leading_zeros())
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
            let nodes = 2 * tree.size() - u64::from(tree.size().count_ones());
            prop_assert_eq!(tree.nodes.len() as u64, nodes);
        }
    }

    /// RFC 6962, section 2.1.2, as written there.
    fn naive_subproof(from: usize, lines: &[Vec<u8>], whole: bool) -> Vec<Hash> {
        if from == lines.len() {
            return if whole { Vec::new() } else { vec![naive(lines)] };
        }
        let split = lines.len().next_power_of_two() / 2;
        let (left, right) = lines.split_at(split);
        let (mut proof, other) = if from <= split {
            (naive_subproof(from, left, whole), naive(right))
        } else {
            (naive_subproof(from - split, right, false), naive(left))
        };
        proof.push(other);
        proof
    }

    /// RFC 9162, section 2.1.4.2: whether the proof leads from one root to the other.
    fn verifies(first: (u64, Hash), second: (u64, Hash), proof: &[Hash]) -> bool {
        if first.0 == second.0 {
            return proof.is_empty() && first.1 == second.1;
        }
        let mut path = proof.to_vec();
        if first.0.is_power_of_two() {
            path.insert(0, first.1);
        }
        let Some((&start, rest)) = path.split_first() else { return false };
        let (mut f, mut s) = (first.0 - 1, second.0 - 1);
        (f, s) = (f >> f.trailing_ones(), s >> f.trailing_ones());
        let (mut old, mut new) = (start, start);
        for node in rest {
            if s == 0 {
                return false;
            }
            if f & 1 == 1 || f == s {
                old = hash(&[&[NODE], node, &old]);
                new = hash(&[&[NODE], node, &new]);
                while f & 1 == 0 && f != 0 {
                    (f, s) = (f >> 1, s >> 1);
                }
            } else {
                new = hash(&[&[NODE], &new, node]);
            }
            (f, s) = (f >> 1, s >> 1);
        }
        s == 0 && old == first.1 && new == second.1
    }

    fn tree(lines: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::default();
        lines.iter().for_each(|line| tree.append(line));
        tree
    }

    //
    #[test]
    fn every_consistency_proof_is_the_rfcs_and_leads_from_root_to_root() {
        let lines: Vec<Vec<u8>> = (0_u8..40).map(|line| vec![line]).collect();
        for size in 1..=lines.len() {
            let (lines, new) = (&lines[..size], tree(&lines[..size]));
            for from in 1..=size {
                let proof = new.consistency(from as u64).unwrap();
                assert_eq!(proof, naive_subproof(from, lines, true), "{from} of {size}");
                let (first, second) = ((from as u64, naive(&lines[..from])), (size as u64, naive(lines)));
                assert!(verifies(first, second, &proof), "{from} of {size}");
            }
            assert_eq!(new.consistency(0), Some(Vec::new()));
            assert_eq!(new.consistency(size as u64 + 1), None);
            assert_eq!(new.consistency(u64::MAX), None);
        }
        assert_eq!(
            (Tree::default().consistency(0), Tree::default().consistency(1)),
            (Some(Vec::new()), None)
        );
    }

    proptest! {
        // whoever changed a line that was seen finds no proof.
        #[test]
        fn a_changed_line_breaks_the_proof(size in 2_usize..200, from in 1_usize..200, changed in 0_usize..200) {
            let (from, changed) = (1 + from % (size - 1), changed % from);
            let changed = changed % from;
            let lines: Vec<Vec<u8>> = (0..size).map(|line| line.to_le_bytes().to_vec()).collect();
            let seen = (from as u64, naive(&lines[..from]));
            let honest = tree(&lines);
            prop_assert!(verifies(seen, (size as u64, honest.root()), &honest.consistency(from as u64).unwrap()));
            let mut forged = lines;
            forged[changed].push(0);
            let forged = tree(&forged);
            let proof = forged.consistency(from as u64).unwrap();
            prop_assert!(!verifies(seen, (size as u64, forged.root()), &proof));
        }
    }

    #[test]
    fn a_copy_of_the_tree_goes_its_own_way() {
        let mut one = tree(&[b"a".to_vec(), b"b".to_vec()]);
        let mut two = one.clone();
        one.append(b"c");
        two.append(b"d");
        assert_ne!(one.root(), two.root());
        assert_eq!(one.root(), naive(&[b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]));
        assert_eq!(two.root(), naive(&[b"a".to_vec(), b"b".to_vec(), b"d".to_vec()]));
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(Tree::default().root()), empty);
    }
}
