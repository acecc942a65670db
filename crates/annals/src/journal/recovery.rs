//! Opening: what is found at the end of the log, what it means, and what is done. The one function that recovers.
//!
//! | found | meaning | done |
//! |---|---|---|
//! | zeroes, or the file's end, after a whole frame | clean end | open |
//! | a bad frame, and no whole later one says that the log was durable beyond it | torn by a crash | cut there |
//! | a bad frame, and a whole later one says so | damage | refuse |
//! | less than what was there at the last clean close | damage | refuse |
//! | a bad head, a segment missing or of another store | damage | refuse |
//! | a sealed segment without its index, or with one that is bad or of another segment | crash while sealing, damage to what is derived, a return to an older copy | rebuild |
//!
//! The log is judged first. Only if it is good, something is changed: what a crash left is removed, indexes that are
//! missing are written, and the active file is lengthened. So a store that is refused stays byte for byte as it was.
//!
//! Reading only, nothing is changed at all, and of a damaged log what is good before the damage is opened.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::directory::Directory;
use super::fs::StoreFile;
use super::fs::tools::{erase, last_data};
use super::map::map_all;
use super::options::JournalOptions;
use super::segment::file::{SEGMENT_HEAD, SegmentFile, SegmentHead, check_head};
use super::segment::file_names::{index_name, log_name};
use super::segment::frame::{FRAME_HEAD, Fault, FrameHead, check_frame};
use super::segment::index_file::{SealedIndex, index_count, seal};
use super::segment::memory_index::{IndexWriter, Indexed, index_frames, rebuild_index};
use super::segment::segment::{Segment, SegmentIndex, is_index_of};
use crate::error::{Corruption, OpenError};
use crate::util::little_endian::u32_at;

/// A log as it was found, and where it goes on.
pub(crate) struct Recovered {
    pub(crate) sealed: Vec<Segment>,
    pub(crate) active: Active,
}

/// The segment that is appended to, or followed.
pub(crate) struct Active {
    pub(crate) segment: SegmentFile,
    pub(crate) file: Box<dyn StoreFile>,
    pub(crate) index: IndexWriter,
    /// Where the next frame goes.
    pub(crate) end: usize,
    pub(crate) next_offset: u64,
    pub(crate) last_time_ms: u64,
    /// Where the frames begin of which no later one says that they were durable.
    unsynced: VecDeque<(u64, usize)>,
}

/// Opens a log for appending: afterwards what is on disk is what is answered, and is durable. The active segment's
/// file is made as long as a segment may become, if it is not longer.
pub(crate) fn recover(
    directory: &Directory,
    options: &JournalOptions,
) -> Result<Recovered, OpenError> {
    // Up to the verdict nothing is changed.
    let starts = check_starts(directory)?;
    let sealed = starts.windows(2).map(|pair| open_sealed(directory, pair[0], pair[1]));
    let sealed: Vec<Segment> = sealed.collect::<Result<_, _>>()?;
    let first = starts[starts.len() - 1];
    let path = directory.at(&log_name(first));
    let opened = directory.handle.open(&log_name(first));
    let file = opened.map_err(OpenError::io("open", &path))?;
    let mut active = open_active(directory, first, file)?;
    let closed = directory.closed_head()?;
    let left = match classify_tail(
        &*active.file,
        &active.segment,
        active.end,
        active.next_offset,
        closed,
    )? {
        End::Clean => None,
        End::Unfinished(left) => Some(left),
        End::Damaged(damage) => return Err(damage.into()),
    };
    // The log is good.
    directory.remove_unfinished()?;
    let ends = starts[1..].iter();
    let sealed = sealed
        .into_iter()
        .zip(ends)
        .map(|(segment, &end)| with_index_file(directory, options, segment, end))
        .collect::<Result<_, _>>()?;
    lengthen(&mut active, options.capacity())?;
    if let Some(left) = left {
        tracing::warn!(
            segment = %path.display(), position = active.end, offset = active.next_offset,
            bytes = left - active.end, "cutting a commit that a crash left unfinished"
        );
        erase(&*active.file, active.end, left).map_err(OpenError::io("cut", &path))?;
    }
    write_again(&mut active, closed).map_err(OpenError::io("sync", &path))?;
    Ok(Recovered { sealed, active })
}

/// Makes the active file `capacity` bytes long, if it is not longer, and maps all of it: also what will be written.
fn lengthen(active: &mut Active, capacity: u64) -> Result<(), OpenError> {
    let Active { file, segment, .. } = active;
    let size = file.size().map_err(OpenError::io("open", &segment.path))?;
    if size < capacity {
        file.set_size(capacity).map_err(OpenError::io("lengthen", &segment.path))?;
    }
    let mapped = map_all(&**file).map_err(OpenError::io("map", &segment.path))?;
    segment.bytes = mapped;
    Ok(())
}

/// Writes the index file of a sealed segment, whose events end at the offset `end`, if it has none.
fn with_index_file(
    directory: &Directory,
    options: &JournalOptions,
    segment: Segment,
    end: u64,
) -> Result<Segment, OpenError> {
    let SegmentIndex::Mem(index) = &segment.index else { return Ok(segment) };
    let (first, most) = (segment.first, options.index_limits.most);
    let error = match seal(&*directory.handle, &directory.store_id, first, end - first, index, most)
    {
        Ok(written) => {
            tracing::info!(segment = %segment.path.display(), "wrote the index that it lacked");
            return Ok(Segment { index: SegmentIndex::sealed(written), ..segment });
        }
        Err(error) => error,
    };
    // It is derived, and the log can be read and written without; on a full disk it must be.
    tracing::warn!(%error, segment = %segment.path.display(), "its index was not written; it stays in memory");
    if error.kind() == io::ErrorKind::FileTooLarge {
        // What stands there is not its index: an older annals wrote larger files, with positions that wrapped.
        let name = index_name(first);
        match directory.handle.remove(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(OpenError::io("remove", directory.at(&name)))?,
        }
    }
    Ok(segment)
}

/// Opens a log for reading: changes nothing, and of a damaged log opens what is good before the damage, which it
/// answers too. The last segment is not read yet: that is for whoever follows it.
pub(crate) fn recover_read_only(
    directory: &Directory,
) -> Result<(Recovered, Option<Corruption>), OpenError> {
    let mut damage = None;
    let starts = match check_starts(directory) {
        Err(OpenError::Corrupt(found)) if directory.segments()?.0.first() == Some(&0) => {
            damage = Some(found);
            directory.segments()?.0
        }
        checked => checked?,
    };
    let mut sealed = Vec::new();
    let mut last = starts.len() - 1;
    for (at, pair) in starts.windows(2).enumerate() {
        match open_sealed(directory, pair[0], pair[1]) {
            Ok(segment) => sealed.push(segment),
            Err(OpenError::Corrupt(found)) => {
                damage = Some(found);
                last = at;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    loop {
        match open_to_follow(directory, starts[last]) {
            Ok(active) => return Ok((Recovered { sealed, active }, damage)),
            // Its head is not good, so the segment before it is the last that is.
            Err(OpenError::Corrupt(found)) if sealed.pop().is_some() => {
                damage.get_or_insert(found);
                last -= 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The segment that begins at `first`, of which nothing was read yet.
fn open_to_follow(directory: &Directory, first: u64) -> Result<Active, OpenError> {
    let path = directory.at(&log_name(first));
    let opened = directory.handle.open_read_only(&log_name(first));
    let file = opened.map_err(OpenError::io("open", &path))?;
    let mapped = map_all(&*file).map_err(OpenError::io("map", &path))?;
    let segment = SegmentFile::new(path, &directory.store_id, first, mapped);
    let last_time_ms = segment.check_head(&directory.store_id)?.time_before_ms;
    let (index, unsynced) = (IndexWriter::new(), VecDeque::new());
    let (end, next_offset) = (SEGMENT_HEAD, first);
    Ok(Active { segment, file, index, end, next_offset, last_time_ms, unsynced })
}

/// The first offsets of all segments: from 0 on, and a last one that was never sealed.
pub(crate) fn check_starts(directory: &Directory) -> Result<Vec<u64>, OpenError> {
    let missing = |first| {
        OpenError::Corrupt(Corruption {
            file: directory.at(&log_name(first)),
            position: 0,
            offset: first,
            expected: "a segment".into(),
            found: "no such file".into(),
        })
    };
    let (mut logs, mut indexes) = directory.segments()?;
    if indexes.last() >= logs.last() {
        // A listing is not of one moment: a writer may just have begun a segment and sealed the one before it.
        (logs, indexes) = directory.segments()?;
    }
    if logs.first() != Some(&0) {
        return Err(missing(0));
    }
    match (logs.last(), indexes.last()) {
        // An index is written only when the next segment is there.
        (Some(&last), Some(&sealed)) if sealed >= last => {
            let index = map(directory, &index_name(sealed))?;
            Err(missing(sealed + index_count(&index).max(1)))
        }
        _ => Ok(logs),
    }
}

/// Returns what the head of the segment that begins at `first` says of the one before it; nothing of a segment that
/// cannot be read: opening that segment reports why.
pub(super) fn read_head(directory: &Directory, first: u64) -> SegmentHead {
    let mut head = [0; SEGMENT_HEAD];
    let read = directory
        .handle
        .open_read_only(&log_name(first))
        .and_then(|file| file.read_at(&mut head, 0));
    let size = read.unwrap_or(0);
    check_head(&head[..size], &directory.store_id, first).unwrap_or_default()
}

/// The sealed segment `first..end`; with an index in memory if its index file is missing or not right.
fn open_sealed(directory: &Directory, first: u64, end: u64) -> Result<Segment, OpenError> {
    let name = log_name(first);
    let bytes = map(directory, &name)?;
    let file = SegmentFile::new(directory.at(&name), &directory.store_id, first, bytes);
    file.check_head(&directory.store_id)?;
    let sealed = match map(directory, &index_name(first)) {
        Ok(bytes) => SealedIndex::open(bytes, &directory.store_id, first, end - first),
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let crc = read_head(directory, end).crc_before;
    let sealed = match sealed {
        Some(index) if is_index_of(&index, &file, end, crc) => {
            check_last(&file, &index, end)?;
            Some(index)
        }
        Some(_) => {
            tracing::warn!(segment = %file.path.display(), "its index is of another segment; making it again");
            None
        }
        None => None,
    };
    let index = if let Some(index) = sealed {
        SegmentIndex::sealed(index)
    } else {
        let index = rebuild_index(&file, &directory.hasher(), end)?;
        check_frames(&file, end, index.frames_crc, crc)?;
        SegmentIndex::Mem(index)
    };
    Ok(Segment { file, index })
}

/// Refuses a segment that is not the one after which the next segment was begun: it is of another history of the log.
pub(super) fn check_frames(
    file: &SegmentFile,
    end: u64,
    found: u32,
    expected: u32,
) -> Result<(), Corruption> {
    if expected == 0 || found == expected {
        return Ok(());
    }
    let expected = format!(
        "the frames that {} was begun after, with the checksum {expected:08x}",
        log_name(end)
    );
    let found = format!("other frames, with the checksum {found:08x}");
    Err(file.corruption(Fault { position: SEGMENT_HEAD, expected, found }, file.first))
}

/// Refuses a sealed segment's file that is shorter than its events: what is far inside is checked when it is read.
fn check_last(file: &SegmentFile, index: &SealedIndex, end: u64) -> Result<(), Corruption> {
    let count = u32::try_from(end - file.first).unwrap_or(u32::MAX);
    let last = index.position(count.saturating_sub(1));
    let size =
        if last + 8 <= file.bytes.len() { u32_at(&file.bytes, last + 4) as usize } else { 8 };
    if last + size <= file.bytes.len() {
        return Ok(());
    }
    let expected = format!("events up to offset {end}, where the next segment begins");
    let found = format!("a file of {} bytes, cut short", file.bytes.len());
    Err(file.corruption(Fault { position: file.bytes.len(), expected, found }, file.first))
}

/// Maps a file of the store.
pub(crate) fn map(directory: &Directory, name: &str) -> Result<Bytes, OpenError> {
    let mapped = directory.handle.open_read_only(name).and_then(|file| map_all(&*file));
    mapped.map_err(OpenError::io("open", directory.at(name)))
}

/// The last segment, with all whole frames that it begins with.
fn open_active(
    directory: &Directory,
    first: u64,
    file: Box<dyn StoreFile>,
) -> Result<Active, OpenError> {
    let path = directory.at(&log_name(first));
    let bytes = map_all(&*file).map_err(OpenError::io("map", &path))?;
    let segment = SegmentFile::new(path, &directory.store_id, first, bytes);
    let mut last_time_ms = segment.check_head(&directory.store_id)?.time_before_ms;
    let mut unsynced = VecDeque::new();
    let indexed = index_frames(&segment, &directory.hasher(), u64::MAX, |position, frame| {
        last_time_ms = frame.time_ms;
        unsynced.push_back((frame.first, position));
        forget_below(&mut unsynced, frame.durable);
    })?;
    let Indexed { index, end, next_offset, .. } = indexed;
    Ok(Active { segment, file, index, end, next_offset, last_time_ms, unsynced })
}

/// What stands behind the last whole frame of the log.
pub(crate) enum End {
    /// Nothing.
    Clean,
    /// What a crash left of a commit, or a commit that is under way, up to this position.
    Unfinished(usize),
    /// Something that was durable once.
    Damaged(Corruption),
}

/// Tells a clean end from one torn by a crash and from damage. The whole frames end at `end`, the offset after their
/// last is `next_offset`, and the head at the last clean close was `closed`.
pub(crate) fn classify_tail(
    file: &dyn StoreFile,
    segment: &SegmentFile,
    end: usize,
    next_offset: u64,
    closed: u64,
) -> Result<End, OpenError> {
    let read_error = || OpenError::io("read", &segment.path);
    let left = last_data(file, end as u64).map_err(read_error())?;
    let mut tail = vec![0; left.map_or(0, |left| left.next_multiple_of(8) - end)];
    let size = file.read_at(&mut tail, end as u64).map_err(read_error())?;
    tail.truncate(size);
    let damaged = |expected: String| {
        let faulty = check_frame(&tail, end, segment.seed, segment.first, |_| {}).err();
        let found = match faulty {
            Some(fault) if tail.iter().any(|&byte| byte != 0) => {
                format!("{} instead of {} at byte {}", fault.found, fault.expected, fault.position)
            }
            _ => format!("no event from offset {next_offset} on"),
        };
        let fault = Fault { position: end, expected, found };
        // Reading is not of one moment: if what should be here is here now, a writer has gone on meanwhile.
        if is_whole_now(file, segment, end, next_offset).map_err(read_error())? {
            return Ok(End::Clean);
        }
        Ok(End::Damaged(segment.corruption(fault, next_offset)))
    };
    if closed > next_offset {
        return damaged(format!(
            "events up to offset {closed}, which were there at the last close"
        ));
    }
    let Some(left) = left else { return Ok(End::Clean) };
    if segment.was_durable(&tail, end, next_offset) {
        return damaged("a whole frame, since a later one says that it was durable".to_owned());
    }
    Ok(End::Unfinished(left))
}

/// Whether the frame of `next_offset` stands at `end` by now.
fn is_whole_now(
    file: &dyn StoreFile,
    segment: &SegmentFile,
    end: usize,
    next_offset: u64,
) -> io::Result<bool> {
    let mut frame = vec![0; FRAME_HEAD];
    file.read_at(&mut frame, end as u64)?;
    let Ok(head) = FrameHead::read(&frame, 0, segment.seed) else { return Ok(false) };
    if (end + head.size()) as u64 > file.size()? {
        return Ok(false);
    }
    frame.resize(head.size(), 0);
    file.read_at(&mut frame, end as u64)?;
    let checked = check_frame(&frame, end, segment.seed, segment.first, |_| {});
    Ok(checked.is_ok_and(|head| head.first == next_offset))
}

/// Makes durable what is not known to be. Writing it once more is not vain: after a sync that failed, a system may
/// hold bytes in memory, take them for written, and not write them at the next sync either.
fn write_again(active: &mut Active, closed: u64) -> io::Result<()> {
    forget_below(&mut active.unsynced, closed);
    if let Some(&(_, start)) = active.unsynced.front() {
        let unsure = active.segment.bytes.slice(start..active.end);
        for (position, chunk) in (start..).step_by(1 << 20).zip(unsure.chunks(1 << 20)) {
            // Copied, since what it is written from is the file itself.
            let copy = chunk.to_vec();
            active.file.write_at(&copy, position as u64)?;
        }
    }
    active.file.sync()
}

fn forget_below(unsynced: &mut VecDeque<(u64, usize)>, durable: u64) {
    while unsynced.front().is_some_and(|&(first, _)| first < durable) {
        unsynced.pop_front();
    }
}
