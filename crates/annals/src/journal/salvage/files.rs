//! The files of a damaged store, as far as they can be read.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::error::OpenError;
use crate::journal::fs::tools::read_all;
use crate::journal::fs::{FileSystem, StoreDirectory, StoreFile};
use crate::journal::segment::file::{FORMAT, SEGMENT_HEAD};
use crate::util::crc32c::crc32c;
use crate::util::little_endian::{u32_at, u64_at};

/// The number of bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// The number of bytes that are skipped where the disk cannot read.
const PAGE: usize = 4096;
/// The most bytes of a segment: positions in it take 4 bytes.
const MOST_BYTES: u64 = u32::MAX as u64;

/// A damaged store.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) path: PathBuf,
    pub(super) directory: Arc<dyn StoreDirectory>,
    /// The store's id, if it can still be found.
    pub(super) store_id: Option<[u8; 16]>,
    /// The segments' files, sorted by the first offset in their heads, or in their names where the head is damaged.
    pub(super) segments: Vec<SegmentFileName>,
    /// The head at the last clean close; 0 if it is not known.
    pub(super) closed: u64,
    pub(super) notes: Vec<String>,
}

/// A segment's file and its head.
#[derive(Debug, Clone)]
pub(super) struct SegmentFileName {
    pub(super) name: String,
    pub(super) first: u64,
    pub(super) head: Option<RawHead>,
}

/// The head of a segment whose checksum is right. (The checksum does not cover the format, which may be damaged.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawHead {
    format: u64,
    pub(super) store_id: [u8; 16],
    pub(super) first: u64,
    pub(super) time_before_ms: u64,
}

impl Files {
    /// Lists the files of a damaged store and reads what identifies them.
    pub(super) fn look(system: &dyn FileSystem, path: &Path) -> Result<Self, OpenError> {
        let not_a_store =
            |found: &str| OpenError::NotAStore { path: path.to_owned(), found: found.to_owned() };
        let directory = system.open_directory(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => OpenError::NotFound { path: path.to_owned() },
            ErrorKind::NotADirectory => not_a_store("it is a file, and a store is a directory"),
            _ => OpenError::io("open", path)(error),
        })?;
        let names = directory.list().map_err(OpenError::io("list", path))?;
        let mut notes = Vec::new();
        let mut segments = Vec::new();
        for name in names {
            let Some(digits) = name.strip_suffix(".log").filter(|digits| digits.len() == 20) else {
                continue;
            };
            let Ok(first) = digits.parse() else { continue };
            let mut head = [0; SEGMENT_HEAD];
            let file = path.join(&name);
            let read = directory.open_read_only(&name).and_then(|file| file.read_at(&mut head, 0));
            let head = match read {
                Ok(size) => RawHead::of(&head[..size]),
                Err(error) => {
                    notes.push(format!("{}: its head cannot be read: {error}", file.display()));
                    None
                }
            };
            segments.push(SegmentFileName {
                name,
                first: head.map_or(first, |head| head.first),
                head,
            });
        }
        if segments.is_empty() {
            return Err(not_a_store("it has no segment of a log (*.log)"));
        }
        segments.sort_by(|a, b| (a.first, &a.name).cmp(&(b.first, &b.name)));
        let (id, format) = store_file(&*directory, &mut notes);
        let heads = || segments.iter().filter_map(|segment| segment.head);
        if let Some(found) = format.filter(|&format| format > FORMAT)
            && heads().all(|head| head.format != FORMAT)
        {
            let (path, supported) = (path.to_owned(), FORMAT);
            return Err(OpenError::NewerFormat { path, found, supported });
        }
        let store_id = store_id(id, &segments, &mut notes);
        let closed = closed_head(&*directory, &mut notes);
        Ok(Self { path: path.to_owned(), directory, store_id, segments, closed, notes })
    }
}

impl RawHead {
    fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<SEGMENT_HEAD>()?;
        let is_whole = &head[..8] == b"annals.l" && u32_at(head, 12) == crc32c(&head[16..]);
        let mut store_id = [0; 16];
        store_id.copy_from_slice(&head[16..32]);
        is_whole.then(|| Self {
            format: u32_at(head, 8).into(),
            store_id,
            first: u64_at(head, 32),
            time_before_ms: u64_at(head, 40),
        })
    }

    /// Returns whether it is the head of a segment of this store.
    pub(super) fn is_of(&self, store_id: Option<[u8; 16]>) -> bool {
        Some(self.store_id) == store_id
    }
}

/// Returns the store id that most segments have. On a tie, or if no head is whole, the id in `store.json` counts.
fn store_id(
    named: Option<[u8; 16]>,
    segments: &[SegmentFileName],
    notes: &mut Vec<String>,
) -> Option<[u8; 16]> {
    let heads = segments.iter().filter_map(|segment| segment.head);
    let ids: Vec<[u8; 16]> = heads.map(|head| head.store_id).collect();
    let votes =
        |id: [u8; 16]| (ids.iter().filter(|&&other| other == id).count(), Some(id) == named);
    let found = ids.iter().copied().chain(named).max_by_key(|&id| votes(id));
    if found != named {
        let text = |id: [u8; 16]| uuid::Uuid::from_bytes(id).to_string();
        let named = named.map_or("no store id".to_owned(), text);
        let found = found.map_or("none".to_owned(), text);
        notes.push(format!(
            "store.json has {named}; the segments' heads have {found}, which was used"
        ));
    }
    found
}

/// Returns the store id and the format in `store.json`.
fn store_file(
    directory: &dyn StoreDirectory,
    notes: &mut Vec<String>,
) -> (Option<[u8; 16]>, Option<u64>) {
    let Some(value) = json(directory, "store.json", notes) else { return (None, None) };
    let id = value.get("store_id").and_then(Value::as_str);
    let id = id.and_then(|id| uuid::Uuid::parse_str(id).ok());
    (id.map(uuid::Uuid::into_bytes), value.get("format").and_then(Value::as_u64))
}

fn closed_head(directory: &dyn StoreDirectory, notes: &mut Vec<String>) -> u64 {
    match directory.open_read_only("closed.json") {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        _ => {
            let value = json(directory, "closed.json", notes);
            value.and_then(|value| value.get("head")?.as_u64()).unwrap_or(0)
        }
    }
}

fn json(directory: &dyn StoreDirectory, name: &str, notes: &mut Vec<String>) -> Option<Value> {
    let read = read_all(directory, name);
    let parsed = read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    parsed.inspect_err(|error| notes.push(format!("{name}: cannot be read: {error}"))).ok()
}

/// Reads a segment's file up to its last byte that is not zero. Pages that the disk cannot read become zeroes.
pub(super) fn read_segment(file: &dyn StoreFile, notes: &mut Vec<String>) -> io::Result<Vec<u8>> {
    let size = file.size()?.min(MOST_BYTES);
    let next = |position| file.next_data(position).unwrap_or(Some(position));
    read_what_can_be_read(size, next, |bytes, at| file.read_at(bytes, at), notes)
}

/// Does the work of [`read_segment`] for a file of `size` bytes, with `read` as the way to read it.
fn read_what_can_be_read(
    size: u64,
    next_data: impl Fn(u64) -> Option<u64>,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    notes: &mut Vec<String>,
) -> io::Result<Vec<u8>> {
    let (mut bytes, mut position, mut chunk) = (Vec::new(), 0, vec![0; CHUNK]);
    while let Some(data) = next_data(position).filter(|&data| data < size) {
        let wanted = usize::try_from(size - data).map_or(CHUNK, |left| left.min(CHUNK));
        let (found, given_up) = match read(&mut chunk[..wanted], data) {
            Ok(0) => break,
            Ok(found) => (found, false),
            // Reads the rest of the chunk page by page: a disk fails by sectors.
            Err(_) => {
                let page =
                    wanted.min(PAGE - usize::try_from(data % PAGE as u64).map_or(0, |at| at));
                chunk[..page].fill(0);
                match read(&mut chunk[..page], data) {
                    Ok(0) => break,
                    Ok(found) => (found, false),
                    Err(error) => {
                        notes.push(format!("bytes {data} to {}: {error}", data + page as u64));
                        chunk[..page].fill(0);
                        (page, true)
                    }
                }
            }
        };
        if !given_up && let Some(last) = chunk[..found].iter().rposition(|&byte| byte != 0) {
            let start = usize::try_from(data).map_err(|_| ErrorKind::FileTooLarge)?;
            bytes.try_reserve(start + last + 1 - bytes.len())?;
            bytes.resize(start, 0);
            bytes.extend_from_slice(&chunk[..=last]);
        }
        position = data + found as u64;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_the_disk_cannot_read_are_zeroes_and_the_rest_is_there() {
        let size = 3 * CHUNK + 100;
        let whole: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap() + 1).collect();
        let bad = [0, 2 * CHUNK + 5 * PAGE, 2 * CHUNK + 6 * PAGE];
        let read = |bytes: &mut [u8], at: u64| {
            let at = usize::try_from(at).unwrap();
            let end = (at + bytes.len()).min(size);
            if bad.iter().any(|&bad| at < bad + PAGE && bad < end) {
                return Err(io::Error::other("a bad sector"));
            }
            bytes[..end - at].copy_from_slice(&whole[at..end]);
            Ok(end - at)
        };
        let mut notes = Vec::new();
        let found = read_what_can_be_read(size as u64, Some, read, &mut notes).unwrap();
        let mut expected = whole.clone();
        for bad in bad {
            expected[bad..bad + PAGE].fill(0);
        }
        assert!(found == expected);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("bytes 0 to 4096: a bad sector"), "{notes:?}");
    }

    #[test]
    fn zeroes_at_the_end_are_not_read_into_memory() {
        let read = |bytes: &mut [u8], at: u64| {
            bytes.fill(0);
            if at == 0 {
                bytes[20] = 1;
            }
            Ok(bytes.len())
        };
        // A hole behind the first chunk.
        let next = |at: u64| (at < CHUNK as u64).then_some(at);
        let found = read_what_can_be_read(MOST_BYTES, next, read, &mut Vec::new()).unwrap();
        assert_eq!(found.len(), 21);
    }
}
