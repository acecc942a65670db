//! Rebuilds the index of the last chunk on opening, which has no keys in RocksDB yet.

use std::path::Path;

use annals::backend::Hasher;
use annals::{OpenError, ReadError};

use crate::chunk::ChunkWriter;
use crate::cursor::EventCursor;
use crate::database::Database;
use crate::keys::{self, CHUNK_EVENTS};
use crate::status::not_ours;

/// The end of a log.
pub(crate) struct Recovered {
    pub(crate) chunk: ChunkWriter,
    pub(crate) next_offset: u64,
    pub(crate) last_time_ms: u64,
}

/// Finds the end of the log and indexes its last chunk. RocksDB has replayed its write-ahead log before, so every
/// acknowledged event is in the database.
pub(crate) fn recover(database: &Database, hasher: &Hasher) -> Result<Recovered, OpenError> {
    let recovered =
        read_last_chunk(database, hasher).map_err(|error| as_open_error(&database.path, error))?;
    let closed = database.closed_head()?;
    if recovered.next_offset < closed {
        let found = format!("events up to offset {}", recovered.next_offset);
        let expected = format!("events up to offset {closed}, where it was closed");
        return Err(not_ours(&database.path, recovered.next_offset, &expected, found).into());
    }
    Ok(recovered)
}

fn read_last_chunk(database: &Database, hasher: &Hasher) -> Result<Recovered, ReadError> {
    let mut events = EventCursor::in_order(database)?;
    let Some(last) = events.last()? else {
        return Ok(Recovered { chunk: ChunkWriter::new(0), next_offset: 0, last_time_ms: 0 });
    };
    let next_offset = last.offsets.end;
    let number = keys::chunk_of(next_offset - 1);
    let mut chunk = ChunkWriter::new(number);
    for offset in number * CHUNK_EVENTS..next_offset {
        let (event, _) = events.read(offset)?;
        if events.block_starts_at(offset) {
            chunk.add_block(offset);
        }
        chunk.add_raw(offset, &event, hasher);
    }
    Ok(Recovered { chunk, next_offset, last_time_ms: last.time_ms })
}

/// Converts an error of reading to one of opening or verifying.
pub(crate) fn as_open_error(path: &Path, error: ReadError) -> OpenError {
    match error {
        ReadError::Corrupt(damage) => damage.into(),
        error => OpenError::Io {
            action: "read the log in",
            path: path.to_owned(),
            source: std::io::Error::other(error),
        },
    }
}
