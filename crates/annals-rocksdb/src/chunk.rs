//! The index of one chunk of 65,536 events: in memory while the chunk grows, stored as keys of RocksDB once it is full.
//!
//! ```text
//!   events   0 ……………… 65,535 │ 65,536 ……………… 131,071 │ 131,072 …… head
//!   index    keys              keys                    in memory, rebuilt on opening
//! ```
//! So a commit writes only its events, except the commit that begins a new chunk: it also writes the keys of the full
//! chunk before. The offsets of a name in a chunk are one value: ascending local offsets of two bytes each.

use annals::RawEvent;
use annals::backend::{Hasher, Kind, Lookup, MemIndex, MemIndexWriter, Name, Posting};
use annals_base::{ListWriter, SegmentedList, segmented_list};

use crate::block_index::last_start;
use crate::database::Database;
use crate::family::Put;
use crate::keys::{self, CHUNK_EVENTS};

/// The growing chunk, for readers.
#[derive(Debug, Clone)]
pub(crate) struct MemChunk {
    pub(crate) chunk: u64,
    pub(crate) index: MemIndex,
    /// The starts of its blocks, as local offsets.
    blocks: SegmentedList<u16>,
}

/// The growing chunk, for the writer.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    chunk: u64,
    index: MemIndexWriter,
    blocks: ListWriter<u16>,
}

impl ChunkWriter {
    pub(crate) fn new(chunk: u64) -> Self {
        Self { chunk, index: MemIndexWriter::new(), blocks: segmented_list().0 }
    }

    pub(crate) fn reader(&self) -> MemChunk {
        MemChunk {
            chunk: self.chunk,
            index: self.index.reader(),
            blocks: self.blocks.list().clone(),
        }
    }

    /// Returns whether `offset`, the offset of the next event, belongs to this chunk.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        keys::chunk_of(offset) == self.chunk
    }

    pub(crate) fn index(&mut self) -> &mut MemIndexWriter {
        &mut self.index
    }

    /// Records that a block starts at `offset`.
    pub(crate) fn add_block(&mut self, offset: u64) {
        self.blocks.push(narrow(keys::local_offset(offset)));
    }

    /// Indexes an event that was read from RocksDB.
    pub(crate) fn add_raw(&mut self, offset: u64, event: &RawEvent, hasher: &Hasher) {
        self.index.add_raw(keys::local_offset(offset), event, hasher);
    }
}

impl MemChunk {
    /// Passes the keys of this chunk, which is full, to `put`. They are sorted, since RocksDB inserts sorted keys
    /// fastest.
    pub(crate) fn seal(&self, database: &Database, put: &mut Put<'_>) {
        for kind in [Kind::Tag, Kind::Type] {
            let mut entries = Vec::new();
            self.index.for_each_name(kind, |name, mut posting| {
                let offsets =
                    (0..posting.len()).flat_map(|at| narrow(posting.get(at)).to_le_bytes());
                entries
                    .push((keys::index_key(kind, name, self.chunk), offsets.collect::<Vec<u8>>()));
            });
            entries.sort_unstable();
            let index = database.index();
            for (key, offsets) in &entries {
                put(index, key, offsets);
            }
        }
        put(database.index(), &keys::blocks_key(self.chunk), &self.block_starts());
        let mut ids = Vec::new();
        self.index.for_each_name(Kind::Id, |id, mut posting| {
            ids.push((id.to_owned(), self.first() + u64::from(posting.get(0))));
        });
        ids.sort_unstable();
        for (id, offset) in ids {
            put(database.ids(), id.as_bytes(), &offset.to_be_bytes());
        }
    }

    /// Returns the block starts as they are stored in the index: ascending local offsets.
    pub(crate) fn block_starts(&self) -> Vec<u8> {
        self.blocks.iter().flat_map(|start| start.to_le_bytes()).collect()
    }

    /// Returns the offset at which the block of `offset` starts. `offset` is an event of this chunk.
    pub(crate) fn block_of(&self, offset: u64) -> Option<u64> {
        last_start(self.blocks.len(), |at| self.blocks.get(at).copied(), offset)
    }

    fn first(&self) -> u64 {
        self.chunk * CHUNK_EVENTS
    }
}

impl Lookup for MemChunk {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        self.index.posting(kind, name)
    }
}

/// Converts a local offset to the two bytes that the index stores.
fn narrow(local: u32) -> u16 {
    u16::try_from(local).unwrap_or_else(|_| panic!("{local} is not a local offset of a chunk"))
}

/// Converts the local offsets of a stored value, two bytes each, to those of a [`Posting`], four bytes each.
pub(crate) fn widen(stored: &[u8]) -> Vec<u8> {
    stored.chunks_exact(2).flat_map(|local| [local[0], local[1], 0, 0]).collect()
}
