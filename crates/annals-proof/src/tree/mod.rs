//! The Merkle tree of RFC 6962 over SHA-256.
//!
//! ```text
//!   nodes      where the hashes of whole subtrees come from, and the roots that follow from them
//!   prove      the hashes of the three proofs: inclusion, consistency, subset
//!   check      the roots that the hashes of a proof lead to; no input or output
//!   frontier   the roots of the whole subtrees of a tree that grows
//! ```

pub(crate) mod check;
pub(crate) mod frontier;
pub(crate) mod nodes;
pub(crate) mod prove;
