//! Where the hashes of whole subtrees come from, and the roots of ranges that follow from them.

use std::ops::Range;

use crate::hash::TreeHash;

/// The hashes of the whole subtrees of a tree: those with 2^level leaves.
pub(crate) trait Nodes {
    type Error;

    /// Returns the hash of the subtree over the leaves [index · 2^level, (index + 1) · 2^level). All these leaves
    /// exist.
    fn node(&mut self, level: u32, index: u64) -> Result<TreeHash, Self::Error>;
}

/// Returns the largest power of two below `count`, which is at least 2: where RFC 6962 splits a range of leaves.
pub(crate) fn split(count: u64) -> u64 {
    debug_assert!(count > 1, "a range of {count} leaves is not split");
    1 << (count - 1).ilog2()
}

/// Returns the root of a range of leaves that occurs in a tree as RFC 6962 splits it.
pub(crate) fn root<N: Nodes>(nodes: &mut N, range: Range<u64>) -> Result<TreeHash, N::Error> {
    let count = range.end - range.start;
    if count == 0 {
        return Ok(TreeHash::of_nothing());
    }
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return nodes.node(level, range.start >> level);
    }
    let middle = range.start + split(count);
    let left = root(nodes, range.start..middle)?;
    let right = root(nodes, middle..range.end)?;
    Ok(TreeHash::of_node(&left, &right))
}
