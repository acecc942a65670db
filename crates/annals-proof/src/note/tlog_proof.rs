//! Inclusion proofs as a text (C2SP tlog-proof).

use std::fmt;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, decimal};
use super::policy::{Policy, Verified};
use crate::base64;
use crate::entry::Entry;
use crate::error::{CheckError, FormatError};
use crate::hash::TreeHash;
use crate::tree::check::check_inclusion;

/// The first line.
pub(crate) const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof that one event is in a log: its entry, the hashes up to the root, and the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    entry: Entry,
    hashes: Vec<TreeHash>,
    checkpoint: Checkpoint,
}

impl InclusionProof {
    pub(crate) fn new(entry: Entry, hashes: Vec<TreeHash>, checkpoint: Checkpoint) -> Self {
        Self { entry, hashes, checkpoint }
    }

    /// Returns what the log recorded of the event.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Returns the checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the hashes from the leaf up.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// Checks that the hashes lead from the entry to the checkpoint's root. Does not check signatures.
    pub(crate) fn check_hashes(&self) -> Result<(), CheckError> {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        check_inclusion(&self.entry.leaf(), self.entry.offset(), size, &self.hashes, root)
    }

    /// Checks the proof and the checkpoint's signatures.
    ///
    /// # Errors
    /// [`CheckError`] for what does not hold.
    pub fn check(&self, policy: &Policy) -> Result<Verified, CheckError> {
        let verified = policy.verify(&self.checkpoint)?;
        self.check_hashes()?;
        Ok(verified)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nextra {}", base64::encode(self.entry.as_bytes()))?;
        writeln!(f, "index {}", self.entry.offset())?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let invalid = |problem: &str| FormatError::new("tlog-proof", problem);
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| invalid("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(invalid("its first line is another one"));
        }
        let extra = lines.next().and_then(|line| base64::decode(line.strip_prefix("extra ")?));
        let extra = extra.ok_or_else(|| invalid("its second line is not `extra` with base64"))?;
        let entry = Entry::parse(&extra)?;
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        if index != Some(entry.offset()) {
            return Err(invalid("its third line is not `index` with the offset of the entry"));
        }
        let hashes: Vec<TreeHash> = lines.map(str::parse).collect::<Result<_, _>>()?;
        if hashes.len() > 63 {
            return Err(invalid("it has more than 63 hashes"));
        }
        Ok(Self { entry, hashes, checkpoint: checkpoint.parse()? })
    }
}
