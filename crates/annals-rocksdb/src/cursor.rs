//! Walking over the events, block after block or wherever one is wanted.
//!
//! ```text
//!   in order    an iterator that reads ahead                                            ▪▪▪▪▪▪▪▪▶
//!   at random   the chunk's list of where blocks start, and the one block by its key    ▪   ▪  ▪
//! ```
//! An iterator has to look into every file for the block before an offset; who knows the block's key does not.

use std::ops::Range;

use annals::{Corruption, RawEvent, ReadError};
use bytes::Bytes;
use rocksdb::{DBPinnableSlice, DBRawIterator, ReadOptions};

use crate::block;
use crate::chunk::{LiveChunk, last_start};
use crate::database::Database;
use crate::keys::{self, CHUNK_EVENTS};
use crate::status::not_ours;

/// A place among the events. What is in the same block, or the next, is found without looking for it.
pub(crate) struct EventCursor<'a> {
    database: &'a Database,
    blocks: Blocks<'a>,
    at: Option<Place>,
}

/// How blocks are found.
enum Blocks<'a> {
    InOrder(DBRawIterator<'a>),
    AtRandom {
        live: LiveChunk,
        /// The chunk that was asked for last, and where its blocks start.
        starts: Option<(u64, DBPinnableSlice<'a>)>,
        block: Option<DBPinnableSlice<'a>>,
    },
}

/// The block that is read just now, and a body in it.
struct Place {
    offsets: Range<u64>,
    time_ms: u64,
    offset: u64,
    body: Range<usize>,
    /// The whole block, once it was copied.
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
        // About a page of events: what was read ahead of the page's end would be read again for the next.
        options.set_readahead_size(128 << 10);
        // What is read once is not worth what others would have to be forgotten for.
        options.fill_cache(false);
        let blocks = Blocks::InOrder(database.events().iterator(options)?);
        Ok(Self { database, blocks, at: None })
    }

    /// For who reads events here and there; `live` is the growing chunk.
    pub(crate) fn at_random(database: &'a Database, live: &LiveChunk) -> Self {
        let blocks = Blocks::AtRandom { live: live.clone(), starts: None, block: None };
        Self { database, blocks, at: None }
    }

    /// The last block of all, for who reads in order; `None` if there are no events.
    pub(crate) fn last(&mut self) -> Result<Option<Block>, ReadError> {
        let Blocks::InOrder(blocks) = &mut self.blocks else { return Ok(None) };
        blocks.seek_to_last();
        self.take_block(0, 0)?;
        let block = |at: &Place| Block { offsets: at.offsets.clone(), time_ms: at.time_ms };
        Ok(self.at.as_ref().map(block))
    }

    /// Whether the event at `offset`, which was read last, is the first of its block.
    pub(crate) fn block_starts_at(&self, offset: u64) -> bool {
        self.at.as_ref().is_some_and(|place| place.offsets.start == offset)
    }

    /// The event at `offset`, which the log has, and when it was recorded. Who keeps neighbours has them share one
    /// copy of their block.
    pub(crate) fn read(&mut self, offset: u64, shared: bool) -> Result<(RawEvent, u64), ReadError> {
        self.go_to(offset)?;
        let path = &self.database.path;
        let Some((place, value)) = self.at.as_mut().zip(self.blocks.value()) else {
            return Err(missing(self.database, offset).into());
        };
        let body = if shared {
            let copy = place.copy.get_or_insert_with(|| Bytes::copy_from_slice(value));
            copy.slice(place.body.clone())
        } else {
            Bytes::copy_from_slice(&value[place.body.clone()])
        };
        let event = RawEvent::from_body(body)
            .map_err(|problem| not_ours(path, offset, "the body of an event", problem))?;
        Ok((event, place.time_ms))
    }

    /// Goes to the block of `offset`, and to its body there.
    fn go_to(&mut self, offset: u64) -> Result<(), ReadError> {
        if !self.at.as_ref().is_some_and(|place| place.offsets.contains(&offset)) {
            self.find_block(offset)?;
        }
        let missing = || missing(self.database, offset);
        let place = self.at.as_mut().filter(|place| place.offsets.contains(&offset));
        let (place, value) = place.zip(self.blocks.value()).ok_or_else(missing)?;
        let (mut at, mut body) = (place.offset, place.body.clone());
        if offset < at {
            (at, body) = (place.offsets.start, block::first_body(value).ok_or_else(missing)?);
        }
        while at < offset {
            body = block::body_after(value, &body).ok_or_else(missing)?;
            at += 1;
        }
        (place.offset, place.body) = (at, body);
        Ok(())
    }

    fn find_block(&mut self, offset: u64) -> Result<(), ReadError> {
        let next = self.at.take().is_some_and(|place| place.offsets.end == offset);
        let first = match &mut self.blocks {
            Blocks::InOrder(blocks) => {
                if next {
                    blocks.next();
                } else {
                    blocks.seek_for_prev(offset.to_be_bytes());
                }
                0
            }
            Blocks::AtRandom { live, starts, block } => {
                let first =
                    if next { offset } else { block_of(self.database, live, starts, offset)? };
                *block = self.database.events().get_pinned(&first.to_be_bytes(), offset)?;
                first
            }
        };
        self.take_block(offset, first)
    }

    /// Reads the head of the block that was found. Where the iterator does not tell its key, that is `first`.
    fn take_block(&mut self, offset: u64, first: u64) -> Result<(), ReadError> {
        self.at = None;
        let first = match &self.blocks {
            Blocks::InOrder(blocks) => {
                blocks.status().map_err(self.database.unreadable(offset))?;
                blocks.key().and_then(keys::number)
            }
            Blocks::AtRandom { .. } => Some(first),
        };
        let Some(value) = self.blocks.value() else { return Ok(()) };
        let parts = first.zip(block::head(value)).zip(block::first_body(value));
        let Some(((first, head), body)) = parts else {
            let found = format!("{} bytes that are none", value.len());
            return Err(not_ours(&self.database.path, offset, "a block of events", found).into());
        };
        let (offsets, time_ms) = (first..first + head.count, head.time_ms);
        self.at = Some(Place { offsets, time_ms, offset: first, body, copy: None });
        Ok(())
    }
}

impl Blocks<'_> {
    /// The block that was found last.
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::InOrder(blocks) => blocks.value(),
            Self::AtRandom { block, .. } => block.as_deref(),
        }
    }
}

/// Where the block of `offset` starts.
fn block_of<'a>(
    database: &'a Database,
    live: &LiveChunk,
    starts: &mut Option<(u64, DBPinnableSlice<'a>)>,
    offset: u64,
) -> Result<u64, ReadError> {
    let chunk = keys::chunk_of(offset);
    let none = || missing(database, offset);
    if chunk >= live.chunk {
        return Ok(live.block_of(offset).ok_or_else(none)?);
    }
    if starts.as_ref().is_none_or(|(known, _)| *known != chunk) {
        let value = database.index().get_pinned(&keys::blocks_key(chunk), offset)?;
        *starts = Some((chunk, value.ok_or_else(none)?));
    }
    let known: &[u8] = starts.as_ref().map_or(&[], |(_, value)| value);
    let get = |at: usize| Some(u16::from_le_bytes(*known.get(2 * at..)?.first_chunk()?));
    // Below 65,536.
    let place = u16::try_from(keys::place_of(offset)).unwrap_or(u16::MAX);
    let start = last_start(known.len() / 2, get, place).ok_or_else(none)?;
    Ok(chunk * CHUNK_EVENTS + u64::from(start))
}

fn missing(database: &Database, offset: u64) -> Corruption {
    not_ours(&database.path, offset, "the event of this offset", "none")
}
