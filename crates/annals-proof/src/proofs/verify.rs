//! Hashes the whole log again, and compares it with everything that is known of it.

use annals::{Backend, Event};

use super::leaves::leaves;
use super::open::{CHECKPOINT, read_checkpoint, read_receipts};
use super::proofs::Proofs;
use super::state::State;
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;

/// What [`Proofs::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProofReport {
    /// The number of events that were hashed.
    pub events: u64,
    /// The number of checkpoints that the log was compared with.
    pub checkpoints: u64,
    /// What the log contradicts. Each is a change of events that were signed.
    pub problems: Vec<String>,
    /// Stored nodes that are wrong. Nothing is lost: they are rebuilt when a proof needs them.
    pub notes: Vec<String>,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Hashes the whole log again, and compares it with the stored nodes, the last checkpoint, all receipts, and
    /// checkpoints that other parties kept (`against`). Checksums find accidents. This comparison finds a change that
    /// was made on purpose.
    ///
    /// The signatures of `against` are not checked.
    ///
    /// # Errors
    /// [`ProofError`] if the log cannot be read.
    pub fn verify(&self, against: &[Checkpoint]) -> Result<ProofReport, ProofError> {
        let events = self.store.len();
        let mut fresh = State::default();
        fresh.extend(&self.store, events, self.threads())?;
        let mut report = ProofReport { events, ..ProofReport::default() };
        let mut known: Vec<(&str, Checkpoint)> = Vec::new();
        if let Some(place) = &self.place {
            known.extend(
                read_checkpoint(place, CHECKPOINT)?.map(|last| ("the last checkpoint", last)),
            );
            known.extend(read_receipts(place)?.into_iter().map(|receipt| ("a receipt", receipt)));
        } else {
            known.extend(self.last_checkpoint().map(|last| ("the last checkpoint", last)));
        }
        known.extend(against.iter().map(|checkpoint| ("the given checkpoint", checkpoint.clone())));
        for (what, checkpoint) in known {
            let size = checkpoint.size();
            report.checkpoints += 1;
            if checkpoint.origin() != self.origin() {
                report.problems.push(format!("{what} is of the log {}", checkpoint.origin()));
            } else if size > events {
                report.problems.push(format!(
                    "{what} covers {size} events, and the log has {events}: it was rolled back"
                ));
            } else if fresh.stored_root(&self.store, size)? != *checkpoint.root() {
                report.problems.push(format!(
                    "the first {size} events are not those of {what}: events were changed"
                ));
            }
        }
        self.compare_nodes(&fresh, &mut report);
        self.compare_leaves(&mut report)?;
        Ok(report)
    }

    fn compare_nodes(&self, fresh: &State, report: &mut ProofReport) {
        let state = self.lock();
        let size = state.size().min(fresh.size());
        for level in [8, 16, 24, 32] {
            for first in (0..size >> level).step_by(256) {
                let read = |state: &State| state.nodes.read(level, first, size >> level).ok();
                if read(&state) != read(fresh) {
                    let text = format!(
                        "the file nodes.{level} differs from the log at node {first} or up to 255 later"
                    );
                    report.notes.push(text);
                }
            }
        }
    }

    /// Compares stored leaves with the log, if they are stored.
    fn compare_leaves(&self, report: &mut ProofReport) -> Result<(), ProofError> {
        let state = self.lock();
        if !state.nodes.keeps_leaves() {
            return Ok(());
        }
        for first in (0..state.size()).step_by(256) {
            let end = state.size().min(first + 256);
            if state.nodes.read(0, first, end).ok() != Some(leaves(&self.store, first..end)?) {
                let text = format!(
                    "the file nodes.0 differs from the log at leaf {first} or up to 255 later"
                );
                report.notes.push(text);
            }
        }
        Ok(())
    }
}
