//! The hashes of the three proofs.

use std::ops::Range;

use super::nodes::{Nodes, root, split};
use crate::hash::TreeHash;

/// Returns the proof that the leaf at `index` is in the tree of `size` leaves: hashes from the leaf up.
pub(crate) fn inclusion<N: Nodes>(
    nodes: &mut N,
    index: u64,
    size: u64,
) -> Result<Vec<TreeHash>, N::Error> {
    let (mut range, mut hashes) = (0..size, Vec::new());
    while range.end - range.start > 1 {
        let middle = range.start + split(range.end - range.start);
        let (inside, beside) = if index < middle {
            (range.start..middle, middle..range.end)
        } else {
            (middle..range.end, range.start..middle)
        };
        hashes.push(root(nodes, beside)?);
        range = inside;
    }
    hashes.reverse();
    Ok(hashes)
}

/// Returns the proof that the tree of `old` leaves is a beginning of the tree of `size` leaves.
pub(crate) fn consistency<N: Nodes>(
    nodes: &mut N,
    old: u64,
    size: u64,
) -> Result<Vec<TreeHash>, N::Error> {
    let (mut range, mut hashes) = (0..size, Vec::new());
    if old == 0 || old == size {
        return Ok(hashes);
    }
    let mut is_left_edge = true;
    while range.end != old {
        let middle = range.start + split(range.end - range.start);
        if old <= middle {
            hashes.push(root(nodes, middle..range.end)?);
            range.end = middle;
        } else {
            hashes.push(root(nodes, range.start..middle)?);
            range.start = middle;
            is_left_edge = false;
        }
    }
    if !is_left_edge {
        hashes.push(root(nodes, range)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// Returns the proof that the leaves at `shown` (ascending, below `size`) are in the tree of `size` leaves: the hashes,
/// from left to right, of the largest subtrees without a shown leaf.
pub(crate) fn subset<N: Nodes>(
    nodes: &mut N,
    shown: &[u64],
    size: u64,
) -> Result<Vec<TreeHash>, N::Error> {
    let mut hashes = Vec::new();
    if size > 0 {
        add_subset(nodes, shown, 0..size, &mut hashes)?;
    }
    Ok(hashes)
}

fn add_subset<N: Nodes>(
    nodes: &mut N,
    shown: &[u64],
    range: Range<u64>,
    hashes: &mut Vec<TreeHash>,
) -> Result<(), N::Error> {
    if shown.is_empty() {
        hashes.push(root(nodes, range)?);
        return Ok(());
    }
    let count = range.end - range.start;
    if count == shown.len() as u64 {
        return Ok(());
    }
    let middle = range.start + split(count);
    let (left, right) = shown.split_at(shown.partition_point(|&index| index < middle));
    add_subset(nodes, left, range.start..middle, hashes)?;
    add_subset(nodes, right, middle..range.end, hashes)
}
