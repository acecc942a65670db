//! Hashes the whole log again, and compares it with everything that is known of it.

use annals::{Backend, Event};

use super::leaves::leaves;
use super::open::{
    CHECKPOINT, Identity, SHOWN, is_own, len_beside_a_writer, read_checkpoint, read_receipts,
};
use super::proofs::Proofs;
use super::state::{Contradiction, State};
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;

/// The report of [`Proofs::verify`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProofReport {
    /// The number of events that were hashed.
    pub events: u64,
    /// The number of checkpoints that the log was compared with.
    pub checkpoints: u64,
    /// The contradictions between the log and its checkpoints. Each is a change of events that were signed.
    pub problems: Vec<String>,
    /// Stored nodes that are wrong. Nothing is lost: they are rebuilt when a proof needs them.
    pub notes: Vec<String>,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Hashes the whole log again, and compares it with the stored nodes, the last checkpoint, all receipts, and
    /// checkpoints that other parties kept (`against`). Checksums find accidents. This comparison finds a change that
    /// was made on purpose.
    ///
    /// If the log contradicts one of `against`, it signs nothing more, as [`agrees_with`](Self::agrees_with) says. While
    /// the log has no key, because it never signed, the signatures of `against` cannot be checked.
    ///
    /// # Errors
    /// [`ProofError::OtherLog`] and [`ProofError::NotOwn`] if one of `against` is of another log, or the log's key did
    /// not sign it: it says nothing about this log. Others of [`ProofError`] if the log cannot be read.
    pub fn verify(&self, against: &[Checkpoint]) -> Result<ProofReport, ProofError> {
        against.iter().try_for_each(|checkpoint| self.check_own(checkpoint))?;
        let mut report = ProofReport::default();
        // Before the events are hashed: the process that writes the log may sign more of them meanwhile.
        let mut known = self.stored(&mut report)?;
        let all = known.iter().map(|(_, checkpoint)| checkpoint).chain(against);
        let signed = all.map(Checkpoint::size).max().unwrap_or(0);
        let events = len_beside_a_writer(&self.store, signed);
        report.events = events;
        let mut fresh = State::default();
        fresh.extend(&self.store, events, self.threads())?;
        known.extend(against.iter().map(|checkpoint| ("the given checkpoint", checkpoint.clone())));
        for (what, checkpoint) in known {
            let signed = checkpoint.size();
            report.checkpoints += 1;
            let (found, problem) = if signed > events {
                let text = format!(
                    "{what} covers {signed} events, and the log has {events}: it was rolled back"
                );
                (Contradiction::RolledBack { events, signed }, text)
            } else if fresh.stored_root(&self.store, signed)? != *checkpoint.root() {
                let text = format!(
                    "the first {signed} events are not those of {what}: events were changed"
                );
                (Contradiction::Forked { signed }, text)
            } else {
                continue;
            };
            self.remember(&mut self.lock(), &checkpoint, found);
            report.problems.push(problem);
        }
        self.compare_nodes(&fresh, &mut report);
        self.compare_leaves(&mut report)?;
        Ok(report)
    }

    /// Checks that a checkpoint is of this log, and that the log's key signed it. The key of a log that never signed is
    /// not known, and its signature is not checked.
    ///
    /// # Errors
    /// [`ProofError::OtherLog`] and [`ProofError::NotOwn`].
    pub fn check_own(&self, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        if checkpoint.origin() != self.origin() {
            let (found, expected) = (checkpoint.origin().to_owned(), self.origin().to_owned());
            return Err(ProofError::OtherLog { found, expected });
        }
        let Some(vkey) = self.vkey() else { return Ok(()) };
        let not_own = |problem| ProofError::NotOwn { size: checkpoint.size(), problem };
        checkpoint.verify(&vkey).map_err(not_own)
    }

    /// Returns the last checkpoint and the receipts that are stored beside the log. Reports those that the log's key
    /// did not sign.
    fn stored(
        &self,
        report: &mut ProofReport,
    ) -> Result<Vec<(&'static str, Checkpoint)>, ProofError> {
        let Some(directory) = &self.directory else {
            let last = self.last_checkpoint().map(|last| ("the last checkpoint", last));
            return Ok(last.into_iter().collect());
        };
        let mut last = Vec::new();
        for (what, name) in [
            ("the last checkpoint", CHECKPOINT),
            ("the checkpoint that the log was found to contradict", SHOWN),
        ] {
            let found = read_checkpoint(directory, name)?;
            // A process may have stored the last checkpoint as contradicted.
            let found = found.filter(|found| last.iter().all(|(_, _, before)| before != found));
            last.extend(found.map(|found| (what, name.to_owned(), found)));
        }
        let receipts = read_receipts(directory)?.into_iter();
        let receipts = receipts.map(|(name, receipt)| ("a receipt", name, receipt));
        // After the checkpoints: the key is stored before the first of them.
        let vkey = self.identity()?.as_ref().and_then(Identity::vkey);
        let mut known = Vec::new();
        for (what, name, checkpoint) in last.into_iter().chain(receipts) {
            if is_own(&checkpoint, vkey.as_ref()) {
                known.push((what, checkpoint));
            } else {
                let path = directory.path.join(name);
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
