//! Reading beside a writing process: a thread looks for whole frames at the end, indexes them, and moves the head.
//!
//! ```text
//!   segment   │ frame, frame, … durable │ frame, … not known to be durable │ zeroes, or a frame that is being written
//!   lent from │ the mapping             │ copies: the tail                 │
//! ```
//! It reads what is new through the file, never through the mapping: a writer that seals a segment cuts its file behind
//! the last frame, and memory beyond a file's end must not be touched. The writer may also take back a commit whose sync
//! failed. So what no later frame calls durable is lent from a copy, and the mapping is used only for what is durable
//! and was seen there.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annals_base::{ListWriter, segmented_list};
use bytes::Bytes;

use super::directory::STORE;
use super::fs::{StoreDirectory, StoreFile};
use super::log::Log;
use super::map::map_all;
use super::pruning::pruning::FilterWriter;
use super::recovery::{Active, End, classify_tail};
use super::segment::file::{Piece, SEGMENT_HEAD, SegmentFile};
use super::segment::file_names::{index_name, log_name};
use super::segment::frame::{FRAME_HEAD, FrameHead, check_frame};
use super::segment::index_file::SealedIndex;
use super::segment::memory_index::IndexWriter;
use super::segment::segment::{Segment, SegmentIndex, is_index_of};
use crate::backend::head::callbacks::Published;
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::process::Opener;
use crate::error::{Corruption, FollowError, OpenError};
use crate::event::event::Event;
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_offset;

/// How long the thread sleeps when it found something, and at most when it did not.
const SLEEP_LEAST: Duration = Duration::from_millis(1);
const SLEEP_MOST: Duration = Duration::from_millis(20);

/// How often, at most, a segment's index file is waited for.
const INDEX_ROUNDS: u32 = 50;

/// After so many rounds without anything new, the thread looks whether the log is still the one it read; then after twice
/// as many, and so on, at least once in so many.
const LOOK_FIRST: u32 = 10;
const LOOK_MOST: u32 = 1_500;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// The thread that follows; it ends with this.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    error: Arc<OnceLock<FollowError>>,
    opener: Opener,
}

/// What the thread has.
struct Follow<E> {
    log: Arc<Log>,
    head: HeadPublisher<E>,
    sealed: ListWriter<Segment>,
    filters: FilterWriter,
    segment: Arc<Segment>,
    file: Box<dyn StoreFile>,
    index: IndexWriter,
    end: usize,
    next_offset: u64,
    /// The offset below which the log says that everything is durable.
    durable: u64,
    /// Frames that the mapping was not seen to have, or that are not known to be durable.
    pieces: Vec<Piece>,
    /// How many of these readers have, as the segment's tail.
    listed: usize,
    tail: ListWriter<Piece>,
    /// The head of the last frame, or of the segment, and where it stands: it must stay there.
    anchor: (usize, Vec<u8>),
    buffer: Vec<u8>,
    /// The head that was published last.
    published: u64,
    /// How often a next segment was found while this one had no index file yet.
    waited: u32,
    /// Rounds without anything new, and after how many the thread looks closer.
    idle: u32,
    look_after: u32,
}

/// Why a step was not done.
enum Stop {
    /// The log is not followed any more.
    Ended(FollowError),
    /// The system failed; it may not the next time.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Corruption> for Stop {
    fn from(damage: Corruption) -> Self {
        Self::Ended(damage.into())
    }
}

impl From<OpenError> for Stop {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt(damage) => damage.into(),
            OpenError::Io { source, .. } => Self::Failed(source),
            other => Self::Failed(io::Error::other(other)),
        }
    }
}

impl Follower {
    pub(crate) fn start<E: Event>(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        (sealed, filters): (ListWriter<Segment>, FilterWriter),
        active: Active,
        closed: u64,
        damage: Option<Corruption>,
    ) -> Result<Self, OpenError> {
        let path = log.directory.path.clone();
        let mut follow = Follow::new(log, head, (sealed, filters), active, closed);
        let caught_up = match damage {
            // Frames of the last good segment; what is behind the damage is not looked at.
            Some(damage) => follow.catch_up(Follow::take_frames).and(Err(damage.into())),
            None => follow.catch_up(Follow::step).and_then(|()| follow.look_at_end(closed)),
        };
        let (stop, opener) = (Arc::new(AtomicBool::new(false)), Opener::this_process());
        let error = Arc::new(OnceLock::new());
        match caught_up {
            Ok(()) => {}
            Err(Stop::Failed(source)) => return Err(OpenError::io("follow", path)(source)),
            Err(Stop::Ended(ended)) => {
                tracing::warn!(error = %ended, "opened what is good before it");
                follow.head.close();
                let error = Arc::new(OnceLock::from(ended));
                return Ok(Self { stop, thread: None, error, opener });
            }
        }
        let (stopped, ended) = (Arc::clone(&stop), Arc::clone(&error));
        let thread = thread::Builder::new().name("annals-follow".into());
        let thread = thread.spawn(move || follow.run(&stopped, &ended));
        let thread = Some(thread.map_err(OpenError::io("follow", path))?);
        Ok(Self { stop, thread, error, opener })
    }

    /// Why the log is not followed any more, if it is not.
    pub(crate) fn error(&self) -> Option<&FollowError> {
        self.error.get()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Relaxed: the flag carries nothing else, and unparking wakes the thread before it looks.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The last handle may be dropped by a callback, on that thread itself. A forked process has no such thread.
            let waits = thread.thread().id() != thread::current().id() && self.opener.is_here();
            if waits && thread.join().is_err() {
                tracing::error!("the thread that follows the log panicked");
            }
        }
    }
}

impl<E: Event> Follow<E> {
    fn new(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        (sealed, filters): (ListWriter<Segment>, FilterWriter),
        active: Active,
        closed: u64,
    ) -> Self {
        let Active { file, index, end, next_offset, .. } = active;
        let segment = log.active.load_full();
        Self {
            anchor: (0, segment.bytes.slice(..SEGMENT_HEAD).to_vec()),
            segment,
            log,
            head,
            sealed,
            filters,
            file,
            index,
            end,
            next_offset,
            durable: closed,
            pieces: Vec::new(),
            listed: 0,
            tail: segmented_list().0,
            buffer: Vec::new(),
            published: next_offset,
            waited: 0,
            idle: 0,
            look_after: LOOK_FIRST,
        }
    }

    fn catch_up(
        &mut self,
        mut step: impl FnMut(&mut Self) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        while step(self)? {}
        Ok(())
    }

    fn run(&mut self, stop: &AtomicBool, ended: &OnceLock<FollowError>) {
        let mut sleep = SLEEP_LEAST;
        let mut told = false;
        // Relaxed: see `Follower::drop`.
        while !stop.load(Ordering::Relaxed) {
            match self.step().and_then(|any| self.look_closer(any)) {
                Ok(true) => (sleep, told) = (SLEEP_LEAST, false),
                Ok(false) => {
                    thread::park_timeout(sleep);
                    sleep = (sleep * 2).min(SLEEP_MOST);
                }
                Err(Stop::Failed(error)) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot follow the log; trying on");
                    }
                    thread::park_timeout(SLEEP_MOST);
                }
                Err(Stop::Ended(error)) => {
                    tracing::error!(%error, "the log is not followed any more");
                    // First: a cursor that ends may ask for it at once.
                    ended.get_or_init(|| error);
                    self.head.close();
                    return;
                }
            }
        }
    }

    /// Takes the next frames, or the next segment, if there are any.
    fn step(&mut self) -> Result<bool, Stop> {
        if self.published < self.next_offset {
            // It failed when it was tried first.
            self.publish()?;
        }
        if self.take_frames()? {
            return Ok(true);
        }
        if self.next_offset == self.segment.first {
            return self.take_other_file();
        }
        let directory = &*self.log.directory.handle;
        if !exists(directory, &log_name(self.next_offset))? {
            return Ok(false);
        }
        // The writer seals a segment just after it began the next. Its index is worth waiting for a little: else this
        // process has to keep its own in memory.
        if self.waited < INDEX_ROUNDS && !exists(directory, &index_name(self.segment.first))? {
            self.waited += 1;
            return Ok(false);
        }
        // Once there is a next segment this one is complete: what it has, and was not there just now, is there now.
        if !self.take_frames()? {
            self.roll()?;
        }
        Ok(true)
    }

    /// After some rounds without anything new, looks whether the log is still the one that was read, and whether it is
    /// damaged here. Returns `any`, whether there was anything new.
    fn look_closer(&mut self, any: bool) -> Result<bool, Stop> {
        if any {
            (self.idle, self.look_after) = (0, LOOK_FIRST);
            return Ok(true);
        }
        self.idle += 1;
        if self.idle < self.look_after {
            return Ok(false);
        }
        (self.idle, self.look_after) = (0, (self.look_after * 2).min(LOOK_MOST));
        self.check_anchor()?;
        // What a damaged file says of the last close is told when the log is opened.
        let closed = self.log.directory.closed_head().unwrap_or(0);
        self.look_at_end(closed)?;
        Ok(false)
    }

    /// Ends with an error if the log does not just end here, but is damaged.
    fn look_at_end(&mut self, closed: u64) -> Result<(), Stop> {
        // (A segment without whole frames has that name itself.)
        if self.next_offset > self.segment.first
            && exists(&*self.log.directory.handle, &log_name(self.next_offset))?
        {
            // The segment is complete, and the next one is gone on with once its index is there.
            return Ok(());
        }
        let judged = classify_tail(&*self.file, &self.segment, self.end, self.next_offset, closed)?;
        if let End::Damaged(damage) = judged {
            return Err(damage.into());
        }
        let (starts, _) = self.log.directory.segments()?;
        let later = starts.into_iter().find(|&start| start > self.segment.first);
        let Some(later) = later.filter(|&later| later != self.next_offset) else { return Ok(()) };
        // Once there is a later segment, all that is before it is there.
        if self.take_frames()? {
            return Ok(());
        }
        Err(Corruption {
            file: self.segment.path.clone(),
            position: self.end as u64,
            offset: self.next_offset,
            expected: format!("events up to offset {later}, where the next segment begins"),
            found: format!("no whole frame of offset {}", self.next_offset),
        }
        .into())
    }

    /// Ends with an error if the frame that was read last, or the head of a segment without any, is not there any more.
    fn check_anchor(&mut self) -> Result<(), Stop> {
        let (position, bytes) = &self.anchor;
        if !file_shows(&*self.file, *position, bytes)? {
            return Err(self.changed());
        }
        self.take_other_file().map(drop)
    }

    /// Goes on with the file that has the segment's name now, if that is another than the open one: the segment was
    /// withdrawn and made again while it had no events, or the file system has put a copy in its place (an overlay does
    /// when a file of a lower layer is first written to). Any other change ends the following.
    fn take_other_file(&mut self) -> Result<bool, Stop> {
        let directory = &self.log.directory;
        let name = log_name(self.segment.first);
        let named = directory.handle.file_id(&name)?;
        if named.is_none() && self.file.id()?.is_some() {
            let withdrawn =
                self.next_offset == self.segment.first && exists(&*directory.handle, STORE)?;
            return if !withdrawn {
                Err(self.replaced("its files were removed"))
            } else if self.goes_on_before()? {
                Err(self.replaced("its last segment was withdrawn, and it goes on in the one before; open it again"))
            } else {
                Ok(false)
            };
        }
        if named == self.file.id()? {
            return Ok(false);
        }
        self.map_again()?;
        self.show_segment();
        self.take_frames()
    }

    /// Returns whether the segment before this one, which was complete, has another frame now: a writer that was opened
    /// with larger segments appends to it after this one was withdrawn.
    fn goes_on_before(&self) -> io::Result<bool> {
        let sealed = self.sealed.list();
        let last = sealed.len().checked_sub(1).and_then(|last| sealed.get(last));
        let Some(before) = last else { return Ok(false) };
        let last = before.index(&[]).ok().zip(self.next_offset.checked_sub(1));
        let Some((index, last)) = last else { return Ok(false) };
        let position = index.position(local_offset(last, before.first));
        let end = position + (u32_at(&before.bytes, position + 4) as usize).next_multiple_of(8);
        let mut head = [0; FRAME_HEAD];
        let file = self.log.directory.handle.open_read_only(&log_name(before.first))?;
        file.read_at(&mut head, end as u64)?;
        Ok(FrameHead::read(&head, 0, before.seed).is_ok_and(|head| head.first == self.next_offset))
    }

    /// Opens and maps the file that has the segment's name now, which must have all that was read.
    fn map_again(&mut self) -> Result<(), Stop> {
        let directory = &self.log.directory;
        let file = directory.handle.open_read_only(&log_name(self.segment.first))?;
        let bytes = map_all(&*file)?;
        let (position, anchor) = &self.anchor;
        let same = if self.next_offset == self.segment.first {
            // Another try to make it may have given it another time.
            let head = SegmentFile { bytes: bytes.clone(), ..self.segment.file.clone() };
            head.check_head(&directory.store_id).is_ok()
        } else if file.id()? == self.file.id()? {
            true
        } else {
            let seen = self.pieces.first().map_or(self.end, |piece| piece.start);
            bytes.get(..seen) == self.segment.bytes.get(..seen)
                && file_shows(&*file, *position, anchor)?
        };
        if !same {
            return Err(self.replaced("other files are in the place of its own"));
        }
        if self.next_offset == self.segment.first {
            self.anchor = (0, bytes.slice(..SEGMENT_HEAD).to_vec());
        }
        let file_now = SegmentFile { bytes, ..self.segment.file.clone() };
        let index = SegmentIndex::Mem(self.index.reader());
        self.segment = Arc::new(Segment { file: file_now, index });
        self.file = file;
        Ok(())
    }

    /// That what was read is not there any more.
    fn changed(&self) -> Stop {
        let path = self.log.directory.path.clone();
        match self.pieces.first() {
            Some(piece) => {
                Stop::Ended(FollowError::TakenBack { path, offset: piece.offsets.start })
            }
            None => self.replaced("its files were changed behind its back"),
        }
    }

    fn replaced(&self, found: &str) -> Stop {
        let path = self.log.directory.path.clone();
        Stop::Ended(FollowError::Replaced { path, found: found.to_owned() })
    }

    /// Reads what stands at the end into the buffer; returns its size, 0 if no frame begins there.
    fn read_ahead(&mut self) -> io::Result<usize> {
        self.buffer.resize(BUFFER, 0);
        let position = self.end as u64;
        let size = self.file.read_at(&mut self.buffer[..FRAME_HEAD], position)?;
        let Ok(head) = FrameHead::read(&self.buffer[..size], 0, self.segment.seed) else {
            return Ok(0);
        };
        // Only for large ones: to be asked for its size makes the writer's next sync slower on some systems.
        if head.size() > BUFFER && (self.end + head.size()) as u64 > self.file.size()? {
            return Ok(0);
        }
        self.buffer.resize(head.size().max(BUFFER), 0);
        self.file.read_at(&mut self.buffer, position)
    }

    /// Indexes and publishes the whole frames that are there, as far as they fit the buffer; false if there are none.
    fn take_frames(&mut self) -> Result<bool, Stop> {
        let size = self.read_ahead()?;
        let mut at = 0;
        let mut frames = Vec::new();
        loop {
            let mut records = Vec::new();
            let (frame, seed) = (&self.buffer[at..size], self.segment.seed);
            let (position, segment_first) = (self.end, self.segment.first);
            match check_frame(frame, position, seed, segment_first, |record| records.push(record)) {
                Ok(head) if head.first == self.next_offset => {
                    for record in records {
                        self.index.add_record(&self.segment, record, &self.log.hasher)?;
                    }
                    self.index.add_frame(frame);
                    self.anchor = (position, frame[..FRAME_HEAD].to_vec());
                    self.durable = self.durable.max(head.durable);
                    frames.push((at, head.first..head.end()));
                    at += head.size();
                    (self.end, self.next_offset) = (self.end + head.size(), head.end());
                }
                _ => break,
            }
        }
        if at > 0 {
            self.keep(at, &frames);
            self.publish()?;
        }
        Ok(at > 0)
    }

    /// Keeps the `size` bytes of frames that were just taken: those that are durable, and the others, as a piece each.
    fn keep(&mut self, size: usize, frames: &[(usize, Range<u64>)]) {
        let durable = self.durable;
        let split = frames.iter().position(|(_, offsets)| offsets.end > durable);
        let (durable, others) = frames.split_at(split.unwrap_or(frames.len()));
        let middle = others.first().map_or(size, |(start, _)| *start);
        let start = self.end - size;
        for (frames, bytes) in [(durable, 0..middle), (others, middle..size)] {
            if let (Some((_, first)), Some((_, last))) = (frames.first(), frames.last()) {
                self.pieces.push(Piece {
                    start: start + bytes.start,
                    offsets: first.start..last.end,
                    bytes: Bytes::copy_from_slice(&self.buffer[bytes]),
                });
            }
        }
    }

    /// Lets go of the pieces that are durable, once the mapping shows them, and gives readers the others.
    fn settle(&mut self) -> Result<(), Stop> {
        let durable =
            self.pieces.iter().take_while(|piece| piece.offsets.end <= self.durable).count();
        for number in 0..durable {
            if !shows(&self.segment.bytes, &self.pieces[number]) {
                // The file grew since it was mapped, or the name leads to another one.
                self.map_again()?;
            }
            if !shows(&self.segment.bytes, &self.pieces[number]) {
                return Err(self.changed());
            }
        }
        if durable > 0 {
            self.pieces.drain(..durable);
            self.listed = 0;
            self.tail = segmented_list().0;
        }
        for piece in &self.pieces[self.listed..] {
            self.tail.push(piece.clone());
        }
        let begins_anew = durable > 0 || self.listed == 0;
        self.listed = self.pieces.len();
        if begins_anew {
            self.show_segment();
        }
        Ok(())
    }

    /// Shows readers the segment with its mapping and tail as they are now.
    fn show_segment(&mut self) {
        let tail = Some(self.tail.list().clone());
        let file = SegmentFile { tail, ..self.segment.file.clone() };
        let index = SegmentIndex::Mem(self.index.reader());
        self.segment = Arc::new(Segment { file, index });
        self.log.active.store(Arc::clone(&self.segment));
    }

    /// Shows the events that are indexed and were not shown yet.
    fn publish(&mut self) -> Result<(), Stop> {
        self.settle()?;
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

    /// Goes on with the next segment, which is there: so all of this one is durable.
    fn roll(&mut self) -> Result<(), Stop> {
        self.durable = self.next_offset;
        self.settle()?;
        let directory = &self.log.directory;
        let name = log_name(self.next_offset);
        let file = directory.handle.open_read_only(&name)?;
        let (path, mapped) = (directory.at(&name), map_all(&*file)?);
        let segment = SegmentFile::new(path, &directory.store_id, self.next_offset, mapped);
        segment.check_head(&directory.store_id)?;
        let anchor = (0, segment.bytes.slice(..SEGMENT_HEAD).to_vec());
        let index = IndexWriter::new();
        let next = Arc::new(Segment { file: segment, index: SegmentIndex::Mem(index.reader()) });
        let live = SegmentIndex::Mem(self.index.reader());
        let bytes = self.segment.bytes.slice(..self.end);
        let sealed = SegmentFile { bytes, tail: None, ..self.segment.file.clone() };
        let sealed_index = self.sealed_index(&sealed).map_or(live, SegmentIndex::sealed);
        // Before this segment is on the list: the writer makes filters after it sealed one, perhaps just now, and
        // those of the segments before it are there.
        self.filters.extend(directory, self.sealed.list(), sealed.first, false);
        self.sealed.push(Segment { file: sealed, index: sealed_index });
        // Relaxed: a number to look at.
        self.log.active_bytes.store(SEGMENT_HEAD as u64, Ordering::Relaxed);
        self.log.active.store(Arc::clone(&next));
        (self.segment, self.file, self.index, self.end) = (next, file, index, SEGMENT_HEAD);
        (self.anchor, self.waited) = (anchor, 0);
        Ok(())
    }

    /// The index file of a segment that was just found complete; the writer may still be at it.
    fn sealed_index(&self, segment: &SegmentFile) -> Option<SealedIndex> {
        let (directory, first) = (&self.log.directory, segment.first);
        let file = directory.handle.open_read_only(&index_name(first)).ok()?;
        let mapped = map_all(&*file).ok()?;
        let count = self.next_offset - first;
        let index = SealedIndex::open(mapped, &directory.store_id, first, count)?;
        // The checksum of the positions first: a wrong one may be anywhere.
        let is_own = index.is_whole(&[])
            && is_index_of(&index, segment, self.next_offset, self.index.frames_crc);
        is_own.then_some(index)
    }
}

fn exists(directory: &dyn StoreDirectory, name: &str) -> io::Result<bool> {
    match directory.open_read_only(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether these mapped bytes have a piece.
fn shows(mapped: &Bytes, piece: &Piece) -> bool {
    mapped.get(piece.start..piece.start + piece.bytes.len()) == Some(&*piece.bytes)
}

/// Whether a file has these bytes at a position.
fn file_shows(file: &dyn StoreFile, position: usize, bytes: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    let size = file.read_at(&mut found, position as u64)?;
    Ok(found[..size] == *bytes)
}
