//! Compares the events of a commit with those of a replica.

use std::io;

use annals::{Backend as _, Event, JournalReplica, RawEvent, Recorded};

use crate::format::body::CommitBatch;
use crate::format::commit::Commit;

/// Returns the batches of a commit that the replica lacks: its last ones. Returns `None` if the others differ from the
/// replica, or if events are missing between the replica's end and the first batch that it lacks.
pub(crate) fn lacking<'a, E: Event>(
    replica: &JournalReplica<E>,
    commit: &'a Commit,
) -> io::Result<Option<Vec<&'a CommitBatch>>> {
    let head = replica.head().get();
    let mut offset = commit.header().first_offset;
    let mut lacking: Vec<&CommitBatch> = Vec::new();
    for batch in commit.content().batches() {
        let end = offset + batch.events.len() as u64;
        if offset > head && lacking.is_empty() {
            return Ok(None);
        }
        if offset >= head {
            lacking.push(batch);
        } else if end > head || !is_same(replica, offset, batch)? {
            return Ok(None);
        }
        offset = end;
    }
    Ok(Some(lacking))
}

/// Returns whether the replica has these events at `offset`, byte for byte and with their time.
fn is_same<E: Event>(
    replica: &JournalReplica<E>,
    offset: u64,
    batch: &CommitBatch,
) -> io::Result<bool> {
    let found = events(replica, offset, batch.events.len())?;
    let same = |(found, event): (&Recorded<RawEvent>, &RawEvent)| {
        found.event == *event && found.time_ms == batch.time_ms
    };
    Ok(found.len() == batch.events.len() && found.iter().zip(&batch.events).all(same))
}

/// Returns the events of the replica from `offset` on: `count`, or fewer at its end.
pub(crate) fn events<E: Event>(
    replica: &JournalReplica<E>,
    offset: u64,
    count: usize,
) -> io::Result<Vec<Recorded<RawEvent>>> {
    let mut found: Vec<Recorded<RawEvent>> = Vec::new();
    let mut rest = offset..offset + count as u64;
    while !rest.is_empty() {
        let limit = count - found.len();
        rest = replica.journal().read_raw(rest, limit, &mut found).map_err(io::Error::other)?;
    }
    Ok(found)
}
