//! A replica in files: its events, and its file `record.tail`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use annals::{Backend as _, FileSystem, Journal, JournalReplica, RawEvent};
use bytes::Bytes;
use uuid::Uuid;

use super::error::RepairError;
use super::held::Held;
use crate::chain::chain::Position;
use crate::format::body::{CommitBatch, Content, encoded_bytes};
use crate::format::commit::Commit;
use crate::format::hash::CommitHash;
use crate::format::header::{Header, Kind, MAX_BODY_BYTES, MAX_COMMIT_BATCHES};
use crate::log::commit_log::Cause;
use crate::replicated::same::{events, lacking};
use crate::tail::place::Place;
use crate::tail::tail::Tail;

/// A replica in files, locked against other processes.
#[derive(Debug)]
pub(super) struct HeldJournal {
    replica: JournalReplica<RawEvent>,
    store_id: Uuid,
    tail: Tail,
    places: Vec<Place>,
    positions: Vec<Position>,
}

impl HeldJournal {
    /// Opens the replica in the directory `path`. Creates nothing.
    pub(super) fn open(
        path: &Path,
        file_system: &Arc<dyn FileSystem>,
        label: &'static str,
    ) -> Result<Self, RepairError> {
        let names = file_system.open_directory(path).and_then(|directory| directory.list());
        if !names.is_ok_and(|names| names.iter().any(|name| name == "store.json")) {
            return Err(RepairError::NoReplica { path: path.to_owned() });
        }
        let options = Journal::options().file_system(Arc::clone(file_system));
        let replica = options.open_replica::<RawEvent>(path, label)?;
        let store_id = Uuid::from_bytes(replica.journal().store_id().unwrap_or_default());
        let failed = |error: io::Error| RepairError::ReplicaFailed(Cause::new(error));
        let head = replica.head().get();
        let (tail, places) = Tail::open(replica.directory(), store_id, head).map_err(failed)?;
        let positions = places.iter().map(|place| place.position).collect();
        Ok(Self { replica, store_id, tail, places, positions })
    }

    /// Builds a commit from its place and the events of the replica. It may not be the one that was lost.
    fn build(&self, place: &Place, previous: CommitHash) -> Result<Commit, Cause> {
        let Some(fields) = &place.header else {
            return Err(Cause::new("record.tail was written by an older version of annals"));
        };
        let failed = |error: io::Error| Cause::new(error);
        let number = place.position.tip.number;
        let first = place.position.tip.head - u64::from(fields.events);
        let writer_id = fields.writer_id;
        if fields.kind == Kind::Events {
            let sizes = self.tail.batches(fields).map_err(failed)?;
            let content = Content::Events(self.batches(first, fields.events, &sizes)?);
            return Ok(Commit::new(number, previous, self.store_id, writer_id, first, content));
        }
        let body = Bytes::from(self.tail.details(fields).map_err(failed)?);
        let header = Header {
            kind: fields.kind,
            number,
            previous,
            store_id: self.store_id,
            writer_id,
            first_offset: first,
            events: 0,
            batches: 0,
            body_bytes: u32::try_from(body.len()).map_err(Cause::new)?,
        };
        Commit::with_body(header, body).map_err(Cause::new)
    }

    /// Reads the batches of a commit.
    fn batches(&self, first: u64, count: u32, sizes: &[u32]) -> Result<Vec<CommitBatch>, Cause> {
        let sum: u64 = sizes.iter().copied().map(u64::from).sum();
        if sum != u64::from(count) || sizes.len() > MAX_COMMIT_BATCHES {
            return Err(Cause::new("record.tail lost the sizes of its batches"));
        }
        let (mut offset, mut bytes, mut batches) = (first, 0, Vec::with_capacity(sizes.len()));
        for &size in sizes {
            let found = events(&self.replica, offset, size as usize).map_err(Cause::new)?;
            let time_ms = found.first().map_or(0, |event| event.time_ms);
            let events: Vec<RawEvent> = found.into_iter().map(|event| event.event).collect();
            if events.len() != size as usize {
                return Err(Cause::new("the replica does not have all of its events"));
            }
            let batch = CommitBatch { time_ms, events };
            bytes += encoded_bytes(&batch);
            if bytes > MAX_BODY_BYTES {
                return Err(Cause::new("the sizes of its batches in record.tail are wrong"));
            }
            batches.push(batch);
            offset += u64::from(size);
        }
        Ok(batches)
    }
}

impl Held for HeldJournal {
    fn store_id(&self) -> Uuid {
        self.store_id
    }

    fn positions(&self) -> &[Position] {
        &self.positions
    }

    fn head(&self) -> u64 {
        self.replica.head().get()
    }

    fn agrees(&self, commit: &Commit) -> Result<bool, Cause> {
        let is_beyond = commit.header().first_offset >= self.head();
        Ok(is_beyond || lacking(&self.replica, commit).map_err(Cause::new)?.is_some())
    }

    fn commit(&self, number: u64, previous: CommitHash) -> Result<Commit, Cause> {
        let first = self.places.first().map_or(u64::MAX, |place| place.position.tip.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.places.get(index));
        let place = place.ok_or_else(|| Cause::new("record.tail does not have it"))?;
        let commit = self.build(place, previous)?;
        if commit.hash() == place.position.tip.hash {
            Ok(commit)
        } else {
            Err(Cause::new("what is left of it has another hash"))
        }
    }

    fn moved(&mut self, commit: &Commit, position: Position) {
        // Without it, the next opening looks for the commit.
        if let Err(error) = self.tail.put(position, commit) {
            tracing::warn!(%error, "cannot write record.tail; the next opening reads more of the record");
        }
    }
}

impl Drop for HeldJournal {
    fn drop(&mut self) {
        if let Err(error) = self.replica.close() {
            tracing::error!(%error, "the replica was not closed cleanly");
        }
        self.replica.release();
    }
}
