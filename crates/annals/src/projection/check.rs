//! Snapshots against the truth: what a fold from 0 makes of the log.

use super::{Projection, Reconstructor};
use crate::{Backend, ReadError};

/// What was found of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCheck {
    /// The head that it is of.
    pub head: u64,
    /// What it is worth.
    pub verdict: SnapshotVerdict,
}

/// What a snapshot is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotVerdict {
    /// Its state is that of the fold, byte for byte in canonical JSON.
    Good {
        /// The SHA-256 of that.
        sha256: String,
    },
    /// It cannot be used, so no fold begins at it.
    Ignored {
        /// Why.
        reason: String,
    },
    /// Its state is another than that of the fold: the projection changed and its version did not, or it depends on
    /// something beside its events.
    Differs {
        /// The SHA-256 of the snapshot's state.
        kept: String,
        /// The SHA-256 of the fold's.
        folded: String,
    },
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Folds the log from 0 and compares each snapshot with what it finds, oldest first. Without snapshots there is
    /// nothing to compare.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn verify_snapshots(&self) -> Result<Vec<SnapshotCheck>, ReadError> {
        let Some(snapshots) = &self.shelf else { return Ok(Vec::new()) };
        let mut folded = self.beginning();
        let mut checks = Vec::new();
        for head in snapshots.heads() {
            let verdict = match snapshots.load(&self.store, head) {
                Err(reason) => SnapshotVerdict::Ignored { reason },
                Ok(snapshot) => {
                    self.fold(&mut folded, head, None)?;
                    let hash = |state| snapshots.fingerprint(state).map(|hash| hash.to_string());
                    match hash(&snapshot.state).and_then(|kept| Ok((kept, hash(&folded.state)?))) {
                        Ok((kept, folded)) if kept == folded => {
                            SnapshotVerdict::Good { sha256: kept }
                        }
                        Ok((kept, folded)) => SnapshotVerdict::Differs { kept, folded },
                        Err(error) => SnapshotVerdict::Ignored {
                            reason: format!("the state has no JSON ({error})"),
                        },
                    }
                }
            };
            checks.push(SnapshotCheck { head, verdict });
        }
        Ok(checks)
    }
}
