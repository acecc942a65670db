//! Compares a log with what it signed and what others cosigned.

use annals::{Backend, Event};

use super::directory::{Anchor, Directory};
use super::open::{SHOWN, is_own, len_beside_a_writer, read_own_checkpoint};
use super::proofs::{Proofs, other};
use super::state::{Contradiction, State};
use crate::error::ProofError;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::VerifierKey;

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Returns why the log refuses to sign, if it contradicts what it signed or what others cosigned:
    /// [`ProofError::RolledBack`] or [`ProofError::Forked`].
    #[must_use]
    pub fn contradiction(&self) -> Option<ProofError> {
        self.lock().contradiction.map(ProofError::from)
    }

    /// Checks that the log contains what a checkpoint says: one that another party kept, for example. Does not check
    /// signatures. If the log contradicts a checkpoint that has the signature of its own key, it signs nothing more: the
    /// checkpoint is stored durably beside the log, so that other processes refuse to sign too.
    ///
    /// # Errors
    /// [`ProofError::RolledBack`] if the log is shorter, [`ProofError::Forked`] if its events are others, and others of
    /// [`ProofError`].
    pub fn agrees_with(&self, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        if checkpoint.origin() != self.origin() {
            return Err(other("the origin", checkpoint.origin(), self.origin()));
        }
        let Some(found) = self.compare(checkpoint)? else { return Ok(()) };
        self.remember(&mut self.lock(), checkpoint, found);
        Err(found.into())
    }

    /// Remembers durably that the log contradicts a checkpoint, if the log's own key signed it. A checkpoint of another
    /// key binds nobody.
    pub(super) fn remember(
        &self,
        state: &mut State,
        checkpoint: &Checkpoint,
        found: Contradiction,
    ) {
        let vkey = self.vkey();
        if !is_own(checkpoint, vkey.as_ref()) {
            return;
        }
        state.contradiction.get_or_insert(found);
        if let Some(directory) = &self.directory
            && let Err(error) = store_shown(directory, checkpoint, vkey.as_ref())
        {
            tracing::warn!(%error, "other processes do not learn that the log contradicts a checkpoint: sign nothing");
        }
    }

    /// Checks, before a signature, that the tree continues the last signed checkpoint. If a process found before that
    /// the log contradicts a checkpoint, the whole log is hashed again and compared with it. Returns whether that is so.
    pub(super) fn continues_what_was_signed(&self, state: &mut State) -> Result<bool, ProofError> {
        if let Some(last) = state.last.clone() {
            state.continues(&self.store, &last, self.threads())?;
        }
        let Some(directory) = &self.directory else { return Ok(false) };
        let Some(shown) = read_own_checkpoint(directory, SHOWN, self.vkey().as_ref())? else {
            return Ok(false);
        };
        let size = state.size();
        state.rebuild(&self.store, size, self.threads())?;
        state.continues(&self.store, &shown, self.threads())?;
        Ok(true)
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

/// Stores a checkpoint that the log contradicts, unless a larger one is stored: a log that has the larger one has both.
fn store_shown(
    directory: &Directory,
    checkpoint: &Checkpoint,
    vkey: Option<&VerifierKey>,
) -> Result<(), ProofError> {
    // A process that signs compares the stored checkpoint with the log, and removes it, under this lock.
    let _lock = directory.lock()?;
    let stored = read_own_checkpoint(directory, SHOWN, vkey).ok().flatten();
    if stored.is_some_and(|stored| stored.size() >= checkpoint.size()) {
        return Ok(());
    }
    directory.write(SHOWN, &checkpoint.to_string(), Anchor::Durable)
}
