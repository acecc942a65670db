//! Compares snapshots with the states that a fold from offset 0 computes.

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::snapshot::compare::Comparison;

/// The result of checking one snapshot. [`Reconstructor::verify_snapshots`] returns it and has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCheck {
    /// The head of the log at which the snapshot was taken.
    pub head: u64,
    /// Whether the snapshot is right.
    pub verdict: SnapshotVerdict,
}

/// Whether a snapshot is right. [`Reconstructor::verify_snapshots`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotVerdict {
    /// The snapshot's state equals the state of the fold, in everything that serde serializes.
    Good {
        /// The SHA-256 of the state's canonical JSON. A state with integers beyond 64 bits has no canonical JSON; this
        /// is then the SHA-256 of everything that serde serializes.
        sha256: String,
    },
    /// The snapshot cannot be used, so no fold begins at it.
    Ignored {
        /// The reason.
        reason: String,
    },
    /// The snapshot's state differs from the state of the fold. Either the projection changed and its version did not,
    /// or the projection depends on something other than its events.
    Differs {
        /// The SHA-256 of everything that serde serializes of the snapshot's state. (Two different states may have the
        /// same JSON.)
        kept: String,
        /// The same of the fold's state.
        folded: String,
    },
    /// The snapshot's state has the same values as the state of the fold, in another order, and the order is not kept
    /// when the state is read back. So the state has an unordered part, such as a `HashSet`, and cannot be compared
    /// further.
    AnyOrder,
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Folds the log from offset 0, and compares each snapshot with the state of the fold, oldest snapshot first.
    /// Returns nothing without snapshots.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded, SnapshotCheck, SnapshotPolicy, SnapshotVerdict};
    /// struct Count;
    ///
    /// impl Projection for Count {
    ///     type Event = RawEvent;
    ///     type State = u64;
    ///     fn initial(&self) -> u64 { 0 }
    ///     fn query(&self) -> Query { Query::all() }
    ///     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// }
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("counted").build()?)?;
    /// let mut count = store.reconstruct(Count).snapshots(SnapshotPolicy::every(1));
    /// count.now()?;
    /// let checks: Vec<SnapshotCheck> = count.verify_snapshots()?;
    /// assert_eq!(checks[0].head, 1);
    /// assert!(matches!(checks[0].verdict, SnapshotVerdict::Good { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
                    self.fold(&mut folded, head, |_| {})?;
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
