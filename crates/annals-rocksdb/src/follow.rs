//! Reading beside a writing process: RocksDB's secondary instance catches up, and a thread indexes what is new and
//! moves the head.
//!
//! It reads the write-ahead log as the page cache has it: it may see a commit before that is synced.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annals::home::{HeadPublisher, Published};
use annals::{Event, OpenError, ReadError};

use crate::chunk::ChunkWriter;
use crate::cursor::EventCursor;
use crate::keys;
use crate::log::Log;
use crate::recovery::Recovered;

/// How long the thread sleeps when it found something, and at most when it did not.
const SLEEP_LEAST: Duration = Duration::from_millis(1);
const SLEEP_MOST: Duration = Duration::from_millis(20);

/// Events that are shown at once.
const STEP_EVENTS: u64 = 8_192;

/// The thread that follows; it ends with this.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Follow<E> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    chunk: ChunkWriter,
    next_offset: u64,
}

impl Follower {
    pub(crate) fn start<E: Event>(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        recovered: Recovered,
    ) -> Result<Self, OpenError> {
        let path = log.database.path.clone();
        let Recovered { chunk, next_offset, .. } = recovered;
        let mut follow = Follow { log, head, chunk, next_offset };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("annals-follow".into());
        let thread = thread
            .spawn(move || follow.run(&stopped))
            .map_err(|source| OpenError::Io { action: "follow", path, source })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Relaxed: the flag carries nothing else, and unparking wakes whoever sleeps before he looks.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The last handle may be dropped by a callback, on that thread itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("the thread that follows the log panicked");
            }
        }
    }
}

impl<E: Event> Follow<E> {
    fn run(&mut self, stop: &AtomicBool) {
        let mut sleep = SLEEP_LEAST;
        let mut told = false;
        // Relaxed: see `Follower::drop`.
        while !stop.load(Ordering::Relaxed) {
            match self.step() {
                Ok(true) => (sleep, told) = (SLEEP_LEAST, false),
                Ok(false) => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(SLEEP_MOST);
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot follow the log; trying on");
                    }
                    thread::park_timeout(SLEEP_MOST);
                }
            }
        }
    }

    /// Takes what is new; false if there is nothing.
    fn step(&mut self) -> io::Result<bool> {
        let database = &self.log.database;
        database.db().try_catch_up_with_primary().map_err(crate::status::io_error)?;
        let last = EventCursor::in_order(database).and_then(|mut events| events.last());
        let end = last.map_err(io::Error::other)?.map_or(0, |last| last.offsets.end);
        if end <= self.next_offset {
            return Ok(false);
        }
        let end = end.min(self.next_offset + STEP_EVENTS);
        self.index(end).map_err(io::Error::other)?;
        Ok(true)
    }

    /// Indexes the events up to `end`, and shows them.
    fn index(&mut self, end: u64) -> Result<(), ReadError> {
        let first = self.next_offset;
        let mut events = EventCursor::in_order(&self.log.database)?;
        for offset in first..end {
            let (event, _) = events.read(offset)?;
            if !self.chunk.covers(offset) {
                // The chunk before this one has its keys: they were written with this very event.
                self.chunk = ChunkWriter::new(keys::chunk_of(offset));
                self.log.set_live(self.chunk.reader());
            }
            if events.block_starts_at(offset) {
                self.chunk.add_block(offset);
            }
            self.chunk.add_raw(offset, &event, &self.log.hasher);
            self.next_offset = offset + 1;
        }
        self.head.publish_with(end, || {
            let read = |offset| match self.log.get(offset) {
                Ok(event) => Some(event),
                Err(error) => {
                    tracing::error!(%error, "callback subscribers do not see an event");
                    None
                }
            };
            Published::events((first..end).filter_map(read).collect())
        });
        Ok(())
    }
}
