//! Ends that a loss of power tore, of RocksDB's logs: such as its recovery does not get past are mended before it.
//!
//! RocksDB's write-ahead logs and manifests are records in blocks of 32 KiB, and none of them crosses a block:
//!
//! ```text
//!   4 checksum (CRC-32C, masked) of type and data   2 size of the data   1 type   the data
//! ```
//! What is read of a write-ahead log ends at the first record that is not whole. Of two kinds of such its reader is not
//! aware, though (`ReadPhysicalRecord`, as it is in RocksDB 11.8):
//!
//! * A type of the records of recycled logs, behind records of another: it answers the same header for ever, and whoever
//!   opens the database hangs (<https://github.com/facebook/rocksdb/issues/13333>).
//! * Zeroes: the block is passed over without a word, and what follows is taken, without what should be before it.
//!
//! So their type is overwritten with one that no record has, and RocksDB finds a wrong checksum. A manifest that ends
//! in anything but zeroes is damage to RocksDB, though a loss of power while it was written leaves that; such an end is
//! cut off, if no whole record is in it. Each of these is the same done twice, and is done only where no process can have
//! opened the database since: it would not have got past it, or would have begun another file. So no lock is needed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use annals::{Corruption, OpenError};
use crc_fast::CrcAlgorithm;

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const TYPE_AT: usize = 6;

const ZERO: u8 = 0;
/// Whole by themselves, or the last part of one.
const FULL: u8 = 1;
const LAST: u8 = 4;
/// Of recycled logs.
const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// What no record has for its type; not such as a reader may pass over, which have the highest bit.
const NO_TYPE: u8 = 0x7f;

/// What is where a record should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Whole {
        size: usize,
    },
    /// The file, or the block, ends before it does.
    Cut,
    Zeroes,
    /// Of a recycled log, whole or not.
    Recycled,
    Broken,
}

/// What `rest`, the rest of a block, begins with. `None`: no room for a record.
fn record_at(rest: &[u8]) -> Option<(Found, u8)> {
    let header = rest.first_chunk::<HEADER>()?;
    let size = HEADER + usize::from(u16::from_le_bytes([header[4], header[5]]));
    let kind = header[TYPE_AT];
    let found = match rest.get(TYPE_AT..size) {
        _ if RECYCLED.contains(&kind) => Found::Recycled,
        None => Found::Cut,
        Some([ZERO]) => Found::Zeroes,
        Some(summed) if masked_crc(summed) == header[..4] => Found::Whole { size },
        Some(_) => Found::Broken,
    };
    Some((found, kind))
}

/// RocksDB's checksum of a record's type and data, as it is in the file.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes).to_le_bytes();
    let crc = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// What a log has that is no whole record, and where: all that RocksDB's reader comes upon before it ends, but the
/// file's end.
fn torn(log: &mut impl Read) -> io::Result<Vec<(u64, Found)>> {
    let mut torn = Vec::new();
    let mut block = Vec::with_capacity(BLOCK);
    let mut first_read = false;
    for start in (0..).step_by(BLOCK) {
        block.clear();
        log.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        let mut at = 0;
        while let Some((found, kind)) = record_at(&block[at..]) {
            match found {
                // Where it ends, if it was aware of what was torn.
                Found::Whole { .. } if !torn.is_empty() => return Ok(torn),
                Found::Whole { size } => {
                    first_read |= kind == FULL || kind == LAST;
                    at += size;
                    continue;
                }
                // It begins with one: a recycled log, in which these are looked at.
                Found::Recycled if !first_read => return Ok(torn),
                Found::Cut if block.len() < BLOCK => {}
                Found::Cut | Found::Zeroes | Found::Recycled | Found::Broken => {
                    torn.push((start + at as u64, found));
                }
            }
            break;
        }
        if block.len() < BLOCK {
            break;
        }
    }
    Ok(torn)
}

/// Where the end of a manifest begins that was torn while it was written: not whole, and nothing whole behind it.
fn torn_end(manifest: &[u8]) -> Option<usize> {
    for start in (0..manifest.len()).step_by(BLOCK) {
        let block = &manifest[start..manifest.len().min(start + BLOCK)];
        let mut at = 0;
        while let Some((found, _)) = record_at(&block[at..]) {
            match found {
                Found::Whole { size } => at += size,
                // The file ends in it: RocksDB takes that for the end.
                Found::Cut if block.len() < BLOCK => return None,
                // Zeroes as well.
                Found::Zeroes if manifest[start + at..].iter().all(|&byte| byte == 0) => {
                    return None;
                }
                _ => return (!has_a_record(manifest, start + at)).then_some(start + at),
            }
        }
    }
    None
}

/// Whether a whole record is anywhere behind `torn`.
fn has_a_record(manifest: &[u8], torn: usize) -> bool {
    (torn + 1..manifest.len()).any(|at| {
        let end = manifest.len().min((at / BLOCK + 1) * BLOCK);
        matches!(record_at(&manifest[at..end]), Some((Found::Whole { .. }, _)))
    })
}

/// The write-ahead logs of a database, and its manifest, if it has one.
fn logs(path: &Path) -> io::Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path)? {
        let log = entry?.path();
        if log.extension().is_some_and(|end| end == "log") {
            logs.push(log);
        }
    }
    logs.sort();
    let current = match fs::read_to_string(path.join("CURRENT")) {
        Ok(name) if name.starts_with("MANIFEST-") => path.join(name.trim_end()),
        // RocksDB tells what is wrong with it.
        Ok(_) => return Ok((logs, None)),
        Err(error) if may_be_gone(&error) => return Ok((logs, None)),
        Err(error) => return Err(error),
    };
    Ok((logs, Some(current)))
}

/// Whether a file could be gone since it was listed, or is none that could be read as text.
fn may_be_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
}

/// A log that is there, open to be read.
fn open(log: &Path) -> io::Result<Option<File>> {
    match File::open(log) {
        Err(error) if may_be_gone(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Mends the ends of the logs of the database at `path`, which is to be opened for writing.
pub(crate) fn mend(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action: "mend the torn end of", path, source }
    };
    let (logs, manifest) = logs(path).map_err(failed(path))?;
    for log in logs {
        mend_log(&log).map_err(failed(&log))?;
    }
    let Some(manifest) = manifest else { return Ok(()) };
    let Some(end) = look_at_manifest(&manifest)? else { return Ok(()) };
    cut(&manifest, end).map_err(failed(&manifest))
}

fn mend_log(log: &Path) -> io::Result<()> {
    let Some(mut file) = open(log)? else { return Ok(()) };
    let mut unaware = torn(&mut file)?;
    unaware.retain(|(_, found)| matches!(found, Found::Recycled | Found::Zeroes));
    if unaware.is_empty() {
        return Ok(());
    }
    let mut file = File::options().write(true).open(log)?;
    for (position, _) in unaware {
        tracing::warn!(log = %log.display(), position, "a torn end that RocksDB is not aware of is mended");
        file.seek(SeekFrom::Start(position + TYPE_AT as u64))?;
        file.write_all(&[NO_TYPE])?;
    }
    file.sync_all()
}

fn cut(manifest: &Path, end: u64) -> io::Result<()> {
    tracing::warn!(manifest = %manifest.display(), end, "a torn end is cut off");
    let file = File::options().write(true).open(manifest)?;
    file.set_len(end)?;
    file.sync_all()
}

/// Refuses a database, which is to be read only, where opening it for writing would mend what RocksDB hangs at, or calls
/// damage.
pub(crate) fn refuse(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { action: "look at", path: path.to_owned(), source };
    let (logs, manifest) = logs(path).map_err(failed)?;
    if let Some(torn) = first_torn(&logs, |found| found == Found::Recycled).map_err(failed)? {
        return Err(torn);
    }
    let Some(manifest) = manifest else { return Ok(()) };
    look_at_manifest(&manifest)?.map_or(Ok(()), |end| Err(to_be_mended(&manifest, end)))
}

/// What is torn in the write-ahead logs of a database that a follower did not open, to be told in place of what RocksDB
/// says: that it is damage.
pub(crate) fn why_not_followed(path: &Path) -> Option<OpenError> {
    let (logs, _) = logs(path).ok()?;
    first_torn(&logs, |_| true).ok()?
}

fn first_torn(logs: &[PathBuf], is_it: impl Fn(Found) -> bool) -> io::Result<Option<OpenError>> {
    for log in logs {
        let Some(mut file) = open(log)? else { continue };
        let torn = torn(&mut file)?;
        if let Some((position, _)) = torn.iter().find(|(_, found)| is_it(*found)) {
            return Ok(Some(to_be_mended(log, *position)));
        }
    }
    Ok(None)
}

fn to_be_mended(log: &Path, position: u64) -> OpenError {
    let what = format!(
        "from byte {position} on it is torn, as a loss of power leaves it: opening the store for writing mends that"
    );
    let source = io::Error::new(io::ErrorKind::InvalidData, what);
    OpenError::Io { action: "read", path: log.to_owned(), source }
}

/// Where the torn end of a manifest begins, if it has one. An error: other damage, at which RocksDB would hang.
fn look_at_manifest(manifest: &Path) -> Result<Option<u64>, OpenError> {
    let mut bytes = Vec::new();
    let read = match open(manifest) {
        Ok(Some(mut file)) => file.read_to_end(&mut bytes),
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    let failed = |source| OpenError::Io { action: "read", path: manifest.to_owned(), source };
    read.map_err(failed)?;
    if let Some(end) = torn_end(&bytes) {
        return Ok(Some(end as u64));
    }
    let torn = torn(&mut &bytes[..]).map_err(failed)?;
    match torn.iter().find(|(_, found)| *found == Found::Recycled) {
        None => Ok(None),
        Some((position, _)) => Err(OpenError::Corrupt(Corruption {
            file: manifest.to_owned(),
            position: *position,
            offset: 0,
            expected: "a record of RocksDB's".to_owned(),
            found: "none, and whole ones behind it".to_owned(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let summed = [&[kind], data].concat();
        let size = u16::try_from(data.len()).expect("a short one").to_le_bytes();
        [&masked_crc(&summed)[..], &size, &summed].concat()
    }

    fn torn_in(log: &[u8]) -> Vec<(u64, Found)> {
        torn(&mut &log[..]).expect("bytes are read")
    }

    /// A log with two whole records, and where they end.
    fn two() -> (Vec<u8>, u64) {
        let log = [record(FULL, b"one"), record(FULL, b"two")].concat();
        let end = log.len() as u64;
        (log, end)
    }

    #[test]
    fn what_is_whole_or_ends_early_is_not_torn() {
        let (log, _) = two();
        for end in 0..=log.len() {
            assert_eq!(torn_in(&log[..end]), []);
            assert_eq!(torn_end(&log[..end]), None);
        }
    }

    #[test]
    fn rocksdb_writes_records_as_they_are_read_here() {
        let place = tempfile::tempdir().expect("a directory");
        let database = rocksdb::DB::open_default(place.path()).expect("a database");
        for n in 0..2_000_u32 {
            // Over blocks, and within them.
            let value = vec![b'x'; if n % 100 == 0 { 70_000 } else { n as usize % 90 }];
            database.put(n.to_le_bytes(), value).expect("it is written");
        }
        let (logs, manifest) = logs(place.path()).expect("they are listed");
        assert_eq!(logs.len(), 1);
        for log in logs.iter().chain(&manifest) {
            let bytes = fs::read(log).expect("it is read");
            let mut records = 0;
            for block in bytes.chunks(BLOCK) {
                let mut at = 0;
                while let Some((found, _)) = record_at(&block[at..]) {
                    let Found::Whole { size } = found else { panic!("{found:?}") };
                    (at, records) = (at + size, records + 1);
                }
            }
            assert!(records > 3, "{records}");
            assert_eq!(torn_in(&bytes), []);
            assert_eq!(torn_end(&bytes), None);
        }
    }

    #[test]
    fn a_type_of_recycled_logs_is_torn_but_in_a_recycled_log() {
        let (log, end) = two();
        for kind in RECYCLED {
            let torn = [&log[..], &record(kind, b"1234three"), &vec![9; 40_000]].concat();
            assert_eq!(torn_in(&torn)[0], (end, Found::Recycled), "{kind}");
            let recycled = [record(kind, b"1234one"), torn].concat();
            assert_eq!(torn_in(&recycled), [], "{kind}");
        }
    }

    #[test]
    fn all_is_found_in_blocks_behind_a_torn_one_up_to_a_whole_record() {
        let (mut log, end) = two();
        let broken = log.len();
        log.resize(BLOCK, 7);
        log[broken + TYPE_AT] = FULL;
        log.extend(record(8, b"1234"));
        log.resize(2 * BLOCK, 7);
        log.extend([0; 500]);
        log.resize(3 * BLOCK, 7);
        let next = log.len();
        log.extend(record(FULL, b"whole"));
        log.extend(record(5, b"5678"));
        let (second, third) = (BLOCK as u64, 2 * BLOCK as u64);
        let all = [(end, Found::Broken), (second, Found::Recycled), (third, Found::Zeroes)];
        assert_eq!(torn_in(&log), all);
        // Without what was torn.
        log.drain(broken..next);
        assert_eq!(torn_in(&log), [(end + 12, Found::Recycled)]);
    }

    #[test]
    fn a_torn_end_of_a_manifest_has_nothing_whole_in_it() {
        let (log, end) = two();
        let end = usize::try_from(end).expect("a short one");
        for torn in [&[9; 100][..], &[7, 7, 7, 7, 2, 0, 1, 7, 7], &record(6, b"1234")] {
            let manifest = [&log[..], torn].concat();
            assert_eq!(torn_end(&manifest), Some(end).filter(|_| torn[0] != 9));
            let manifest = [&manifest[..], &record(FULL, b"three")].concat();
            assert_eq!(torn_end(&manifest), None, "damage");
        }
        assert_eq!(torn_end(&[&log[..], &[0; 100]].concat()), None, "zeroes are an end to RocksDB");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_is_mended_stays_so(
            blocks in proptest::collection::vec((0_u8..20, 0_usize..300, any::<u8>()), 0..200),
        ) {
            let mut log = Vec::new();
            for (kind, size, byte) in blocks {
                match kind {
                    0..12 => log.extend(record(kind, &vec![byte; size])),
                    12 => log.extend(vec![0; size]),
                    13 => log.resize(log.len().next_multiple_of(BLOCK), byte),
                    _ => log.extend(vec![byte; size]),
                }
            }
            torn_end(&log);
            let torn = torn_in(&log);
            for (position, _) in &torn {
                log[usize::try_from(*position).expect("within it") + TYPE_AT] = NO_TYPE;
            }
            let again = torn_in(&log);
            prop_assert!(again.iter().map(|(at, _)| at).eq(torn.iter().map(|(at, _)| at)));
            let told = |found| matches!(found, Found::Broken | Found::Cut);
            prop_assert!(again.iter().all(|(_, found)| told(*found)));
        }
    }
}
