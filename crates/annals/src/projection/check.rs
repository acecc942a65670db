//! Snapshots against the truth: what a fold from 0 makes of the log.

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::snapshot::compare::Comparison;

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
    /// Its state is that of the fold, in whatever serde sees of the two.
    Good {
        /// The SHA-256 of its canonical JSON; of a state with integers beyond 64 bits, for which there is none, of all
        /// that serde sees of it.
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
        /// The SHA-256 of the snapshot's state: of all that serde sees of it, for two states may have the same JSON.
        kept: String,
        /// That of the fold's.
        folded: String,
    },
    /// Its state holds the same values as that of the fold, in another order, and the state is of a kind that keeps
    /// none: a set whose type does not say so. Nothing more can be told.
    AnyOrder,
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Folds the log from 0 and compares each snapshot with what it finds, oldest first. Without snapshots there is
    /// nothing to compare.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn verify_snapshots(&self) -> Result<Vec<SnapshotCheck>, ReadError> {
        let Some(snapshots) = &self.repository else { return Ok(Vec::new()) };
        let mut folded = self.beginning();
        let mut checks = Vec::new();
        for head in snapshots.heads() {
            let verdict = match snapshots.load(&self.store, head) {
                Err(reason) => SnapshotVerdict::Ignored { reason },
                Ok(snapshot) => {
                    self.fold(&mut folded, head, None)?;
                    match snapshots.compare(&snapshot.state, &folded.state) {
                        Ok(Comparison::Same(sha256)) => {
                            SnapshotVerdict::Good { sha256: sha256.to_string() }
                        }
                        Ok(Comparison::Different { kept, folded }) => SnapshotVerdict::Differs {
                            kept: kept.to_string(),
                            folded: folded.to_string(),
                        },
                        Ok(Comparison::AnyOrder) => SnapshotVerdict::AnyOrder,
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
