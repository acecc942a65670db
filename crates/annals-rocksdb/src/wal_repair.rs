//! Repairs write-ahead logs of RocksDB that a loss of power tore, where RocksDB's own recovery fails.
//!
//! RocksDB replays a write-ahead log up to the first torn record, and reads on to see whether a whole record follows.
//! RocksDB misses two kinds of torn record (`log::Reader` and `FragmentBufferedReader` of RocksDB 11.8):
//!
//! * A record with a type of recycled logs. Behind a record of another type, and anywhere in a follower, RocksDB
//!   reads the same header forever, and opening the database hangs
//!   (<https://github.com/facebook/rocksdb/issues/13333>).
//! * Zeroes. RocksDB skips the rest of the block silently and replays the records behind it, without those before.
//!
//! The repair overwrites the record types that RocksDB would read from the torn record on: the type of that record,
//! and the type of the first record of each later block. The new type belongs to no record, so RocksDB finds wrong
//! checksums up to the end of the log. Only logs that no process has opened since the loss of power are repaired,
//! because opening removes them. Repairing twice has the same result as once. So the repair needs no lock.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use annals::{Corruption, OpenError};

use crate::wal_record::{
    BLOCK, Found, HEADER, NO_TYPE, PARTS, RECYCLED, TYPE_AT, is_zero, record_at,
};

/// The torn end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Torn {
    kind: TornKind,
    /// The position of the first torn record in bytes.
    first: u64,
    /// The positions of the blocks behind it in bytes.
    blocks: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TornKind {
    /// The file ends before the record does, which RocksDB takes for the end of the log.
    Cut,
    /// Only zeroes, and no part of a split record before them, which RocksDB takes for the end as well.
    Zeroes,
    Other,
}

/// Finds the torn end of a log; `None` if the log is whole.
fn find_torn(log: &mut impl Read) -> io::Result<Option<Torn>> {
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
            None => torn = find_torn_in(&block, start, is_recycled, &mut before),
            Some(torn) => {
                if block.len() >= HEADER {
                    torn.blocks.push(start);
                }
                if !is_zero(&block) {
                    torn.kind = TornKind::Other;
                }
            }
        }
        if block.len() < BLOCK {
            break;
        }
    }
    Ok(torn)
}

/// Finds the torn end of a log in one block, which begins at `start`. `before` is the type of the last whole record
/// before the block, and is set to that of the last whole record in it.
fn find_torn_in(block: &[u8], start: u64, is_recycled: bool, before: &mut u8) -> Option<Torn> {
    let is_last = block.len() < BLOCK;
    let mut at = 0;
    let kind = loop {
        let rest = &block[at..];
        match record_at(rest, is_recycled) {
            Some(Found::Whole { size }) => {
                *before = rest[TYPE_AT];
                at += size;
            }
            None if !is_last || rest.is_empty() => return None,
            None => break TornKind::Cut,
            Some(Found::Cut) if is_last => break TornKind::Cut,
            Some(_) if is_zero(rest) && !PARTS.contains(before) => break TornKind::Zeroes,
            Some(Found::Cut | Found::Damaged) => break TornKind::Other,
        }
    };
    Some(Torn { kind, first: start + at as u64, blocks: Vec::new() })
}

/// Repairs the write-ahead logs of the store at `path`, before it is opened for writing.
pub(crate) fn repair(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action: "repair the torn end of", path, source }
    };
    for log in wal_files(path).map_err(failed(path))? {
        repair_log(&log).map_err(failed(&log))?;
    }
    Ok(())
}

fn repair_log(log: &Path) -> io::Result<()> {
    let Some(torn) = inspect(log)?.filter(|torn| torn.kind != TornKind::Cut) else { return Ok(()) };
    let Some(mut file) = if_exists(File::options().write(true).open(log))? else { return Ok(()) };
    tracing::warn!(log = %log.display(), position = torn.first, "repairing the torn end of a write-ahead log");
    for record in std::iter::once(torn.first).chain(torn.blocks) {
        file.seek(SeekFrom::Start(record + TYPE_AT as u64))?;
        file.write_all(&[NO_TYPE])?;
    }
    file.sync_all()
}

/// Fails if the database has a torn write-ahead log. In the last log, an end that RocksDB takes for one is allowed. The
/// error message ends with `advice`.
pub(crate) fn refuse_torn(path: &Path, advice: &str) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { action: "read", path, source }
    };
    let mut is_last = true;
    for log in wal_files(path).map_err(failed(path))?.into_iter().rev() {
        let torn = inspect(&log).map_err(failed(&log))?;
        if let Some(torn) = torn.filter(|torn| torn.kind == TornKind::Other || !is_last) {
            let what = format!(
                "it is torn from byte {} on, as after a loss of power; {advice}",
                torn.first
            );
            return Err(failed(&log)(io::Error::new(io::ErrorKind::InvalidData, what)));
        }
        // An empty log behind it does not make a log one before the last.
        is_last &= fs::metadata(&log).is_ok_and(|log| log.len() == 0);
    }
    Ok(())
}

/// Fails if the manifest of the database is damaged: RocksDB may hang on it as well.
pub(crate) fn check_manifest(path: &Path) -> Result<(), OpenError> {
    let manifest = match fs::read_to_string(path.join("CURRENT")) {
        Ok(name) if name.starts_with("MANIFEST-") => path.join(name.trim_end()),
        // RocksDB reports what is wrong with it.
        _ => return Ok(()),
    };
    let io = |source| OpenError::Io { action: "read", path: manifest.clone(), source };
    match inspect(&manifest).map_err(io)?.filter(|torn| torn.kind == TornKind::Other) {
        None => Ok(()),
        Some(torn) => Err(OpenError::Corrupt(Corruption {
            file: manifest,
            position: torn.first,
            offset: 0,
            expected: "a record of RocksDB".to_owned(),
            found: "bytes that are not a record".to_owned(),
        })),
    }
}

/// Returns the paths of the write-ahead logs of a database, in order.
pub(crate) fn wal_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        if number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit())) {
            logs.push(entry.path());
        }
    }
    // The numbers have at least six digits. A longer one is later.
    logs.sort_by_key(|log| (log.as_os_str().len(), log.clone()));
    Ok(logs)
}

fn inspect(log: &Path) -> io::Result<Option<Torn>> {
    match if_exists(File::open(log))? {
        Some(mut file) => find_torn(&mut file),
        None => Ok(None),
    }
}

/// Returns `None` for a file that does not exist: another process may have removed it since it was listed.
fn if_exists(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wal_record::masked_crc;

    const FULL: u8 = 1;

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let number: &[u8] = if RECYCLED.contains(&kind) { &[9, 0, 0, 0] } else { &[] };
        let summed = [&[kind], number, data].concat();
        let size = u16::try_from(data.len()).expect("a short one").to_le_bytes();
        [&masked_crc(&summed)[..], &size, &summed].concat()
    }

    fn find(log: &[u8]) -> Option<Torn> {
        find_torn(&mut &log[..]).expect("bytes are read")
    }

    fn first(log: &[u8]) -> Option<u64> {
        find(log).map(|torn| torn.first)
    }

    /// Returns a log with two whole records, and the position of its end.
    fn two() -> (Vec<u8>, u64) {
        let log = [record(FULL, b"one"), record(FULL, b"two")].concat();
        let end = log.len() as u64;
        (log, end)
    }

    #[test]
    fn a_whole_log_and_a_cut_log_are_distinguished() {
        let (log, _) = two();
        for end in 0..=log.len() {
            let kind = find(&log[..end]).map(|torn| torn.kind);
            let is_whole = [0, log.len() / 2, log.len()].contains(&end);
            assert_eq!(kind, (!is_whole).then_some(TornKind::Cut), "{end}");
        }
    }

    #[test]
    fn rocksdb_writes_records_as_they_are_read_here() {
        for recycled in [0, 2] {
            let directory = tempfile::tempdir().expect("a directory");
            let mut options = rocksdb::Options::default();
            options.create_if_missing(true);
            options.set_recycle_log_file_num(recycled);
            options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::SkipAnyCorruptedRecord);
            let database = rocksdb::DB::open(&options, directory.path()).expect("a database");
            for n in 0..2_000_u32 {
                // Some values cross blocks, and most do not.
                let value = vec![b'x'; if n % 100 == 0 { 70_000 } else { n as usize % 90 }];
                database.put(n.to_le_bytes(), value).expect("it is written");
            }
            let logs = wal_files(directory.path()).expect("they are listed");
            assert_eq!(logs.len(), 1);
            let bytes = fs::read(&logs[0]).expect("it is read");
            assert_eq!(RECYCLED.contains(&bytes[TYPE_AT]), recycled > 0);
            assert_eq!(find(&bytes), None, "{recycled}");
            let mut records = 0;
            for block in bytes.chunks(BLOCK) {
                let mut at = 0;
                while let Some(found) = record_at(&block[at..], recycled > 0) {
                    // The end of the block has no room for the longer header of a record of a recycled log.
                    let Found::Whole { size } = found else { break };
                    (at, records) = (at + size, records + 1);
                }
                assert!(block.len() - at < HEADER + 4, "{recycled}: {at} of {}", block.len());
            }
            assert!(records > 2_000, "{records}");
            check_manifest(directory.path()).expect("a manifest");
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
            // A torn first record does not make the log a recycled one.
            let mut damaged = recycled;
            damaged[0] ^= 1;
            assert_eq!(first(&damaged), Some(0), "{kind}");
        }
    }

    #[test]
    fn a_log_is_torn_up_to_its_end() {
        let (mut log, end) = two();
        log.resize(BLOCK, 9);
        let whole = record(2, &vec![7; BLOCK - HEADER]);
        log.extend([&whole[..], &whole, &[0; 6]].concat());
        let blocks = vec![BLOCK as u64, 2 * BLOCK as u64];
        assert_eq!(find(&log), Some(Torn { kind: TornKind::Other, first: end, blocks }));
    }

    #[test]
    fn zeroes_are_an_end_if_nothing_is_behind_them() {
        let (mut log, end) = two();
        log.resize(2 * BLOCK + 100, 0);
        let blocks = vec![BLOCK as u64, 2 * BLOCK as u64];
        let torn = |kind| Some(Torn { kind, first: end, blocks: blocks.clone() });
        assert_eq!(find(&log), torn(TornKind::Zeroes));
        log.push(1);
        assert_eq!(find(&log), torn(TornKind::Other));
        let part = [record(2, b"a part"), vec![0; 100]].concat();
        assert_eq!(find(&part).map(|torn| torn.kind), Some(TornKind::Other));
    }

    proptest! {
        #[test]
        fn repaired_logs_have_wrong_checksums_wherever_rocksdb_looks(
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
            if torn.kind == TornKind::Cut {
                return Ok(());
            }
            for position in std::iter::once(torn.first).chain(torn.blocks) {
                let at = usize::try_from(position).expect("within it");
                log[at + TYPE_AT] = NO_TYPE;
                let rest = &log[at..log.len().min((at / BLOCK + 1) * BLOCK)];
                let found = record_at(rest, false);
                prop_assert!(matches!(found, Some(Found::Damaged | Found::Cut)), "{:?}", found);
            }
        }
    }
}
