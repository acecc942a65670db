//! Reading beside a writing process: a thread looks for whole frames at the end, indexes them, and moves the head.
//!
//! It reads what is new through the file, never through the map: a writer that seals a segment cuts its file behind
//! the last frame, and memory beyond a file's end must not be touched. A frame that was found whole stays.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::file::{SEGMENT_HEAD, SegmentFile};
use super::frame::{FrameHead, check_frame};
use super::fs::{FileSystem, StoreFile, map_all};
use super::live::IndexWriter;
use super::log::Log;
use super::options::JournalOptions;
use super::recovery::{Active, End, judge_end};
use super::sealed::SealedIndex;
use super::segment::{Segment, SegmentIndex};
use super::sieve::FilterWriter;
use crate::head::{HeadPublisher, Published};
use crate::{Corruption, Event, OpenError};

/// How long the thread sleeps when it found something, and at most when it did not.
const SLEEP_LEAST: Duration = Duration::from_millis(1);
const SLEEP_MOST: Duration = Duration::from_millis(20);

/// How often, at most, a segment's index file is waited for.
const INDEX_ROUNDS: u32 = 50;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// The thread that follows; it ends with this.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    damage: Arc<OnceLock<Corruption>>,
}

/// What the thread has.
struct Follow<E> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    system: Arc<dyn FileSystem>,
    sealed: annals_base::ListWriter<Segment>,
    filters: FilterWriter,
    segment: Arc<Segment>,
    file: Box<dyn StoreFile>,
    index: IndexWriter,
    end: usize,
    next_offset: u64,
    buffer: Vec<u8>,
    /// The head that was published last.
    published: u64,
    /// How often a next segment was found while this one had no index file yet.
    waited: u32,
    damage: Arc<OnceLock<Corruption>>,
}

impl Follower {
    pub(crate) fn start<E: Event>(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        (sealed, filters): (annals_base::ListWriter<Segment>, FilterWriter),
        active: Active,
        options: &JournalOptions,
        closed: u64,
        damage: Option<Corruption>,
    ) -> Result<Self, OpenError> {
        let directory = log.directory.path.clone();
        let Active { file, index, end, next_offset, .. } = active;
        let mut follow = Follow {
            segment: log.active.load_full(),
            log,
            head,
            system: Arc::clone(&options.file_system),
            sealed,
            filters,
            file,
            index,
            end,
            next_offset,
            buffer: Vec::new(),
            published: next_offset,
            waited: 0,
            damage: Arc::default(),
        };
        let follow_error = || OpenError::io("follow", &directory);
        let mut damage = damage;
        if damage.is_some() {
            while follow.take_frames().map_err(follow_error())? {}
        } else {
            while follow.step().map_err(follow_error())? {}
            damage = follow.damage(closed)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        if let Some(damage) = damage {
            // Nobody appends to a damaged log.
            tracing::warn!(%damage, "opened what is good before it");
            return Ok(Self { stop, thread: None, damage: Arc::new(OnceLock::from(damage)) });
        }
        let stopped = Arc::clone(&stop);
        let found = Arc::clone(&follow.damage);
        let thread = thread::Builder::new().name("annals-follow".into());
        let thread = thread.spawn(move || follow.run(&stopped)).map_err(follow_error())?;
        Ok(Self { stop, thread: Some(thread), damage: found })
    }
}

impl Follower {
    /// The damage that ends the log, if there is any.
    pub(crate) fn damage(&self) -> Option<&Corruption> {
        self.damage.get()
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
    /// What ends the log here, if it is damage and not just its end.
    fn damage(&self, closed: u64) -> Result<Option<Corruption>, OpenError> {
        let (end, next_offset) = (self.end, self.next_offset);
        match judge_end(&*self.file, &self.segment, end, next_offset, closed)? {
            End::Damaged(damage) => Ok(Some(damage)),
            End::Clean | End::Unfinished(_) => Ok(None),
        }
    }

    fn run(&mut self, stop: &AtomicBool) {
        let mut sleep = SLEEP_LEAST;
        let mut told = false;
        // Relaxed: see `Follower::drop`.
        while !stop.load(Ordering::Relaxed) {
            match self.step() {
                Ok(true) => sleep = SLEEP_LEAST,
                Ok(false) => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(SLEEP_MOST);
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot follow the log");
                    }
                    if let Some(damage) = error.get_ref().and_then(|error| error.downcast_ref()) {
                        // No more comes of a damaged log: who waits for it is let go, and may ask for this.
                        self.damage.get_or_init(|| Corruption::clone(damage));
                        self.head.close();
                        return;
                    }
                    thread::park_timeout(SLEEP_MOST);
                }
            }
        }
    }

    /// Takes the next frames, or the next segment, if there are any.
    fn step(&mut self) -> io::Result<bool> {
        if self.published < self.next_offset {
            // It failed when it was tried first.
            self.publish()?;
        }
        if self.take_frames()? {
            return Ok(true);
        }
        if self.next_offset == self.segment.first {
            return self.open_again();
        }
        if !self.exists(&self.log.directory.log(self.next_offset))? {
            return Ok(false);
        }
        // The writer seals a segment just after it began the next. Its index is worth waiting for a little: else this
        // process has to keep its own in memory.
        if self.waited < INDEX_ROUNDS
            && !self.exists(&self.log.directory.index(self.segment.first))?
        {
            self.waited += 1;
            return Ok(false);
        }
        // Once there is a next segment this one is complete: what it has, and was not there just now, is there now.
        if !self.take_frames()? {
            self.roll()?;
        }
        Ok(true)
    }

    /// A segment without events may be withdrawn and made again: then this is the file by that name. There is nothing
    /// to lose in opening it anew.
    fn open_again(&mut self) -> io::Result<bool> {
        let file = match self.system.open_read_only(&self.segment.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let bytes = Bytes::from_owner(map_all(&*file)?);
        let segment = SegmentFile { bytes, ..self.segment.file.clone() };
        if segment.check_head(&self.log.directory.store_id).is_err() {
            return Ok(false);
        }
        let index = SegmentIndex::Live(self.index.reader());
        self.segment = Arc::new(Segment { file: segment, index });
        self.log.active.store(Arc::clone(&self.segment));
        self.file = file;
        self.take_frames()
    }

    fn exists(&self, path: &std::path::Path) -> io::Result<bool> {
        match self.system.open_read_only(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Indexes and publishes the whole frames that are there, as far as they fit the buffer; false if there are none.
    fn take_frames(&mut self) -> io::Result<bool> {
        self.buffer.resize(BUFFER, 0);
        let mut size = self.file.read_at(&mut self.buffer, self.end as u64)?;
        if let Ok(head) = FrameHead::read(&self.buffer[..size], 0, self.segment.seed)
            && head.size() > size
            && (self.end + head.size()) as u64 <= self.file.size()?
        {
            self.buffer.resize(head.size(), 0);
            size = self.file.read_at(&mut self.buffer, self.end as u64)?;
        }
        let mut at = 0;
        loop {
            let mut records = Vec::new();
            let (frame, seed) = (&self.buffer[at..size], self.segment.seed);
            let (position, segment_first) = (self.end, self.segment.first);
            match check_frame(frame, position, seed, segment_first, |record| records.push(record)) {
                Ok(head) if head.first == self.next_offset => {
                    for record in records {
                        let added = self.index.add_record(&self.segment, record, &self.log.hasher);
                        added
                            .map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))?;
                    }
                    at += head.size();
                    (self.end, self.next_offset) = (self.end + head.size(), head.end());
                }
                _ => break,
            }
        }
        if at > 0 {
            self.publish()?;
        }
        Ok(at > 0)
    }

    /// Shows the events that are indexed and were not shown yet.
    fn publish(&mut self) -> io::Result<()> {
        if self.end > self.segment.bytes.len() {
            // The file grew since it was mapped.
            let bytes = Bytes::from_owner(map_all(&*self.file)?);
            let file = SegmentFile { bytes, ..self.segment.file.clone() };
            let index = SegmentIndex::Live(self.index.reader());
            self.segment = Arc::new(Segment { file, index });
            self.log.active.store(Arc::clone(&self.segment));
        }
        self.index.positions.publish();
        // Relaxed: a number to look at.
        self.log.active_bytes.store(self.end as u64, Ordering::Relaxed);
        let new = self.published..self.next_offset;
        self.published = self.next_offset;
        self.head.publish_with(new.end, || {
            let read = |offset| match self.log.get(offset) {
                Ok(event) => Some(event),
                Err(error) => {
                    tracing::error!(%error, "callback subscribers do not see an event");
                    None
                }
            };
            Published::events(new.filter_map(read).collect())
        });
        Ok(())
    }

    /// Goes on with the next segment, which is there.
    fn roll(&mut self) -> io::Result<()> {
        let directory = &self.log.directory;
        let path = directory.log(self.next_offset);
        let file = self.system.open_read_only(&path)?;
        let mapped = Bytes::from_owner(map_all(&*file)?);
        let segment = SegmentFile::new(path, &directory.store_id, self.next_offset, mapped);
        let checked = segment.check_head(&directory.store_id);
        checked.map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))?;
        let index = IndexWriter::new();
        let next = Arc::new(Segment { file: segment, index: SegmentIndex::Live(index.reader()) });
        let live = SegmentIndex::Live(self.index.reader());
        let sealed_index = self.sealed_index(self.segment.first).map_or(live, SegmentIndex::sealed);
        // Before this segment is on the list: the writer makes filters after it sealed one, perhaps just now, and
        // those of the segments before it are there.
        let (system, first) = (&*self.system, self.segment.first);
        self.filters.extend(system, directory, self.sealed.list(), first, false);
        let bytes = self.segment.bytes.slice(..self.end);
        let sealed = SegmentFile { bytes, ..self.segment.file.clone() };
        self.sealed.push(Segment { file: sealed, index: sealed_index });
        // Relaxed: a number to look at.
        self.log.active_bytes.store(SEGMENT_HEAD as u64, Ordering::Relaxed);
        self.log.active.store(Arc::clone(&next));
        (self.segment, self.file, self.index, self.end) = (next, file, index, SEGMENT_HEAD);
        self.waited = 0;
        Ok(())
    }

    /// The index file of a segment that was just found complete; the writer may still be at it.
    fn sealed_index(&self, first: u64) -> Option<SealedIndex> {
        let directory = &self.log.directory;
        let file = self.system.open_read_only(&directory.index(first)).ok()?;
        let mapped = map_all(&*file).ok()?;
        SealedIndex::open(
            Bytes::from_owner(mapped),
            &directory.store_id,
            first,
            self.next_offset - first,
        )
    }
}
