//! The hash of a commit.

use std::fmt;

use sha2::{Digest, Sha256};

/// The SHA-256 of a commit. The hash of the genesis is the identity of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommitHash(pub [u8; 32]);

impl CommitHash {
    /// The previous hash of a genesis, which has no predecessor.
    pub const NONE: Self = Self([0; 32]);

    /// Returns the SHA-256 of these parts, one behind the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for CommitHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CommitHash {
    /// Writes the first 4 bytes, which are enough to tell the commits of a test apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}
