//! Reads beside a writing process: RocksDB's secondary instance catches up with the writer, and a thread indexes new
//! events and moves the head.
//!
//! The secondary instance reads the write-ahead log from the page cache. So it may see a commit before it is synced,
//! and the writer may roll that commit back. RocksDB also reads by path, so another store may appear at the path. The
//! follower ends only for a certain reason: a finding that changing files may have caused is confirmed on a newly
//! opened database.

use std::io;
use std::sync::Arc;

use annals::backend::{FollowStep, FollowStop, Follower, HeadPublisher, Published};
use annals::{Corruption, Event, EventDigest, FollowError, OpenError, RawEvent, ReadError};

use crate::chunk::ChunkWriter;
use crate::cursor::EventCursor;
use crate::database::Database;
use crate::identity::{FileId, manifest};
use crate::keys;
use crate::log::Log;
use crate::options::RocksDbOptions;
use crate::recovery::{Recovered, as_open_error};
use crate::status::io_error;

/// The most events that one step publishes.
const STEP_EVENTS: u64 = 8_192;

struct Follow<E> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    options: RocksDbOptions,
    chunk: ChunkWriter,
    next_offset: u64,
    /// The digest of the last event that was read, which must not change; `None` in an empty log.
    last: Option<EventDigest>,
    /// The name and identity of the last known manifest.
    manifest: Option<(String, FileId)>,
}

/// Why a step failed.
enum Stop {
    /// The log is not followed any more.
    Ended(FollowError),
    /// The log cannot be read now. The next step may succeed.
    Failed(io::Error),
    /// The log seems to be damaged. It is damaged if a newly opened database shows the same.
    Suspect(Corruption),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(damage) => Self::Suspect(damage),
            other => Self::Failed(io::Error::other(other)),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Starts to follow the log from what was recovered on.
pub(crate) fn follow<E: Event>(
    log: Arc<Log>,
    head: HeadPublisher<E>,
    recovered: Recovered,
    options: RocksDbOptions,
) -> Result<Follower, OpenError> {
    let path = log.database.path.clone();
    let Recovered { chunk, next_offset, .. } = recovered;
    let last = match next_offset.checked_sub(1) {
        Some(last) => {
            let read = log.get_raw(last).map_err(|error| as_open_error(&path, error))?;
            Some(digest(&read.0))
        }
        None => None,
    };
    let manifest = manifest(&path);
    let follow = Follow { log, head, options, chunk, next_offset, last, manifest };
    Follower::start(follow).map_err(|source| OpenError::Io { action: "follow", path, source })
}

impl<E: Event> FollowStep for Follow<E> {
    fn step(&mut self) -> Result<bool, FollowStop> {
        let stepped = self.take_next().map_err(|stop| match stop {
            Stop::Suspect(damage) => self.confirm_damage(damage),
            other => other,
        });
        stepped.map_err(|stop| match stop {
            Stop::Ended(error) => FollowStop::Ended(error),
            Stop::Failed(error) => FollowStop::Failed(error),
            Stop::Suspect(damage) => FollowStop::Failed(io::Error::other(damage)),
        })
    }

    fn close_head(&self) {
        self.head.close();
    }
}

impl<E: Event> Follow<E> {
    /// Indexes and publishes new events. Returns whether there were any.
    fn take_next(&mut self) -> Result<bool, Stop> {
        self.check_files()?;
        let log = Arc::clone(&self.log);
        let database = &log.database;
        database.db().try_catch_up_with_primary().map_err(io_error)?;
        let mut events = EventCursor::in_order(database)?;
        let end = events.last()?.map_or(0, |last| last.offsets.end);
        if end < self.next_offset {
            return Err(self.confirm_shorter(end));
        }
        if end == self.next_offset {
            return Ok(false);
        }
        self.check_store_id()?;
        let end = end.min(self.next_offset + STEP_EVENTS);
        self.index(end)?;
        Ok(true)
    }

    /// Fails if the path does not lead to the store any more, or if its files were replaced. RocksDB would not
    /// notice: it has the old manifest open.
    fn check_files(&mut self) -> Result<(), Stop> {
        let database = &self.log.database;
        match database.identity().check() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.replaced(error.to_string()));
            }
            checked => checked?,
        }
        let Some(found) = manifest(&database.path) else { return Ok(()) };
        match &self.manifest {
            Some(before) if before.0 == found.0 && before.1 != found.1 => {
                return Err(self.replaced(format!("its {} is another file now", found.0)));
            }
            Some(before) if before.0 != found.0 => self.check_content()?,
            _ => {}
        }
        self.manifest = Some(found);
        Ok(())
    }

    /// Fails if a newly opened database is another store, or has another event where this follower has read one. The
    /// follower's own database has the old files open and does not notice that all of them were replaced.
    fn check_content(&self) -> Result<(), Stop> {
        let reopened = Database::open_as_is(&self.log.database.path, &self.options)
            .map_err(|error| Stop::Failed(io::Error::other(error)))?;
        if reopened.store_id != self.log.database.store_id {
            return Err(self.replaced("another store is at the path now".into()));
        }
        let mut events = EventCursor::in_order(&reopened)?;
        let end = events.last()?.map_or(0, |last| last.offsets.end);
        if end < self.next_offset {
            return Err(self.rolled_back(end));
        }
        if let (Some(last), Some(offset)) = (self.last, self.next_offset.checked_sub(1))
            && digest(&events.read(offset)?.0) != last
        {
            return Err(self.rolled_back(offset));
        }
        Ok(())
    }

    /// Fails if another store is in the directory now.
    fn check_store_id(&self) -> Result<(), Stop> {
        let database = &self.log.database;
        match database.read_store_id().map_err(io::Error::other)? {
            Some(found) if found != database.store_id => {
                Err(self.replaced("another store is at the path now".into()))
            }
            _ => Ok(()),
        }
    }

    fn replaced(&self, found: String) -> Stop {
        Stop::Ended(FollowError::Replaced { path: self.log.database.path.clone(), found })
    }

    fn rolled_back(&self, offset: u64) -> Stop {
        Stop::Ended(FollowError::TakenBack { path: self.log.database.path.clone(), offset })
    }

    /// Opens the database again, beside the one of this follower; `None` if that fails now.
    fn open_again(&self) -> Option<Database> {
        let database = Database::open_as_is(&self.log.database.path, &self.options).ok()?;
        // The next step reports another store or a moved one.
        (database.store_id == self.log.database.store_id
            && self.log.database.identity().check().is_ok())
        .then_some(database)
    }

    /// Returns what to do about a log that seems to end at `end`, before events that were read already. A newly opened
    /// database confirms it.
    fn confirm_shorter(&self, end: u64) -> Stop {
        if let Err(stop) = self.check_store_id() {
            return stop;
        }
        let reopened = self.open_again();
        let reopened =
            reopened.and_then(|reopened| EventCursor::in_order(&reopened).ok()?.last().ok());
        match reopened.map(|last| last.map_or(0, |last| last.offsets.end)) {
            Some(end) if end < self.next_offset => self.rolled_back(end),
            _ => Stop::Failed(io::Error::other(format!("the log seems to end at offset {end}"))),
        }
    }

    /// Returns what to do about damage that was found. A newly opened database confirms it.
    fn confirm_damage(&self, damage: Corruption) -> Stop {
        let Some(reopened) = self.open_again() else { return Stop::Suspect(damage) };
        let last = EventCursor::in_order(&reopened).and_then(|mut events| events.last());
        let read =
            EventCursor::in_order(&reopened).and_then(|mut events| events.read(damage.offset));
        match (last, read) {
            (Err(ReadError::Corrupt(found)), _) => {
                // RocksDB does not report the offset, but all events before this one were read.
                let offset = found.offset.max(self.next_offset);
                Stop::Ended(FollowError::Damaged(Corruption { offset, ..found }))
            }
            (_, Err(ReadError::Corrupt(found))) => Stop::Ended(FollowError::Damaged(found)),
            _ => Stop::Suspect(damage),
        }
    }

    /// Indexes and publishes the events up to `end`.
    fn index(&mut self, end: u64) -> Result<(), Stop> {
        let first = self.next_offset;
        let log = Arc::clone(&self.log);
        let mut events = EventCursor::in_order(&log.database)?;
        if let Some(last) = self.last
            && digest(&events.read(first - 1)?.0) != last
        {
            return Err(self.rolled_back(first - 1));
        }
        for offset in first..end {
            let (event, _) = events.read(offset)?;
            if !self.chunk.covers(offset) {
                // The chunk before has its keys: they were written in one batch with this event.
                self.chunk = ChunkWriter::new(keys::chunk_of(offset));
                self.log.set_growing(self.chunk.reader());
            }
            if events.block_starts_at(offset) {
                self.chunk.add_block(offset);
            }
            self.chunk.add_raw(offset, &event, &self.log.hasher);
            self.last = Some(digest(&event));
            self.next_offset = offset + 1;
        }
        self.head.publish_with(end, || {
            let log = Arc::clone(&self.log);
            Published::stored(first..end, move |offset| log.get(offset))
        });
        Ok(())
    }
}

fn digest(event: &RawEvent) -> EventDigest {
    EventDigest::of(event.body())
}
