//! Consistency proofs, in the form in which a witness takes them (C2SP tlog-witness).

use std::fmt;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, decimal};
use crate::error::{CheckError, FormatError};
use crate::hash::TreeHash;
use crate::tree::check::check_consistency;

/// A proof that the log at an older size is a beginning of the log at a checkpoint. It is also the request to a witness
/// to cosign that checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    old: u64,
    hashes: Vec<TreeHash>,
    checkpoint: Checkpoint,
}

impl ConsistencyProof {
    pub(crate) fn new(old: u64, hashes: Vec<TreeHash>, checkpoint: Checkpoint) -> Self {
        Self { old, hashes, checkpoint }
    }

    /// Returns the older size.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// Returns the hashes.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// Returns the newer checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks that the log with this older root is a beginning of the newer one. Does not check signatures.
    ///
    /// # Errors
    /// [`CheckError`] if it is not, or this does not prove it.
    pub fn check(&self, old_root: &TreeHash) -> Result<(), CheckError> {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        check_consistency(self.old, old_root, size, root, &self.hashes)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for ConsistencyProof {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let invalid = |problem: &str| FormatError::new("witness request", problem);
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| invalid("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old = old.ok_or_else(|| invalid("its first line is not `old` with a size"))?;
        let hashes: Vec<TreeHash> = lines.map(str::parse).collect::<Result<_, _>>()?;
        if hashes.len() > 63 {
            return Err(invalid("it has more than 63 hashes"));
        }
        Ok(Self { old, hashes, checkpoint: checkpoint.parse()? })
    }
}
