//! Walking over the events, block after block or wherever one is wanted.
//!
//! ```text
//!   in order    an iterator that reads ahead                                            ▪▪▪▪▪▪▪▪▶
//!   at random   the chunk's list of where blocks start, and the one block by its key    ▪   ▪  ▪
//! ```
//! An iterator has to look into every file for the block before an offset; who knows the block's key does not.

use std::ops::Range;

use annals::{Corruption, RawEvent, ReadError};
use bytes::{Bytes, BytesMut};
use rocksdb::{DBPinnableSlice, DBRawIterator, ReadOptions};

use crate::block;
use crate::chunk::LiveChunk;
use crate::database::Database;
use crate::keys;
use crate::status::not_ours;

/// A place among the events. What is in the same block, or the next, is found without looking for it.
pub(crate) struct EventCursor<'a> {
    database: &'a Database,
    blocks: Blocks<'a>,
    at: Option<Place>,
}

/// Bytes of blocks in order that share an allocation: an event that is kept keeps so many.
const COPIES_BYTES: usize = 32 << 10;

/// How blocks are found.
enum Blocks<'a> {
    InOrder {
        blocks: DBRawIterator<'a>,
        /// Room for copies of the blocks that come next.
        copies: BytesMut,
    },
    AtRandom {
        live: LiveChunk,
        block: Option<DBPinnableSlice<'a>>,
    },
}

/// The block that is read just now, and a body in it.
struct Place {
    offsets: Range<u64>,
    time_ms: u64,
    offset: u64,
    body: Range<usize>,
    /// The whole block, of which events in order are slices. What is read at random is copied by itself.
    copy: Option<Bytes>,
}

/// A block of events, and when they were recorded.
pub(crate) struct Block {
    pub(crate) offsets: Range<u64>,
    pub(crate) time_ms: u64,
}

impl<'a> EventCursor<'a> {
    /// For who reads many events, one after the other.
    pub(crate) fn in_order(database: &'a Database) -> Result<Self, ReadError> {
        let mut options = ReadOptions::default();
        // What is read ahead of a page's end, which is a megabyte of events, is read again for the next.
        options.set_readahead_size(128 << 10);
        // What is read once is not worth what others would have to be forgotten for.
        options.fill_cache(false);
        let blocks = database.events().iterator(options)?;
        let blocks = Blocks::InOrder { blocks, copies: BytesMut::new() };
        Ok(Self { database, blocks, at: None })
    }

    /// The same from `offset` on, whose block is found with its key; `live` is the growing chunk. To look for the block
    /// before an offset takes an iterator twice as long.
    pub(crate) fn in_order_from(
        database: &'a Database,
        live: &LiveChunk,
        offset: u64,
    ) -> Result<Self, ReadError> {
        let mut cursor = Self::in_order(database)?;
        // Without its key, it is looked for when it is read.
        let Ok(first) = block_of(database, live, offset) else { return Ok(cursor) };
        if let Blocks::InOrder { blocks, .. } = &mut cursor.blocks {
            blocks.seek(first.to_be_bytes());
        }
        cursor.take_block(offset, first)?;
        Ok(cursor)
    }

    /// For who reads events here and there; `live` is the growing chunk.
    pub(crate) fn at_random(database: &'a Database, live: &LiveChunk) -> Self {
        let blocks = Blocks::AtRandom { live: live.clone(), block: None };
        Self { database, blocks, at: None }
    }

    /// The last block of all, for who reads in order; `None` if there are no events.
    pub(crate) fn last(&mut self) -> Result<Option<Block>, ReadError> {
        let Blocks::InOrder { blocks, .. } = &mut self.blocks else { return Ok(None) };
        blocks.seek_to_last();
        self.take_block(0, 0)?;
        let block = |at: &Place| Block { offsets: at.offsets.clone(), time_ms: at.time_ms };
        Ok(self.at.as_ref().map(block))
    }

    /// Whether the event at `offset`, which was read last, is the first of its block.
    pub(crate) fn block_starts_at(&self, offset: u64) -> bool {
        self.at.as_ref().is_some_and(|place| place.offsets.start == offset)
    }

    /// The event at `offset`, which the log has, and when it was recorded.
    pub(crate) fn read(&mut self, offset: u64) -> Result<(RawEvent, u64), ReadError> {
        if !self.at.as_ref().is_some_and(|place| place.offsets.contains(&offset)) {
            self.find_block(offset)?;
        }
        let Self { database, blocks, at } = self;
        let missing = || missing(database, offset);
        let place = at.as_mut().filter(|place| place.offsets.contains(&offset));
        let place = place.ok_or_else(missing)?;
        let block = match &place.copy {
            Some(copy) => copy,
            None => blocks.value().ok_or_else(missing)?,
        };
        place.body = place.body_of(offset, block).ok_or_else(missing)?;
        place.offset = offset;
        let body = match &place.copy {
            Some(copy) => copy.slice(place.body.clone()),
            None => Bytes::copy_from_slice(&block[place.body.clone()]),
        };
        let event = RawEvent::from_body(body)
            .map_err(|problem| not_ours(&database.path, offset, "the body of an event", problem))?;
        Ok((event, place.time_ms))
    }

    fn find_block(&mut self, offset: u64) -> Result<(), ReadError> {
        let next = self.at.take().is_some_and(|place| place.offsets.end == offset);
        let first = match &mut self.blocks {
            Blocks::InOrder { blocks, .. } => {
                if next {
                    blocks.next();
                } else {
                    blocks.seek_for_prev(offset.to_be_bytes());
                }
                0
            }
            Blocks::AtRandom { live, block } => {
                let first = if next { offset } else { block_of(self.database, live, offset)? };
                *block = self.database.events().get_pinned(&first.to_be_bytes(), offset)?;
                first
            }
        };
        self.take_block(offset, first)
    }

    /// Reads the head of the block that was found. Where the iterator does not tell its key, that is `first`.
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
            let found = format!("{} bytes that are none", value.len());
            // The last block is looked for without an offset.
            let offset = first.map_or(offset, |first| first.max(offset));
            return Err(not_ours(&self.database.path, offset, "a block of events", found).into());
        };
        let (offsets, time_ms) = (first..first + head.count, head.time_ms);
        self.at = Some(Place { offsets, time_ms, offset: first, body, copy });
        Ok(())
    }
}

/// Copies a block to where others are, or to a new such place if there is no room.
fn copy_to(copies: &mut BytesMut, block: &[u8]) -> Bytes {
    if copies.capacity() < block.len() {
        *copies = BytesMut::with_capacity(COPIES_BYTES.max(block.len()));
    }
    copies.extend_from_slice(block);
    copies.split().freeze()
}

impl Place {
    /// Where the body of `offset` lies in this place's block.
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
    /// The block that was found last.
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::InOrder { blocks, .. } => blocks.value(),
            Self::AtRandom { block, .. } => block.as_deref(),
        }
    }
}

/// Where the block of `offset` starts.
fn block_of(database: &Database, live: &LiveChunk, offset: u64) -> Result<u64, ReadError> {
    let start = if keys::chunk_of(offset) >= live.chunk {
        live.block_of(offset)
    } else {
        database.block_starts.block_of(database, offset)?
    };
    Ok(start.ok_or_else(|| missing(database, offset))?)
}

fn missing(database: &Database, offset: u64) -> Corruption {
    not_ours(&database.path, offset, "the event of this offset", "none")
}
