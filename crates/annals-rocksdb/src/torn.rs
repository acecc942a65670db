//! Ends of RocksDB's logs that a loss of power tore: such as its recovery does not get past are mended before it.
//!
//! RocksDB's write-ahead logs and manifests are records in blocks of 32 KiB, and none of them crosses a block:
//!
//! ```text
//!   4 checksum (CRC-32C, masked) of type and data   2 size of the data   1 type   the data
//! ```
//! Its recovery takes a write-ahead log up to the first record that is not whole, and reads on to see whether one comes
//! behind that. Of two kinds it is not aware, though (`log::Reader` and `FragmentBufferedReader` of RocksDB 11.8):
//!
//! * A type of the records of recycled logs: behind a record of another, and in a reader's follower anywhere, it answers
//!   the same header for ever, and whoever opens the database hangs (<https://github.com/facebook/rocksdb/issues/13333>).
//! * Zeroes: the block is passed over without a word, and what follows is taken, without what should be before it.
//!
//! So from the first record on that is not whole, what RocksDB would look at, its type and that of each block's first
//! record behind it, is overwritten with one that no record has: it finds wrong checksums there, up to the end. That
//! is done only in logs that no process can have opened since, for it would have removed them; and done twice it is the
//! same. So no lock is needed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use annals::{Corruption, OpenError};
use crc_fast::CrcAlgorithm;

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const TYPE_AT: usize = 6;

const ZERO: u8 = 0;
/// Of recycled logs. Behind the header they have the log's number, 4 bytes, which the checksum is of as well.
const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// Of parts of a record that are not its last.
const PARTS: [u8; 4] = [2, 3, 6, 7];
/// What no record has for its type; not such as a reader may pass over, which have the highest bit.
const NO_TYPE: u8 = 0x7f;

/// What is where a record should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Whole {
        size: usize,
    },
    /// The block, or the file, ends before it does.
    Cut,
    /// Or zeroes, or of a recycled log.
    Broken,
}

/// What `rest`, the rest of a block, begins with. `None`: no room for a record.
fn record_at(rest: &[u8], is_recycled: bool) -> Option<Found> {
    let header = rest.first_chunk::<HEADER>()?;
    if is_recycled && rest.len() < HEADER + 4 {
        return None;
    }
    let is_of_recycled = RECYCLED.contains(&header[TYPE_AT]);
    let data = HEADER + usize::from(u16::from_le_bytes([header[4], header[5]]));
    let size = if is_of_recycled { data + 4 } else { data };
    Some(match rest.get(TYPE_AT..size) {
        _ if is_of_recycled && !is_recycled => Found::Broken,
        None => Found::Cut,
        Some([ZERO]) => Found::Broken,
        Some(summed) if masked_crc(summed) == header[..4] => Found::Whole { size },
        Some(_) => Found::Broken,
    })
}

/// RocksDB's checksum of a record's type and data, as it is in the file.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes).to_le_bytes();
    let crc = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// What a log ends with that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Torn {
    how: How,
    /// Where the first record begins that is not whole.
    first: u64,
    /// Where the blocks begin behind it.
    blocks: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The file ends before the record does: an end to RocksDB.
    Cut,
    /// Zeroes and nothing else, and no part of a record before them: an end as well.
    Zeroes,
    Otherwise,
}

/// How a log is torn. `None`: it is whole.
fn torn(log: &mut impl Read) -> io::Result<Option<Torn>> {
    let mut torn: Option<Torn> = None;
    let mut block = Vec::with_capacity(BLOCK);
    let mut is_recycled = false;
    let mut before = 0;
    for start in (0..).step_by(BLOCK) {
        block.clear();
        log.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        if start == 0 {
            is_recycled = matches!(record_at(&block, true), Some(Found::Whole { .. }))
                && RECYCLED.contains(&block[TYPE_AT]);
        }
        match &mut torn {
            None => torn = torn_in(&block, start, is_recycled, &mut before),
            Some(torn) => {
                if block.len() >= HEADER {
                    torn.blocks.push(start);
                }
                if !is_zero(&block) {
                    torn.how = How::Otherwise;
                }
            }
        }
        if block.len() < BLOCK {
            break;
        }
    }
    Ok(torn)
}

/// How a log is torn in this block of it, which begins at `start`; the type of the whole record `before` it is
/// replaced by that of the last one in it.
fn torn_in(block: &[u8], start: u64, is_recycled: bool, before: &mut u8) -> Option<Torn> {
    let is_last = block.len() < BLOCK;
    let mut at = 0;
    let how = loop {
        let rest = &block[at..];
        match record_at(rest, is_recycled) {
            Some(Found::Whole { size }) => {
                *before = rest[TYPE_AT];
                at += size;
            }
            None if !is_last || rest.is_empty() => return None,
            None => break How::Cut,
            Some(Found::Cut) if is_last => break How::Cut,
            Some(_) if is_zero(rest) && !PARTS.contains(before) => break How::Zeroes,
            Some(Found::Cut | Found::Broken) => break How::Otherwise,
        }
    };
    Some(Torn { how, first: start + at as u64, blocks: Vec::new() })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Mends the ends of the write-ahead logs of the store at `path`, which is to be opened for writing.
pub(crate) fn mend(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action: "mend the torn end of", path, source }
    };
    for log in logs(path).map_err(failed(path))? {
        mend_log(&log).map_err(failed(&log))?;
    }
    Ok(())
}

fn mend_log(log: &Path) -> io::Result<()> {
    let Some(torn) = look_at(log)?.filter(|torn| torn.how != How::Cut) else { return Ok(()) };
    let Some(mut file) = if_there(File::options().write(true).open(log))? else { return Ok(()) };
    tracing::warn!(log = %log.display(), position = torn.first, "the torn end of a log is mended");
    for record in std::iter::once(torn.first).chain(torn.blocks) {
        file.seek(SeekFrom::Start(record + TYPE_AT as u64))?;
        file.write_all(&[NO_TYPE])?;
    }
    file.sync_all()
}

/// Refuses to read a database that has a torn write-ahead log; `why_not` is told of it. The last log may have an end that
/// is one to RocksDB.
pub(crate) fn refuse_torn(path: &Path, why_not: &str) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action: "read", path, source }
    };
    let mut is_last = true;
    for log in logs(path).map_err(failed(path))?.into_iter().rev() {
        let torn = look_at(&log).map_err(failed(&log))?;
        if let Some(torn) = torn.filter(|torn| torn.how == How::Otherwise || !is_last) {
            let what = format!(
                "from byte {} on it is torn, as a loss of power leaves it; {why_not}",
                torn.first
            );
            return Err(failed(&log)(io::Error::new(io::ErrorKind::InvalidData, what)));
        }
        // What has nothing in it is none.
        is_last &= fs::metadata(&log).is_ok_and(|log| log.len() == 0);
    }
    Ok(())
}

/// Refuses a database whose manifest is damaged, at which RocksDB might hang as well.
pub(crate) fn check_manifest(path: &Path) -> Result<(), OpenError> {
    let manifest = match fs::read_to_string(path.join("CURRENT")) {
        Ok(name) if name.starts_with("MANIFEST-") => path.join(name.trim_end()),
        // RocksDB tells what is wrong with it.
        _ => return Ok(()),
    };
    let io = |source| OpenError::Io { action: "read", path: manifest.clone(), source };
    match look_at(&manifest).map_err(io)?.filter(|torn| torn.how == How::Otherwise) {
        None => Ok(()),
        Some(torn) => Err(OpenError::Corrupt(Corruption {
            file: manifest,
            position: torn.first,
            offset: 0,
            expected: "a record of RocksDB's".to_owned(),
            found: "what is none".to_owned(),
        })),
    }
}

/// The write-ahead logs of a database, in order.
pub(crate) fn logs(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        if number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit())) {
            logs.push(entry.path());
        }
    }
    // Numbers of six digits at least: longer ones are later.
    logs.sort_by_key(|log| (log.as_os_str().len(), log.clone()));
    Ok(logs)
}

fn look_at(log: &Path) -> io::Result<Option<Torn>> {
    match if_there(File::open(log))? {
        Some(mut file) => torn(&mut file),
        None => Ok(None),
    }
}

/// A file that another process may have removed since it was seen.
fn if_there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: u8 = 1;

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let number: &[u8] = if RECYCLED.contains(&kind) { &[9, 0, 0, 0] } else { &[] };
        let summed = [&[kind], number, data].concat();
        let size = u16::try_from(data.len()).expect("a short one").to_le_bytes();
        [&masked_crc(&summed)[..], &size, &summed].concat()
    }

    fn find(log: &[u8]) -> Option<Torn> {
        torn(&mut &log[..]).expect("bytes are read")
    }

    fn first(log: &[u8]) -> Option<u64> {
        find(log).map(|torn| torn.first)
    }

    /// A log with two whole records, and where they end.
    fn two() -> (Vec<u8>, u64) {
        let log = [record(FULL, b"one"), record(FULL, b"two")].concat();
        let end = log.len() as u64;
        (log, end)
    }

    #[test]
    fn what_is_whole_or_ends_early_is_told_apart() {
        let (log, _) = two();
        for end in 0..=log.len() {
            let how = find(&log[..end]).map(|torn| torn.how);
            let is_whole = [0, log.len() / 2, log.len()].contains(&end);
            assert_eq!(how, (!is_whole).then_some(How::Cut), "{end}");
        }
    }

    #[test]
    fn rocksdb_writes_records_as_they_are_read_here() {
        for recycled in [0, 2] {
            let place = tempfile::tempdir().expect("a directory");
            let mut options = rocksdb::Options::default();
            options.create_if_missing(true);
            options.set_recycle_log_file_num(recycled);
            options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::SkipAnyCorruptedRecord);
            let database = rocksdb::DB::open(&options, place.path()).expect("a database");
            for n in 0..2_000_u32 {
                // Over blocks, and within them.
                let value = vec![b'x'; if n % 100 == 0 { 70_000 } else { n as usize % 90 }];
                database.put(n.to_le_bytes(), value).expect("it is written");
            }
            let logs = logs(place.path()).expect("they are listed");
            assert_eq!(logs.len(), 1);
            let bytes = fs::read(&logs[0]).expect("it is read");
            assert_eq!(RECYCLED.contains(&bytes[TYPE_AT]), recycled > 0);
            assert_eq!(find(&bytes), None, "{recycled}");
            let mut records = 0;
            for block in bytes.chunks(BLOCK) {
                let mut at = 0;
                while let Some(found) = record_at(&block[at..], recycled > 0) {
                    // The end of a block that has no room for the longer header of a recycled log's record.
                    let Found::Whole { size } = found else { break };
                    (at, records) = (at + size, records + 1);
                }
                assert!(block.len() - at < HEADER + 4, "{recycled}: {at} of {}", block.len());
            }
            assert!(records > 2_000, "{records}");
            check_manifest(place.path()).expect("a manifest");
        }
    }

    #[test]
    fn a_type_of_recycled_logs_is_torn_but_in_a_recycled_log() {
        let (log, end) = two();
        for kind in RECYCLED {
            let torn = [&log[..], &record(kind, b"three")].concat();
            assert_eq!(first(&torn), Some(end), "{kind}");
            let recycled = [record(kind, b"one"), torn].concat();
            assert_eq!(first(&recycled), None, "{kind}");
            // One that is torn itself is none.
            let mut broken = recycled;
            broken[0] ^= 1;
            assert_eq!(first(&broken), Some(0), "{kind}");
        }
    }

    #[test]
    fn what_is_torn_is_so_up_to_the_end() {
        let (mut log, end) = two();
        log.resize(BLOCK, 9);
        let whole = record(2, &vec![7; BLOCK - HEADER]);
        log.extend([&whole[..], &whole, &[0; 6]].concat());
        let blocks = vec![BLOCK as u64, 2 * BLOCK as u64];
        assert_eq!(find(&log), Some(Torn { how: How::Otherwise, first: end, blocks }));
    }

    #[test]
    fn zeroes_are_an_end_if_nothing_is_behind_them() {
        let (mut log, end) = two();
        log.resize(2 * BLOCK + 100, 0);
        let blocks = vec![BLOCK as u64, 2 * BLOCK as u64];
        let torn = |how| Some(Torn { how, first: end, blocks: blocks.clone() });
        assert_eq!(find(&log), torn(How::Zeroes));
        log.push(1);
        assert_eq!(find(&log), torn(How::Otherwise));
        let part = [record(2, b"a part"), vec![0; 100]].concat();
        assert_eq!(find(&part).map(|torn| torn.how), Some(How::Otherwise));
    }

    proptest! {
        #[test]
        fn whatever_is_mended_is_told_wherever_rocksdb_looks(
            parts in proptest::collection::vec((0_u8..20, 0_usize..300, any::<u8>()), 0..200),
        ) {
            let mut log = Vec::new();
            for (kind, size, byte) in parts {
                match kind {
                    0..12 => log.extend(record(kind, &vec![byte; size])),
                    12 => log.extend(vec![0; size]),
                    13 => log.resize(log.len().next_multiple_of(BLOCK), byte),
                    _ => log.extend(vec![byte; size]),
                }
            }
            let Some(torn) = find(&log) else { return Ok(()) };
            if torn.how == How::Cut {
                return Ok(());
            }
            for place in std::iter::once(torn.first).chain(torn.blocks) {
                let at = usize::try_from(place).expect("within it");
                log[at + TYPE_AT] = NO_TYPE;
                let rest = &log[at..log.len().min((at / BLOCK + 1) * BLOCK)];
                let found = record_at(rest, false);
                prop_assert!(matches!(found, Some(Found::Broken | Found::Cut)), "{:?}", found);
            }
        }
    }
}
