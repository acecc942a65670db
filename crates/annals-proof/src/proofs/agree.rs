//! Compares a log with what it signed and what others cosigned.

use annals::{Backend, Event};

use super::open::len_beside_a_writer;
use super::proofs::{Proofs, other};
use super::state::{Contradiction, State};
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Returns why the log refuses to sign, if it contradicts what it signed or what others cosigned:
    /// [`ProofError::RolledBack`] or [`ProofError::Forked`].
    #[must_use]
    pub fn contradiction(&self) -> Option<ProofError> {
        self.lock().contradiction.map(ProofError::from)
    }

    /// Checks that the log contains what a checkpoint says: one that another party kept, for example. Does not check
    /// signatures. If the log contradicts a checkpoint that has the signature of its own key, it signs nothing more.
    ///
    /// # Errors
    /// [`ProofError::RolledBack`] if the log is shorter, [`ProofError::Forked`] if its events are others, and others of
    /// [`ProofError`].
    pub fn agrees_with(&self, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        if checkpoint.origin() != self.origin() {
            return Err(other("the origin", checkpoint.origin(), self.origin()));
        }
        let found = self.compare(checkpoint)?;
        let is_own = || self.vkey().is_some_and(|vkey| checkpoint.verify(&vkey).is_ok());
        let Some(found) = found else { return Ok(()) };
        if is_own() {
            self.lock().contradiction.get_or_insert(found);
        }
        Err(found.into())
    }

    /// Returns how the log contradicts a checkpoint, if it does.
    fn compare(&self, checkpoint: &Checkpoint) -> Result<Option<Contradiction>, ProofError> {
        let signed = checkpoint.size();
        let events = len_beside_a_writer(&self.store, signed);
        if signed > events {
            return Ok(Some(Contradiction::RolledBack { events, signed }));
        }
        self.reach(checkpoint)?;
        self.compare_hashed(&mut self.lock(), checkpoint)
    }

    /// Returns how the log contradicts a checkpoint, if it does. All events that the checkpoint covers are hashed.
    pub(super) fn compare_hashed(
        &self,
        state: &mut State,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Contradiction>, ProofError> {
        let signed = checkpoint.size();
        let agrees = |state: &State| {
            Ok::<_, ProofError>(state.stored_root(&self.store, signed)? == *checkpoint.root())
        };
        // The stored nodes may be damaged: they are rebuilt before the log counts as changed.
        if agrees(state).unwrap_or(false) {
            return Ok(None);
        }
        let size = state.size();
        state.rebuild(&self.store, size, self.threads())?;
        Ok(if agrees(state)? { None } else { Some(Contradiction::Forked { signed }) })
    }
}
