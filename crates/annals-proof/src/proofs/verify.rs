//! Hashes the whole log again, and compares it with everything that is known of it.

use annals::{Backend, Event};

use super::leaves::leaves;
use super::open::{
    CHECKPOINT, Identity, is_own, len_beside_a_writer, read_checkpoint, read_receipts,
};
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
        let mut report = ProofReport::default();
        // Before the events are hashed: the process that writes the log may sign more of them meanwhile.
        let mut known = self.stored(&mut report)?;
        let signed = known.iter().map(|(_, checkpoint)| checkpoint.size()).max().unwrap_or(0);
        let events = len_beside_a_writer(&self.store, signed);
        report.events = events;
        let mut fresh = State::default();
        fresh.extend(&self.store, events, self.threads())?;
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

    /// Returns the last checkpoint and the receipts that are stored beside the log. Reports those that the log's key
    /// did not sign.
    fn stored(
        &self,
        report: &mut ProofReport,
    ) -> Result<Vec<(&'static str, Checkpoint)>, ProofError> {
        let Some(place) = &self.place else {
            let last = self.last_checkpoint().map(|last| ("the last checkpoint", last));
            return Ok(last.into_iter().collect());
        };
        let last = read_checkpoint(place, CHECKPOINT)?;
        let last = last.map(|last| ("the last checkpoint", CHECKPOINT.to_owned(), last));
        let receipts = read_receipts(place)?.into_iter();
        let receipts = receipts.map(|(name, receipt)| ("a receipt", name, receipt));
        // After the checkpoints: the key is stored before the first of them.
        let vkey = self.identity()?.as_ref().and_then(Identity::vkey);
        let mut known = Vec::new();
        for (what, name, checkpoint) in last.into_iter().chain(receipts) {
            if is_own(&checkpoint, vkey.as_ref()) {
                known.push((what, checkpoint));
            } else {
                let path = place.path.join(name);
                report.problems.push(format!(
                    "{} does not have a valid signature of the log's key: the file was changed",
                    path.display()
                ));
            }
        }
        Ok(known)
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
