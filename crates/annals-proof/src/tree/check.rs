//! The roots that the hashes of a proof lead to. Nothing here reads a log or a file.

use std::ops::Range;

use super::nodes::split;
use crate::error::CheckError;
use crate::hash::TreeHash;

/// The largest tree: its depth is 63.
pub(crate) const MAX_SIZE: u64 = 1 << 63;

const INCLUSION: &str = "inclusion proof";
const CONSISTENCY: &str = "consistency proof";
const SUBSET: &str = "subset proof";

/// Checks that `leaf` is at `index` in the tree of `size` leaves with this root.
///
/// # Errors
/// [`CheckError`] if the hashes do not prove it.
pub fn check_inclusion(
    leaf: &TreeHash,
    index: u64,
    size: u64,
    hashes: &[TreeHash],
    root: &TreeHash,
) -> Result<(), CheckError> {
    if index >= size || size > MAX_SIZE {
        return Err(CheckError::shape(
            INCLUSION,
            format!("index {index} is not in a tree of {size} leaves"),
        ));
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in hashes {
        if last == 0 {
            return Err(CheckError::shape(INCLUSION, "it has too many hashes"));
        }
        if at & 1 == 1 || at == last {
            hash = TreeHash::of_node(beside, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::of_node(&hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(CheckError::WrongRoot { proof: INCLUSION, size }),
        _ => Err(CheckError::shape(INCLUSION, "it has too few hashes")),
    }
}

/// Checks that the tree of `old` leaves is a beginning of the tree of `size` leaves.
///
/// # Errors
/// [`CheckError`] if the hashes do not prove it.
pub fn check_consistency(
    old: u64,
    old_root: &TreeHash,
    size: u64,
    root: &TreeHash,
    hashes: &[TreeHash],
) -> Result<(), CheckError> {
    let shape = |problem: &str| CheckError::shape(CONSISTENCY, problem);
    if old > size || size > MAX_SIZE {
        return Err(CheckError::shape(
            CONSISTENCY,
            format!("size {old} is not a beginning of size {size}"),
        ));
    }
    if old == 0 || old == size {
        let expected = if old == 0 { TreeHash::of_nothing() } else { *root };
        return match (hashes.is_empty(), *old_root == expected) {
            (true, true) => Ok(()),
            (false, _) => Err(shape("it has too many hashes")),
            (true, false) => Err(CheckError::WrongRoot { proof: CONSISTENCY, size: old }),
        };
    }
    let mut rest = hashes.iter().copied();
    let first = if old.is_power_of_two() { Some(*old_root) } else { rest.next() };
    let first = first.ok_or_else(|| shape("it has too few hashes"))?;
    let shift = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1) >> shift, (size - 1) >> shift);
    let (mut old_hash, mut hash) = (first, first);
    for beside in rest {
        if last == 0 {
            return Err(shape("it has too many hashes"));
        }
        if at & 1 == 1 || at == last {
            old_hash = TreeHash::of_node(&beside, &old_hash);
            hash = TreeHash::of_node(&beside, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::of_node(&hash, &beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        return Err(shape("it has too few hashes"));
    }
    for (hash, root, size) in [(old_hash, old_root, old), (hash, root, size)] {
        if hash != *root {
            return Err(CheckError::WrongRoot { proof: CONSISTENCY, size });
        }
    }
    Ok(())
}

/// Checks that `leaves`, each with its index, in ascending order, are in the tree of `size` leaves with this root.
///
/// # Errors
/// [`CheckError`] if the hashes do not prove it.
pub fn check_subset(
    leaves: &[(u64, TreeHash)],
    size: u64,
    hashes: &[TreeHash],
    root: &TreeHash,
) -> Result<(), CheckError> {
    let in_order = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if size > MAX_SIZE || !in_order || leaves.last().is_none_or(|(index, _)| *index >= size) {
        let problem = format!("its offsets are not ascending and below {size}, or there are none");
        return Err(CheckError::shape(SUBSET, problem));
    }
    let mut rest = hashes.iter();
    let found = subset_root(leaves, 0..size, &mut rest);
    let found = found.ok_or_else(|| CheckError::shape(SUBSET, "it has too few hashes"))?;
    if rest.next().is_some() {
        return Err(CheckError::shape(SUBSET, "it has too many hashes"));
    }
    if found == *root { Ok(()) } else { Err(CheckError::WrongRoot { proof: SUBSET, size }) }
}

fn subset_root(
    leaves: &[(u64, TreeHash)],
    range: Range<u64>,
    hashes: &mut std::slice::Iter<'_, TreeHash>,
) -> Option<TreeHash> {
    let count = range.end - range.start;
    match leaves {
        [] => return hashes.next().copied(),
        [(_, leaf)] if count == 1 => return Some(*leaf),
        _ => {}
    }
    let middle = range.start + split(count);
    let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
    let left = subset_root(left, range.start..middle, hashes)?;
    let right = subset_root(right, middle..range.end, hashes)?;
    Some(TreeHash::of_node(&left, &right))
}
