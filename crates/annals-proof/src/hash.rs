//! SHA-256 hashes, and how the tree makes them (RFC 6962).

use std::fmt;
use std::str::FromStr;

use crate::base64;
use crate::error::FormatError;
use crate::sha256::{sha256, sha256_of_many};

/// A SHA-256 hash: of a leaf, a node or a whole tree. It is written as base64, as in checkpoints and proofs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// Returns the hash with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash of the tree without leaves.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(sha256(&[]))
    }

    /// Returns the hash of the leaf with these bytes.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(sha256(&[&[0], entry].concat()))
    }

    /// Returns the hash of the node above two others.
    #[must_use]
    pub fn of_node(left: &Self, right: &Self) -> Self {
        Self(sha256(&node(left, right)))
    }

    /// Returns the hashes of the nodes above pairs of others, which are hashed several at once.
    pub(crate) fn of_nodes(pairs: &[[Self; 2]]) -> Vec<Self> {
        let nodes: Vec<_> = pairs.iter().map(|[left, right]| node(left, right)).collect();
        sha256_of_many(&nodes).into_iter().map(Self).collect()
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Returns what is hashed of a node.
fn node(left: &TreeHash, right: &TreeHash) -> [u8; 65] {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    bytes
}

/// Returns `bytes` as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

impl FromStr for TreeHash {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bytes = base64::decode(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            FormatError::new("hash", format!("{text:?} is not the base64 of 32 bytes"))
        })
    }
}
