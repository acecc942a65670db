//! Reads events, block after block or at random.
//!
//! ```text
//!   in order    an iterator that reads ahead                                   ▪▪▪▪▪▪▪▪▶
//!   at random   the chunk's block starts, then a lookup of one block by key    ▪   ▪  ▪
//! ```
//! A lookup by key is cheaper than an iterator, which has to search every file for the block before an offset.

use std::ops::Range;

use annals::{Corruption, RawEvent, ReadError};
use bytes::{Bytes, BytesMut};
use rocksdb::{DBPinnableSlice, DBRawIterator, ReadOptions};

use crate::block;
use crate::chunk::MemChunk;
use crate::database::Database;
use crate::keys;
use crate::status::not_ours;

/// A position among the events. An event in the same block or in the next one is found without a search.
pub(crate) struct EventCursor<'a> {
    database: &'a Database,
    blocks: Blocks<'a>,
    at: Option<Position>,
}

/// The bytes of one allocation for copies of consecutive blocks. An event that a caller holds keeps its whole
/// allocation.
const COPIES_BYTES: usize = 32 << 10;

/// The way in which blocks are found.
enum Blocks<'a> {
    InOrder {
        blocks: DBRawIterator<'a>,
        /// Free space for copies of the next blocks.
        copies: BytesMut,
    },
    AtRandom {
        growing: MemChunk,
        block: Option<DBPinnableSlice<'a>>,
    },
}

/// The current block, and a body in it.
struct Position {
    offsets: Range<u64>,
    time_ms: u64,
    offset: u64,
    body: Range<usize>,
    /// A copy of the whole block, when reading in order; events are slices of it. At random, each event is copied
    /// alone.
    copy: Option<Bytes>,
}

/// The offsets of a block, and the time at which its events were recorded.
pub(crate) struct Block {
    pub(crate) offsets: Range<u64>,
    pub(crate) time_ms: u64,
}

impl<'a> EventCursor<'a> {
    /// Returns a cursor for reading many events one after the other.
    pub(crate) fn in_order(database: &'a Database) -> Result<Self, ReadError> {
        let mut options = ReadOptions::default();
        // More would be wasted: bytes beyond the end of a page (1 MiB of events) are read again for the next page.
        options.set_readahead_size(128 << 10);
        // Blocks that are read once must not push others out of the cache.
        options.fill_cache(false);
        let blocks = database.events().iterator(options)?;
        let blocks = Blocks::InOrder { blocks, copies: BytesMut::new() };
        Ok(Self { database, blocks, at: None })
    }

    /// As [`in_order`](Self::in_order), positioned at the block of `offset`, which is looked up by key. That takes
    /// half the time of a search by the iterator. `growing` is the growing chunk.
    pub(crate) fn in_order_from(
        database: &'a Database,
        growing: &MemChunk,
        offset: u64,
    ) -> Result<Self, ReadError> {
        let mut cursor = Self::in_order(database)?;
        // If the key is not found, `read` searches for the block.
        let Ok(first) = block_of(database, growing, offset) else { return Ok(cursor) };
        if let Blocks::InOrder { blocks, .. } = &mut cursor.blocks {
            blocks.seek(first.to_be_bytes());
        }
        cursor.take_block(offset, first)?;
        Ok(cursor)
    }

    /// Returns a cursor for reading events at random. `growing` is the growing chunk.
    pub(crate) fn at_random(database: &'a Database, growing: &MemChunk) -> Self {
        let blocks = Blocks::AtRandom { growing: growing.clone(), block: None };
        Self { database, blocks, at: None }
    }

    /// Returns the last block of the log; `None` if the log is empty. Only for a cursor in order.
    pub(crate) fn last(&mut self) -> Result<Option<Block>, ReadError> {
        let Blocks::InOrder { blocks, .. } = &mut self.blocks else { return Ok(None) };
        blocks.seek_to_last();
        self.take_block(0, 0)?;
        let block = |at: &Position| Block { offsets: at.offsets.clone(), time_ms: at.time_ms };
        Ok(self.at.as_ref().map(block))
    }

    /// Returns whether the event at `offset`, the last one that was read, is the first of its block.
    pub(crate) fn block_starts_at(&self, offset: u64) -> bool {
        self.at.as_ref().is_some_and(|at| at.offsets.start == offset)
    }

    /// Returns the event at `offset`, which must be in the log, and its time in milliseconds.
    pub(crate) fn read(&mut self, offset: u64) -> Result<(RawEvent, u64), ReadError> {
        if !self.at.as_ref().is_some_and(|at| at.offsets.contains(&offset)) {
            self.find_block(offset)?;
        }
        let Self { database, blocks, at } = self;
        let missing = || missing(database, offset);
        let at = at.as_mut().filter(|at| at.offsets.contains(&offset)).ok_or_else(missing)?;
        let block = match &at.copy {
            Some(copy) => copy,
            None => blocks.value().ok_or_else(missing)?,
        };
        at.body = at.body_of(offset, block).ok_or_else(missing)?;
        at.offset = offset;
        let body = match &at.copy {
            Some(copy) => copy.slice(at.body.clone()),
            None => Bytes::copy_from_slice(&block[at.body.clone()]),
        };
        let event = RawEvent::from_body(body)
            .map_err(|problem| not_ours(&database.path, offset, "the body of an event", problem))?;
        Ok((event, at.time_ms))
    }

    fn find_block(&mut self, offset: u64) -> Result<(), ReadError> {
        let next = self.at.take().is_some_and(|at| at.offsets.end == offset);
        let first = match &mut self.blocks {
            Blocks::InOrder { blocks, .. } => {
                if next {
                    blocks.next();
                } else {
                    blocks.seek_for_prev(offset.to_be_bytes());
                }
                0
            }
            Blocks::AtRandom { growing, block } => {
                let first = if next { offset } else { block_of(self.database, growing, offset)? };
                *block = self.database.events().get_pinned(&first.to_be_bytes(), offset)?;
                first
            }
        };
        self.take_block(offset, first)
    }

    /// Makes the block that was found the current one. At random, its first offset is `first`; an iterator knows its
    /// key.
    fn take_block(&mut self, offset: u64, first: u64) -> Result<(), ReadError> {
        self.at = None;
        let (first, value, copy) = match &mut self.blocks {
            Blocks::InOrder { blocks, copies } => {
                blocks.status().map_err(self.database.unreadable(offset))?;
                let Some(value) = blocks.value() else { return Ok(()) };
                let copy = copy_to(copies, value);
                (blocks.key().and_then(keys::number), value, Some(copy))
            }
            Blocks::AtRandom { block, .. } => {
                let Some(value) = block.as_deref() else { return Ok(()) };
                (Some(first), value, None)
            }
        };
        let parts = first.zip(block::head(value)).zip(block::first_body(value));
        let Some(((first, head), body)) = parts else {
            let found = format!("{} bytes that are not a block", value.len());
            // `last` passes no offset.
            let offset = first.map_or(offset, |first| first.max(offset));
            return Err(not_ours(&self.database.path, offset, "a block of events", found).into());
        };
        let (offsets, time_ms) = (first..first + head.count, head.time_ms);
        self.at = Some(Position { offsets, time_ms, offset: first, body, copy });
        Ok(())
    }
}

/// Copies a block to the allocation `copies`, or to a new one if the block does not fit.
fn copy_to(copies: &mut BytesMut, block: &[u8]) -> Bytes {
    if copies.capacity() < block.len() {
        *copies = BytesMut::with_capacity(COPIES_BYTES.max(block.len()));
    }
    copies.extend_from_slice(block);
    copies.split().freeze()
}

impl Position {
    /// Returns the range of the body of `offset` in the current block.
    fn body_of(&self, offset: u64, block: &[u8]) -> Option<Range<usize>> {
        let (mut at, mut body) = (self.offset, self.body.clone());
        if offset < at {
            (at, body) = (self.offsets.start, block::first_body(block)?);
        }
        while at < offset {
            body = block::body_after(block, &body)?;
            at += 1;
        }
        Some(body)
    }
}

impl Blocks<'_> {
    /// Returns the block that was found last.
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::InOrder { blocks, .. } => blocks.value(),
            Self::AtRandom { block, .. } => block.as_deref(),
        }
    }
}

/// Returns the offset at which the block of `offset` starts.
fn block_of(database: &Database, growing: &MemChunk, offset: u64) -> Result<u64, ReadError> {
    let start = if keys::chunk_of(offset) >= growing.chunk {
        growing.block_of(offset)
    } else {
        database.block_index.block_of(database.index(), offset)?
    };
    Ok(start.ok_or_else(|| missing(database, offset))?)
}

fn missing(database: &Database, offset: u64) -> Corruption {
    not_ours(&database.path, offset, "the event of this offset", "none")
}
