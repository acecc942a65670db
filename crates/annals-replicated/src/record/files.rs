//! The files of a replica, read-only. Another process may have them open and add to them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annals::{Backend as _, Corruption, Journal, OpenError, RawEvent, ReadError, Recorded};
use uuid::Uuid;

use crate::chain::chain::Position;
use crate::format::body::CommitBatch;
use crate::tail::tail::Tail;

/// A replica, opened read-only.
pub(super) struct ReplicaFiles {
    path: PathBuf,
    journal: Journal<RawEvent>,
    pub(super) store_id: Uuid,
}

impl ReplicaFiles {
    /// Opens a replica. Returns none if nothing is there.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, OpenError> {
        match Journal::options().open_read_only(path) {
            Ok(journal) => {
                let store_id = Uuid::from_bytes(journal.store_id().unwrap_or_default());
                Ok(Some(Self { path: path.to_owned(), journal, store_id }))
            }
            Err(OpenError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the number of events.
    pub(super) fn head(&self) -> u64 {
        self.journal.head().get()
    }

    /// Returns the damage at which the replica ends, if it is damaged.
    pub(super) fn damage(&self) -> Option<&Corruption> {
        self.journal.damage()
    }

    /// Returns the places of the replica's last commits in the record, oldest first: at most 65,536, and none if the
    /// file `record.tail` is missing.
    pub(super) fn positions(&self) -> Vec<Position> {
        Tail::positions(&self.path, self.store_id, self.head())
    }

    /// Returns the first offset of a batch at which the replica has another event or another time. Compares only events
    /// that the replica has.
    pub(super) fn first_difference(
        &self,
        offset: u64,
        batch: &CommitBatch,
    ) -> Result<Option<u64>, ReadError> {
        let end = (offset + batch.events.len() as u64).min(self.head());
        let mut found: Vec<Recorded<RawEvent>> = Vec::new();
        let mut rest: Range<u64> = offset..end;
        while !rest.is_empty() {
            let limit = batch.events.len() - found.len();
            rest = self.journal.read_raw(rest, limit, &mut found)?;
        }
        let differs = |(found, event): (&Recorded<RawEvent>, &RawEvent)| {
            found.event != *event || found.time_ms != batch.time_ms
        };
        let first = found.iter().zip(&batch.events).position(differs);
        Ok(first.map(|first| offset + first as u64))
    }
}
