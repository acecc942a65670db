//! Verifying the log and its index files: every checksum of every frame and record, every index entry against its
//! event, and the filter of every index against one that is rebuilt.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Corruption, OpenError};
use crate::event::name::Hasher;
use crate::index::lookup::{Kind, Lookup};
use crate::journal::directory::Directory;
use crate::journal::fs::tools::read_all;
use crate::journal::options::JournalOptions;
use crate::journal::recovery::segments::{check_frames, check_starts, map, read_head};
use crate::journal::recovery::tail::{End, classify_tail};
use crate::journal::segment::bloom::filter_of;
use crate::journal::segment::file::SegmentFile;
use crate::journal::segment::file_names::{index_name, log_name};
use crate::journal::segment::index_file::{SealedIndex, exact_bytes};
use crate::journal::segment::memory_index::{Indexed, SegmentMemIndex, index_frames};
use crate::journal::segment::segment::CheckedIndex;

/// The result of verifying a Journal. [`verify_watched`] has an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of whole events before the first damaged one.
    pub events: u64,
    /// The number of segments that were checked.
    pub segments: u64,
    /// The number of bytes of whole events, with their frames and heads.
    pub bytes: u64,
    /// The damage that was found. Empty if everything is as it was written.
    pub problems: Vec<Corruption>,
    /// Findings that are not damage. The next opening for appending repairs most of them.
    pub notes: Vec<String>,
}

/// Checks every byte of the Journal in the directory `path`, and changes nothing. A process may be writing to it.
///
/// ```
/// use annals::{EventStore, RawEvent, verify};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("log.store");
/// EventStore::open(&path)?.append(RawEvent::builder("noted").build()?)?;
/// let report = verify(&path)?;
/// assert_eq!((report.events, report.problems.len()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`OpenError`]: nothing or something other than a store is there, or the system fails. Damage is not an error here:
/// the report lists it.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, OpenError> {
    verify_watched(path, |_, _| {})
}

/// Does what [`verify()`] does, and calls `watch` many times with the number of bytes that were checked, and the number
/// of bytes of all segments. The last segment may end with unused space, which is not checked, so the first number does
/// not always reach the second.
///
/// ```
/// use annals::{EventStore, RawEvent, VerifyReport, verify_watched};
///
/// let directory = tempfile::tempdir()?;
/// EventStore::open(directory.path())?.append(RawEvent::builder("counted").build()?)?;
/// let mut percent = 0;
/// let report: VerifyReport = verify_watched(directory.path(), |done, all| percent = done * 100 / all.max(1))?;
/// assert_eq!((report.events, percent), (1, 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`verify()`].
pub fn verify_watched(
    path: impl AsRef<Path>,
    mut watch: impl FnMut(u64, u64),
) -> Result<VerifyReport, OpenError> {
    verify_with(path.as_ref(), &JournalOptions::default(), &mut watch)
}

/// Calls a function with the progress of a verification.
struct Watch<'w> {
    /// The bytes of the segments that were checked, and of all segments.
    done: u64,
    all: u64,
    call: &'w mut dyn FnMut(u64, u64),
}

impl<'w> Watch<'w> {
    fn new(directory: &Directory, starts: &[u64], call: &'w mut dyn FnMut(u64, u64)) -> Self {
        let all = starts.iter().map(|&first| segment_bytes(directory, first)).sum();
        Self { done: 0, all, call }
    }

    /// Reports that the current segment was checked up to this position.
    fn at(&mut self, position: usize) {
        (self.call)((self.done + position as u64).min(self.all), self.all);
    }

    fn end_segment(&mut self, bytes: u64) {
        self.done += bytes;
        self.at(0);
    }
}

/// Returns the size of a segment's file; 0 if it cannot be read, which its check reports.
fn segment_bytes(directory: &Directory, first: u64) -> u64 {
    directory.handle.open_read_only(&log_name(first)).and_then(|file| file.size()).unwrap_or(0)
}

/// Does what [`verify`] does, for a Journal that is opened with these options.
pub(crate) fn verify_with(
    path: &Path,
    options: &JournalOptions,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, OpenError> {
    let system = Arc::clone(&options.file_system);
    let path = std::path::absolute(path).map_err(OpenError::io("find", path))?;
    let directory = Directory::open(&*system, &path)?;
    let mut report = VerifyReport::default();
    // Before the segments are read: a process that closes the store in the meantime writes a larger head.
    let closed = match directory.closed_head() {
        Err(OpenError::Corrupt(damage)) => {
            report.problems.push(damage);
            0
        }
        closed => closed?,
    };
    let starts = match check_starts(&directory) {
        Ok(starts) => starts,
        Err(OpenError::Corrupt(damage)) => {
            report.problems.push(damage);
            directory.segments()?.0
        }
        Err(error) => return Err(error),
    };
    let mut trusted = true;
    let mut watch = Watch::new(&directory, &starts, watch);
    for (at, &first) in starts.iter().enumerate() {
        let next = starts.get(at + 1).copied();
        let most = options.index_limits.most;
        let end = verify_segment(&directory, first, next, (closed, most), &mut report, &mut watch)?;
        watch.end_segment(segment_bytes(&directory, first));
        if trusted {
            report.events = end.unwrap_or(first);
        }
        // Index files are rebuilt from the events, which are whole whatever these files contain.
        trusted = report.problems.iter().all(is_of_index);
        report.segments += 1;
    }
    Ok(report)
}

fn is_of_index(problem: &Corruption) -> bool {
    problem.file.extension().is_some_and(|kind| kind == "idx")
}

/// Checks one segment, which ends where the next begins, if there is one. `closed` is the log's head at the last clean
/// close, and `most_index_bytes` the most bytes of an index file. Returns the offset after its last whole event.
fn verify_segment(
    directory: &Directory,
    first: u64,
    next: Option<u64>,
    (closed, most_index_bytes): (u64, u64),
    report: &mut VerifyReport,
    watch: &mut Watch<'_>,
) -> Result<Option<u64>, OpenError> {
    let name = log_name(first);
    // The last segment is not mapped, since a writer cuts its file when it seals it.
    let bytes = if next.is_some() {
        map(directory, &name)?
    } else {
        let read = read_all(&*directory.handle, &name);
        read.map_err(OpenError::io("read", directory.at(&name)))?.into()
    };
    let segment = SegmentFile::new(directory.at(&name), &directory.store_id, first, bytes);
    let indexed = segment.check_head(&directory.store_id).and_then(|_| {
        index_frames(&segment, &directory.hasher(), next.unwrap_or(u64::MAX), |position, _| {
            watch.at(position);
        })
    });
    let indexed = match indexed {
        Ok(indexed) => indexed,
        Err(damage) => {
            report.problems.push(damage);
            return Ok(None);
        }
    };
    report.bytes += indexed.end as u64;
    let short = next.map(|end| indexed.short_of(end));
    if let (Some(end), Some(None)) = (next, &short) {
        let expected = read_head(directory, end).crc_before;
        let checked = check_frames(&segment, end, indexed.index.frames_crc, expected);
        report.problems.extend(checked.err());
    }
    match short {
        Some(None) => {
            verify_index(directory, &segment, &indexed, most_index_bytes, report)?;
        }
        Some(Some(fault)) => report.problems.push(segment.corruption(fault, indexed.next_offset)),
        None => verify_end(directory, &segment, &indexed, closed, report)?,
    }
    Ok(Some(indexed.next_offset))
}

/// Checks the bytes behind the last whole frame of the log.
fn verify_end(
    directory: &Directory,
    segment: &SegmentFile,
    indexed: &Indexed,
    closed: u64,
    report: &mut VerifyReport,
) -> Result<(), OpenError> {
    let file = directory
        .handle
        .open_read_only(&log_name(segment.first))
        .map_err(OpenError::io("open", &segment.path))?;
    match classify_tail(&*file, segment, indexed.end, indexed.next_offset, closed)? {
        End::Clean => {}
        End::Unfinished(left) => report.notes.push(format!(
            "{}: {} bytes from byte {} on are of a commit that is not finished: it is being written, or a crash interrupted it",
            segment.path.display(),
            left - indexed.end,
            indexed.end
        )),
        End::Damaged(damage) => report.problems.push(damage),
    }
    Ok(())
}

/// Compares a sealed segment's index file to its events.
fn verify_index(
    directory: &Directory,
    segment: &SegmentFile,
    indexed: &Indexed,
    most_bytes: u64,
    report: &mut VerifyReport,
) -> Result<(), OpenError> {
    let path = directory.at(&index_name(segment.first));
    let size = exact_bytes(&indexed.index.reader());
    let bytes: Option<Bytes> = match map(directory, &index_name(segment.first)) {
        Ok(bytes) => Some(bytes),
        Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let file_bytes = bytes.as_ref().map(|bytes| bytes.len() as u64);
    let note = match file_bytes {
        Some(found) if found > most_bytes => Some(format!(
            "not usable: it has {found} bytes, and an index file has at most {most_bytes}; the next opening for appending replaces or removes it"
        )),
        _ if size > most_bytes => Some(format!(
            "it would have {size} bytes, and an index file has at most {most_bytes}; the index stays in memory and is rebuilt at each opening"
        )),
        None => Some("missing; the next opening for appending writes it".to_owned()),
        Some(_) => None,
    };
    report.notes.extend(note.map(|note| format!("{}: {note}", path.display())));
    let Some(bytes) = bytes.filter(|bytes| size.max(bytes.len() as u64) <= most_bytes) else {
        return Ok(());
    };
    let count = indexed.next_offset - segment.first;
    let sealed = SealedIndex::open(bytes, &directory.store_id, segment.first, count);
    let whole = sealed.filter(SealedIndex::is_whole);
    let wrong = match whole {
        None => Some("a wrong head or checksum".to_owned()),
        Some(index) => compare(&index, &indexed.index.reader(), index.hasher()),
    };
    report.problems.extend(
        wrong.map(|found| Corruption {
            file: path,
            position: 0,
            offset: segment.first,
            expected:
                "the index of its segment's events (remove the file: it is rebuilt from the log)"
                    .into(),
            found,
        }),
    );
    Ok(())
}

/// Returns the first difference between an index file and the index of the segment's events.
pub(crate) fn compare(
    sealed: &SealedIndex,
    in_memory: &SegmentMemIndex,
    hasher: &Hasher,
) -> Option<String> {
    if ![0, in_memory.frames_crc].contains(&sealed.frames_crc()) {
        return Some("the checksum of other frames".to_owned());
    }
    for (local, &position) in (0..).zip(in_memory.positions.iter()) {
        let found = sealed.position(local);
        if found != Some(position as usize) {
            return Some(format!(
                "position {found:?} of the event with the local offset {local}, which is at {position}"
            ));
        }
    }
    for kind in [Kind::Type, Kind::Tag, Kind::Id] {
        let (expected, found) = (
            names(&CheckedIndex::Mem(in_memory), kind),
            names(&CheckedIndex::Sealed(sealed), kind),
        );
        for (name, offsets) in &expected {
            if found.get(name) != Some(offsets) {
                return Some(format!("other events than it should for {kind:?} {name:?}"));
            }
            let len = CheckedIndex::Sealed(sealed)
                .posting(kind, hasher.name(name))
                .map(|posting| posting.len() as usize);
            if len != Some(offsets.len()) {
                return Some(format!("no slot that leads to {kind:?} {name:?}"));
            }
        }
        if let Some(name) = found.keys().find(|name| !expected.contains_key(*name)) {
            return Some(format!("{kind:?} {name:?}, which no event has"));
        }
    }
    let filter = sealed.filter();
    let found = filter.bits();
    (!found.is_empty() && found != filter_of(&in_memory.names, found.len()))
        .then(|| "a filter of other names".to_owned())
}

fn names(index: &CheckedIndex<'_>, kind: Kind) -> BTreeMap<String, Vec<u32>> {
    let mut names = BTreeMap::new();
    index.for_each_name(kind, |name, mut posting| {
        names.insert(name.to_owned(), (0..posting.len()).map(|at| posting.get(at)).collect());
    });
    names
}
