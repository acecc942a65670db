//! Walking over the events: an iterator over the blocks that stays where it was asked last.

use std::ops::Range;

use annals::{Corruption, RawEvent, ReadError};
use bytes::Bytes;
use rocksdb::{DBRawIterator, ReadOptions};

use crate::block;
use crate::database::Database;
use crate::keys;
use crate::status::not_ours;

/// A place among the events. Neighbours are found without looking for them.
pub(crate) struct EventCursor<'a> {
    database: &'a Database,
    blocks: DBRawIterator<'a>,
    at: Option<Place>,
}

/// The block that the iterator is at, and a body in it.
struct Place {
    offsets: Range<u64>,
    time_ms: u64,
    offset: u64,
    body: Range<usize>,
    /// The whole block, once it was copied.
    copy: Option<Bytes>,
}

/// A block that is read as a whole.
pub(crate) struct Block {
    pub(crate) offsets: Range<u64>,
    pub(crate) time_ms: u64,
}

impl<'a> EventCursor<'a> {
    /// At no event yet. Who reads many in order says so: more is read at once.
    pub(crate) fn new(database: &'a Database, in_order: bool) -> Result<Self, ReadError> {
        let mut options = ReadOptions::default();
        if in_order {
            options.set_readahead_size(1 << 20);
        }
        Ok(Self { database, blocks: database.events().iterator(options)?, at: None })
    }

    /// Goes to the last block of all; `None` if there are no events.
    pub(crate) fn last(&mut self) -> Result<Option<Block>, ReadError> {
        self.blocks.seek_to_last();
        self.here(0)
    }

    /// The event at `offset`, which the log has, and when it was recorded. Who keeps neighbours has them share one copy of
    /// their block.
    pub(crate) fn read(&mut self, offset: u64, shared: bool) -> Result<(RawEvent, u64), ReadError> {
        self.go_to(offset)?;
        let Some(place) = &mut self.at else { return Err(self.missing(offset).into()) };
        let Some(value) = self.blocks.value() else { return Err(self.missing(offset).into()) };
        let body = if shared {
            let copy = place.copy.get_or_insert_with(|| Bytes::copy_from_slice(value));
            copy.slice(place.body.clone())
        } else {
            Bytes::copy_from_slice(&value[place.body.clone()])
        };
        let time_ms = place.time_ms;
        let event = RawEvent::from_body(body).map_err(|problem| {
            not_ours(&self.database.path, offset, "the body of an event", problem)
        })?;
        Ok((event, time_ms))
    }

    /// Goes to the block of `offset`, and to its body there.
    fn go_to(&mut self, offset: u64) -> Result<(), ReadError> {
        match &self.at {
            Some(place) if place.offsets.contains(&offset) => {}
            Some(place) if place.offsets.end == offset => {
                self.blocks.next();
                self.here(offset)?;
            }
            _ => {
                self.blocks.seek_for_prev(offset.to_be_bytes());
                self.here(offset)?;
            }
        }
        let missing = || not_ours(&self.database.path, offset, "the event of this offset", "none");
        let place = self.at.as_mut().filter(|place| place.offsets.contains(&offset));
        let (Some(place), Some(value)) = (place, self.blocks.value()) else {
            return Err(missing().into());
        };
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

    /// Reads the head of the block that the iterator is at.
    fn here(&mut self, offset: u64) -> Result<Option<Block>, ReadError> {
        self.at = None;
        let (Some(key), Some(value)) = (self.blocks.key(), self.blocks.value()) else {
            self.blocks.status().map_err(self.database.unreadable(offset))?;
            return Ok(None);
        };
        let parts = keys::number(key).zip(block::head(value)).zip(block::first_body(value));
        let Some(((first, head), body)) = parts else {
            let found = format!("key {key:?} with {} bytes", value.len());
            return Err(not_ours(&self.database.path, offset, "a block of events", found).into());
        };
        let (offsets, time_ms) = (first..first + head.count, head.time_ms);
        self.at =
            Some(Place { offsets: offsets.clone(), time_ms, offset: first, body, copy: None });
        Ok(Some(Block { offsets, time_ms }))
    }

    fn missing(&self, offset: u64) -> Corruption {
        not_ours(&self.database.path, offset, "the event of this offset", "none")
    }
}
