//! A tree that grows: the roots of its whole subtrees, from left to right. They are all that a larger tree needs.

use crate::hash::TreeHash;

/// The roots of the whole subtrees of a tree, from the largest, on the left, to the smallest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    roots: Vec<TreeHash>,
}

impl Frontier {
    /// Returns the number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a whole subtree of 2^level leaves; the size must be a multiple of that. Calls `made` with the level and the
    /// hash of each larger subtree that becomes whole.
    pub(crate) fn push(&mut self, level: u32, hash: TreeHash, mut made: impl FnMut(u32, TreeHash)) {
        debug_assert!(
            self.size.is_multiple_of(1 << level),
            "{} leaves, then level {level}",
            self.size
        );
        let (mut hash, mut above) = (hash, level);
        while self.size >> above & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = TreeHash::of_node(&left, &hash);
            above += 1;
            made(above, hash);
        }
        self.roots.push(hash);
        self.size += 1 << level;
    }

    /// Returns the root of the tree.
    pub(crate) fn root(&self) -> TreeHash {
        let mut roots = self.roots.iter().rev();
        let Some(&last) = roots.next() else { return TreeHash::of_nothing() };
        roots.fold(last, |right, left| TreeHash::of_node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::nodes::{Nodes, root};

    /// A tree whose nodes are computed from its leaves.
    struct Leaves(Vec<TreeHash>);

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;

        fn node(&mut self, level: u32, index: u64) -> Result<TreeHash, Self::Error> {
            if level == 0 {
                return Ok(self.0[usize::try_from(index).unwrap_or(usize::MAX)]);
            }
            let (left, right) =
                (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
            Ok(TreeHash::of_node(&left, &right))
        }
    }

    #[test]
    fn a_growing_tree_has_the_roots_of_whole_ones() {
        let leaves: Vec<_> = (0..70_u8).map(|n| TreeHash::of_leaf(&[n])).collect();
        let mut frontier = Frontier::default();
        for size in 0..=70 {
            let Ok(expected) = root(&mut Leaves(leaves.clone()), 0..size);
            assert_eq!(frontier.root(), expected, "{size}");
            if let Some(leaf) = leaves.get(usize::try_from(size).unwrap_or(0)) {
                frontier.push(0, *leaf, |level, _| assert!(level > 0));
            }
        }
    }
}
