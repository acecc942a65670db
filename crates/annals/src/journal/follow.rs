//! Reading beside a writing process: a thread looks for whole frames at the end, indexes them, and moves the head.
//!
//! It reads what is new through the file, never through the map: a writer that seals a segment cuts its file behind
//! the last frame, and memory beyond a file's end must not be touched. A frame that was found whole stays.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::frame::{FRAME_HEAD, FrameHead, Record, check_frame};
use super::log::Log;
use super::options::JournalOptions;
use super::recovery::{Active, IndexWriter};
use super::sealed::SealedIndex;
use super::segment::{self, SEGMENT_HEAD, Segment, SegmentIndex};
use super::{FileSystem, StoreFile};
use crate::head::Published;
use crate::{Corruption, Event, Head};

/// How long the thread sleeps when it found something, and at most when it did not.
const SLEEP_LEAST: Duration = Duration::from_millis(1);
const SLEEP_MOST: Duration = Duration::from_millis(20);

/// The thread that follows; it ends with this.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
struct Follow<E> {
    log: Arc<Log>,
    head: Arc<Head<E>>,
    system: Arc<dyn FileSystem>,
    sealed: annals_base::ListWriter<Segment>,
    segment: Arc<Segment>,
    file: Box<dyn StoreFile>,
    index: IndexWriter,
    end: usize,
    next_offset: u64,
}

impl Follower {
    pub(crate) fn start<E: Event>(
        log: Arc<Log>,
        head: Arc<Head<E>>,
        sealed: annals_base::ListWriter<Segment>,
        active: Active,
        options: &JournalOptions,
    ) -> io::Result<Self> {
        let Active { file, index, end, next_offset, .. } = active;
        let mut follow = Follow {
            segment: log.active.load_full(),
            log,
            head,
            system: Arc::clone(&options.file_system),
            sealed,
            file,
            index,
            end,
            next_offset,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("annals-follow".into())
            .spawn(move || follow.run(&stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Relaxed: the flag carries nothing else, and unparking wakes whoever sleeps before he looks.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
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
                Ok(true) => sleep = SLEEP_LEAST,
                Ok(false) => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(SLEEP_MOST);
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot follow the log");
                    }
                    thread::park_timeout(SLEEP_MOST);
                }
            }
        }
    }

    /// Takes the next frame, or the next segment, if there is one.
    fn step(&mut self) -> io::Result<bool> {
        // First this: once there is a next segment, this one is complete, and its file may be cut.
        let next = self.log.directory.log(self.next_offset);
        let is_last = self.next_offset == self.segment.first || !self.exists(&next)?;
        let mut bytes = vec![0; FRAME_HEAD];
        if self.file.read_at(&mut bytes, self.end as u64)? == FRAME_HEAD
            && let Ok(head) = FrameHead::read(&bytes, 0, self.segment.seed)
        {
            bytes.resize(head.size(), 0);
            let size = self.file.read_at(&mut bytes, self.end as u64)?;
            let frame = check_frame(
                &bytes[..size],
                self.end,
                self.segment.seed,
                self.segment.first,
                |_| {},
            );
            if frame.is_ok_and(|frame| frame.first == self.next_offset) {
                self.take(head)?;
                return Ok(true);
            }
        }
        if is_last {
            return Ok(false);
        }
        self.roll()?;
        Ok(true)
    }

    fn exists(&self, path: &std::path::Path) -> io::Result<bool> {
        match self.system.open_read_only(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Indexes and publishes a frame that was found whole.
    fn take(&mut self, head: FrameHead) -> io::Result<()> {
        let end = self.end + head.size();
        if end > self.segment.bytes.len() {
            // The file grew since it was mapped.
            let Segment { first, path, seed, .. } = &*self.segment;
            let (first, path, seed) = (*first, path.clone(), *seed);
            let bytes = Bytes::from_owner(self.file.map(self.file.size()?)?);
            let index = SegmentIndex::Live(self.index.reader());
            self.segment = Arc::new(Segment { first, path, seed, bytes, index });
            self.log.active.store(Arc::clone(&self.segment));
        }
        let damaged = |damage: Corruption| io::Error::new(io::ErrorKind::InvalidData, damage);
        let segment = Arc::clone(&self.segment);
        let mut records: Vec<Record<'_>> = Vec::new();
        let checked = segment.check_frame(self.end, |record| records.push(record));
        checked.map_err(|fault| damaged(segment.corruption(fault, self.next_offset)))?;
        for record in records {
            let indexed = self.index.add_record(&segment, record, &self.log.hasher);
            indexed.map_err(damaged)?;
        }
        self.index.positions.publish();
        let first = self.next_offset;
        (self.end, self.next_offset) = (end, head.end());
        // Relaxed: a number to look at.
        self.log.active_bytes.store(end as u64, Ordering::Relaxed);
        let mut events = Vec::new();
        if self.head.subscriber_count() > 0 {
            for offset in first..self.next_offset {
                match self.log.get(offset) {
                    Ok(event) => events.push(event),
                    Err(error) => {
                        tracing::error!(%error, "callback subscribers do not see an event");
                    }
                }
            }
        }
        self.head.publish(self.next_offset, Published::events(events));
        Ok(())
    }

    /// Goes on with the next segment, which is there.
    fn roll(&mut self) -> io::Result<()> {
        let directory = &self.log.directory;
        let path = directory.log(self.next_offset);
        let file = self.system.open_read_only(&path)?;
        let mapped = Bytes::from_owner(file.map(file.size()?)?);
        let index = IndexWriter::new();
        let next = Arc::new(Segment {
            first: self.next_offset,
            path,
            seed: segment::seed(&directory.store_id, self.next_offset),
            bytes: mapped,
            index: SegmentIndex::Live(index.reader()),
        });
        let checked = segment::check_head(&next.bytes, &directory.store_id, next.first);
        checked.map_err(|fault| {
            io::Error::new(io::ErrorKind::InvalidData, next.corruption(fault, next.first))
        })?;
        let live = SegmentIndex::Live(self.index.reader());
        let Segment { first, path, seed, bytes, .. } = &*self.segment;
        let index_of_sealed = self.sealed_index(*first).map_or(live, SegmentIndex::sealed);
        let bytes = bytes.slice(..self.end);
        let sealed = Segment {
            first: *first,
            path: path.clone(),
            seed: *seed,
            bytes,
            index: index_of_sealed,
        };
        self.sealed.push(sealed);
        self.log.active.store(Arc::clone(&next));
        (self.segment, self.file, self.index, self.end) = (next, file, index, SEGMENT_HEAD);
        Ok(())
    }

    /// The index file of a segment that was just found complete; the writer may still be at it.
    fn sealed_index(&self, first: u64) -> Option<SealedIndex> {
        let directory = &self.log.directory;
        let file = self.system.open_read_only(&directory.index(first)).ok()?;
        let mapped = file.map(file.size().ok()?).ok()?;
        SealedIndex::open(
            Bytes::from_owner(mapped),
            &directory.store_id,
            first,
            self.next_offset - first,
        )
    }
}
