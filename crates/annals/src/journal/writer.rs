//! The writing side: frames are built in memory, written behind each other, synced, and only then seen.
//!
//! ```text
//!   active segment   │ head │ frame │ frame │ … │▒▒ being written ▒▒│ zeroes, room made ready │ a hole … │
//!                                               ▲ end               ▲                         ▲ ready
//! ```
//! Room is made ready ahead of the frames, so that a full disk shows before anything is written. For small commits
//! it is filled with zeroes: a sync then has only data to write, no allocation.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::directory::Directory;
use super::fs::tools::erase;
use super::fs::{FileId, StoreFile};
use super::lock::Lock;
use super::log::Log;
use super::map::map;
use super::options::Durability;
use super::options::JournalOptions;
use super::pruning::pruning::FilterWriter;
use super::recovery::Active;
use super::segment::file::{self, SEGMENT_HEAD, SegmentFile, SegmentHead};
use super::segment::file_names::log_name;
use super::segment::frame::{FRAME_HEAD, FrameHead};
use super::segment::index_file::{most_bytes, seal};
use super::segment::memory_index::IndexWriter;
use super::segment::segment::{Segment, SegmentIndex};
use crate::backend::commit::target::CommitTarget;
use crate::backend::encode::{Encoded, RECORD_HEAD};
use crate::backend::head::callbacks::Published;
use crate::error::ReadError;
use crate::event::event::{Event, Recorded};
use crate::event::labels::Labels;
use crate::event::name::Name;
use crate::query::Condition;
use crate::util::crc32c::crc32c;
use crate::util::local_offset::{local_offset, local_size};

/// Commits of up to so many bytes are small: their room is filled with zeroes, and they are written at once.
const SMALL_COMMIT: usize = 64 << 10;
/// Larger ones are written in pieces of up to so many bytes (whole pages), for the disk to begin with the first.
const PIECE: usize = 256 << 10;
/// A buffer of up to so many bytes is kept for the next commit.
const BUFFER_KEPT: usize = 1 << 20;
/// Bytes of room made ready at once, for small commits and for large ones.
const READY_ZEROED: usize = 256 << 10;
const READY_ALLOCATED: usize = 8 << 20;

/// The writer's side of a Journal.
pub(crate) struct JournalTarget<E> {
    log: Arc<Log>,
    sealed: annals_base::ListWriter<Segment>,
    filters: FilterWriter,
    options: JournalOptions,
    segment: Arc<Segment>,
    file: Box<dyn StoreFile>,
    index: IndexWriter,
    /// Where the next commit goes, and up to where there is room made ready.
    end: usize,
    ready: usize,
    next_offset: u64,
    /// The offset below which all is durable.
    durable: u64,
    last_time_ms: u64,
    last_commit: usize,
    staged: Staged<E>,
    /// Held for as long as this process may write.
    lock: Option<Lock>,
    /// The name of the active segment's file, and which file that is.
    name: String,
    id: Option<FileId>,
    /// The time of the last commit after which that was looked at.
    seen_ms: u64,
}

/// The file of the active segment, and which file it is.
type ActiveFile = (Box<dyn StoreFile>, Option<FileId>);

/// The frames of the commit that is being built.
struct Staged<E> {
    bytes: Vec<u8>,
    /// Batches that are not in the index yet, each with its first event's place in the segment: they are indexed while
    /// the disk writes, unless one behind them in the same commit has to look.
    unindexed: Vec<(u32, Labels)>,
    /// Where the last frame starts in `bytes`, and its head as far as it is known.
    frame: Option<(usize, FrameHead)>,
    /// The heads of its records, one behind the other, for their checksum.
    record_heads: Vec<u8>,
    events: Vec<Recorded<E>>,
}

impl<E: Event> JournalTarget<E> {
    pub(crate) fn new(
        log: Arc<Log>,
        sealed: annals_base::ListWriter<Segment>,
        filters: FilterWriter,
        active: Active,
        options: JournalOptions,
        lock: Lock,
    ) -> io::Result<Self> {
        let Active { file, index, end, next_offset, last_time_ms, .. } = active;
        let segment = log.active.load_full();
        Ok(Self {
            name: log_name(segment.first),
            id: file.id()?,
            segment,
            log,
            sealed,
            filters,
            options,
            file,
            index,
            end,
            ready: end,
            next_offset,
            durable: next_offset,
            last_time_ms,
            last_commit: 0,
            staged: Staged {
                bytes: Vec::new(),
                unindexed: Vec::new(),
                frame: None,
                record_heads: Vec::new(),
                events: Vec::new(),
            },
            lock: Some(lock),
            seen_ms: 0,
        })
    }

    fn directory(&self) -> &Directory {
        &self.log.directory
    }

    /// Fails if what is written here is not in the store any more: its files were removed, or others are in their place.
    fn check_place(&self) -> io::Result<()> {
        if self.directory().handle.file_id(&self.name)? == self.id {
            return Ok(());
        }
        let text = format!(
            "{} was removed, or another file is in its place, while the store was open",
            self.segment.path.display()
        );
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }

    /// Makes sure that `size` more bytes can be written to the segment, and if there is room for many, at once for the
    /// next commits too.
    fn make_ready(&mut self, size: usize) -> io::Result<()> {
        let needed = self.end + size;
        if needed <= self.ready {
            return Ok(());
        }
        let small = size <= SMALL_COMMIT && self.last_commit <= SMALL_COMMIT;
        let step = if small { READY_ZEROED } else { READY_ALLOCATED };
        let segment = usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX);
        let wanted = needed.max((self.ready + step).min(segment));
        match self.make_room(wanted, small) {
            Err(error) if wanted > needed && is_full(&error) => self.make_room(needed, small),
            made => made,
        }
    }

    /// Makes room up to `end`, filled with zeroes if it is for small commits.
    fn make_room(&mut self, end: usize, small: bool) -> io::Result<()> {
        let (start, size) = (self.ready as u64, end - self.ready);
        self.file.allocate(start, size as u64)?;
        if small {
            self.file.write_at(&vec![0; size], start)?;
        }
        self.ready = end;
        Ok(())
    }

    /// Whether the active segment has all that it is to have: the size of one, or an index that could become too large
    /// with the next commit. (Asked when nothing is staged, so the index has all events.)
    fn is_complete(&self) -> bool {
        let events = self.next_offset - self.segment.first;
        let index_bytes = most_bytes(events, &self.index.names.totals());
        self.end as u64 >= self.options.segment_bytes
            || events > 0 && index_bytes >= self.options.index_limits.sealed_at
    }

    /// Seals the active segment and begins the next. If the next cannot be made, the active one stays.
    fn roll(&mut self) -> io::Result<()> {
        // Whatever its kind: a sync that fails for lack of room is a failed sync, not a commit that waits for room.
        self.file.sync().and_then(|()| self.check_place()).map_err(io::Error::other)?;
        self.durable = self.next_offset;
        let index = IndexWriter::new();
        let (file, next) = match self.begin_segment(&index) {
            Ok(begun) => begun,
            Err(error) => return Err(self.withdraw_segment().err().unwrap_or(error)),
        };
        self.seal_active();
        // Relaxed: a number to look at.
        self.log.active_bytes.store(SEGMENT_HEAD as u64, Ordering::Relaxed);
        self.log.active.store(Arc::clone(&next));
        self.name = log_name(next.first);
        self.segment = next;
        (self.file, self.id) = file;
        self.index = index;
        (self.end, self.ready) = (SEGMENT_HEAD, SEGMENT_HEAD);
        Ok(())
    }

    fn begin_segment(&self, index: &IndexWriter) -> io::Result<(ActiveFile, Arc<Segment>)> {
        let first = self.next_offset;
        let (name, directory) = (log_name(first), &self.log.directory);
        let before =
            SegmentHead { time_before_ms: self.last_time_ms, crc_before: self.index.frames_crc };
        let file = file::create(&*directory.handle, &directory.store_id, first, before)?;
        let size = SEGMENT_HEAD as u64 + self.options.capacity();
        file.set_size(size)?;
        let bytes = map(&*file, size)?;
        let id = file.id()?;
        let segment = SegmentFile::new(directory.at(&name), &directory.store_id, first, bytes);
        let index = SegmentIndex::Mem(index.reader());
        Ok(((file, id), Arc::new(Segment { file: segment, index })))
    }

    /// Removes what there is of a next segment that could not be begun: as long as it is there, the active one counts
    /// as complete.
    fn withdraw_segment(&self) -> io::Result<()> {
        let handle = &*self.directory().handle;
        match handle.remove(&log_name(self.next_offset)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| handle.sync()),
        }
    }

    /// Puts the active segment on the list of sealed ones. Its index file can be made again at any time, so failing
    /// to write it is no reason to stop.
    fn seal_active(&mut self) {
        let live = self.index.reader();
        let (first, count) = (self.segment.first, self.next_offset - self.segment.first);
        let most = self.options.index_limits.most;
        let directory = self.directory();
        let sealed = seal(&*directory.handle, &directory.store_id, first, count, &live, most);
        let index = match sealed {
            Ok(index) => SegmentIndex::sealed(index),
            Err(error) => {
                let segment = self.segment.path.display();
                tracing::warn!(%error, %segment, "its index was not written; it stays in memory");
                SegmentIndex::Mem(live)
            }
        };
        if let Err(error) = self.file.set_size(self.end as u64) {
            tracing::warn!(%error, segment = %self.segment.path.display(), "the room that it does not need was not given back");
        }
        let file = SegmentFile {
            bytes: self.segment.bytes.slice(..self.end),
            ..self.segment.file.clone()
        };
        self.sealed.push(Segment { file, index });
        let (directory, sealed) = (&self.log.directory, self.sealed.list());
        self.filters.extend(directory, sealed, self.next_offset, true);
    }

    /// Puts a batch's records behind what is staged: into a frame of their own, or the last one if it is of the same
    /// time. Answers from where in `bytes` their places are counted.
    fn put_in_frame(&mut self, records: Vec<u8>, time_ms: u64) -> usize {
        if self.staged.frame.as_ref().is_some_and(|(_, head)| head.time_ms == time_ms) {
            let base = self.staged.bytes.len() - FRAME_HEAD;
            self.staged.bytes.extend_from_slice(&records[FRAME_HEAD..]);
            return base;
        }
        self.finish_frame();
        let start = self.staged.bytes.len();
        if start == 0 && records.len() > SMALL_COMMIT {
            self.staged.bytes = records;
        } else {
            self.staged.bytes.extend_from_slice(&records);
        }
        let (first, durable) = (self.next_offset, self.durable);
        let head = FrameHead { records_crc: 0, records_size: 0, count: 0, first, time_ms, durable };
        self.staged.frame = Some((start, head));
        start
    }

    fn finish_frame(&mut self) {
        if let Some((start, mut head)) = self.staged.frame.take() {
            let records = self.staged.bytes.len() - start - FRAME_HEAD;
            head.records_size = local_size(records);
            head.records_crc = crc32c(&self.staged.record_heads);
            self.staged.record_heads.clear();
            let frame = &mut self.staged.bytes[start..];
            head.write(frame, self.segment.seed);
            self.index.add_frame(frame);
        }
    }

    /// Puts what is staged into the index.
    fn index_staged(&mut self) {
        for (first, labels) in self.staged.unindexed.drain(..) {
            for (index, place) in (0..labels.len()).zip(first..) {
                self.index.names.add_event(place, &labels.event(index));
            }
        }
    }

    /// Writes, indexes and, unless only buffered, syncs what is staged. If that fails, what was written is taken back
    /// as far as that is possible.
    fn write_staged(&mut self) -> io::Result<()> {
        let sync = self.options.durability == Durability::Sync;
        let written = self.write_pieces(sync).and_then(|()| {
            self.index_staged();
            if sync {
                self.file.sync()?;
            }
            // Without a sync the look would cost as much as the write: then one a millisecond is enough, as if the files
            // had been removed that much later.
            if !sync && self.last_time_ms == self.seen_ms {
                return Ok(());
            }
            self.seen_ms = self.last_time_ms;
            self.check_place()
        });
        if written.is_err()
            && let Err(error) = erase(&*self.file, self.end, self.end + self.staged.bytes.len())
        {
            tracing::error!(%error, "a commit that failed could not be taken back: it may be there when the store is reopened");
        }
        written
    }

    /// Writes what is staged; a large commit that will be synced in pieces, each of which the disk may begin with.
    fn write_pieces(&self, sync: bool) -> io::Result<()> {
        let bytes = &self.staged.bytes;
        if !sync || bytes.len() <= SMALL_COMMIT {
            return self.file.write_at(bytes, self.end as u64);
        }
        let (mut rest, mut position) = (&bytes[..], self.end);
        while !rest.is_empty() {
            // Up to where a page ends, so that no page is written for two pieces.
            let piece = rest.split_off(..(PIECE - position % PIECE).min(rest.len()));
            let piece = piece.unwrap_or_default();
            self.file.write_at(piece, position as u64)?;
            self.file.start_sync(position as u64, piece.len() as u64)?;
            position += piece.len();
        }
        Ok(())
    }
}

/// Whether it is for lack of room.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

impl<E: Event> CommitTarget<E> for JournalTarget<E> {
    fn next_offset(&self) -> u64 {
        self.next_offset
    }

    fn last_time_ms(&self) -> u64 {
        self.last_time_ms
    }

    fn reserve(&mut self, size: usize, _labels: usize) -> io::Result<()> {
        if self.staged.bytes.is_empty() && self.is_complete() {
            self.roll()?;
        }
        self.make_ready(self.staged.bytes.len() + size)
    }

    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        self.index_staged();
        self.log.conflict(condition, self.next_offset)
    }

    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        self.index_staged();
        self.log.find_id(id)
    }

    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError> {
        let committed = self.next_offset - self.staged.events.len() as u64;
        let Some(staged) = offset.checked_sub(committed) else {
            return Ok(self.log.get_raw(offset)?.0.event_type().to_owned().into());
        };
        let staged = usize::try_from(staged).ok().and_then(|staged| self.staged.events.get(staged));
        Ok(staged.expect("an id is found only where an event is").event.event_type().into())
    }

    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        let Encoded { labels, records, starts } = batch;
        let base = self.put_in_frame(records, time_ms);
        let Some((frame, head)) = &mut self.staged.frame else { return };
        let place_of = |offset| local_offset(offset, self.segment.first);
        self.staged.unindexed.push((place_of(self.next_offset), labels));
        for (event, start) in events.into_iter().zip(starts) {
            let at = base + start as usize;
            let place = place_of(self.next_offset);
            let distance = local_size(at - *frame);
            let record = &mut self.staged.bytes[at..at + RECORD_HEAD];
            record[8..12].copy_from_slice(&place.to_le_bytes());
            record[12..16].copy_from_slice(&distance.to_le_bytes());
            self.staged.record_heads.extend_from_slice(record);
            head.count += 1;
            self.index.positions.stage(local_size(self.end + at));
            self.staged.events.push(Recorded { offset: self.next_offset, time_ms, event });
            self.next_offset += 1;
        }
        self.last_time_ms = time_ms;
    }

    fn commit(&mut self) -> io::Result<Published<E>> {
        self.finish_frame();
        self.write_staged()?;
        if self.options.durability == Durability::Sync {
            self.durable = self.next_offset;
        }
        self.end += self.staged.bytes.len();
        self.last_commit = self.staged.bytes.len();
        self.staged.bytes.clear();
        self.staged.bytes.shrink_to(BUFFER_KEPT);
        self.index.positions.publish();
        // Relaxed: a number to look at.
        self.log.active_bytes.store(self.end as u64, Ordering::Relaxed);
        Ok(Published::events(std::mem::take(&mut self.staged.events)))
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.durable < self.next_offset {
            self.file.sync()?;
            self.durable = self.next_offset;
        }
        self.check_place()
    }

    /// The file is as long as what is in it, and the head noted.
    fn close(&mut self) -> io::Result<()> {
        // Only to give back room that is not needed; some systems cut no file that is mapped.
        if let Err(error) = self.file.set_size(self.end as u64).and_then(|()| self.file.sync()) {
            let segment = self.segment.path.display();
            tracing::warn!(%error, %segment, "the room that it does not need was not given back");
        }
        self.directory().set_closed_head(self.next_offset)
    }

    /// Lets others write to the store.
    fn release(&mut self) {
        self.lock = None;
    }
}
