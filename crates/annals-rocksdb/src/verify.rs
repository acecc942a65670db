//! Verifies a whole store: every block with its checksum in RocksDB, and every key of the index against the events.

use std::collections::BTreeMap;
use std::path::Path;

use annals::backend::{Hasher, Kind};
use annals::{OpenError, ReadError, VerifyReport};
use rocksdb::ReadOptions;

use crate::chunk::{ChunkWriter, MemChunk, widen};
use crate::cursor::EventCursor;
use crate::database::{Database, beside_a_writer};
use crate::keys;
use crate::options::RocksDbOptions;
use crate::recovery::as_open_error;
use crate::status::not_ours;

/// How often a verification that found problems is repeated.
const RETRIES: u32 = 4;

/// The progress is reported after this number of events.
const WATCH_EVENTS: u64 = 1_024;

/// Verifies every event and every index key of the log in the database at `path`, without changing anything. Another
/// process may be writing to the store. In the report, `segments` is the number of RocksDB's files.
///
/// # Errors
/// [`OpenError`] if the path has no store, or if the system fails. Damage is not an error: it is in the report.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, OpenError> {
    verify_watched(path, |_, _| {})
}

/// Does what [`verify()`] does, and calls `watch` many times with the number of events that were checked, and the
/// number of all events. The last call has the same number twice, unless the log is damaged. A verification that finds
/// damage is repeated, and then begins at 0 again.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_rocksdb::{RocksDb, verify_watched};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("rocks");
/// let store = EventStore::<RawEvent, _>::on(RocksDb::open(&path)?);
/// store.append(RawEvent::builder("counted").build()?)?;
/// let mut percent = 0;
/// let report = verify_watched(&path, |done, all| percent = done * 100 / all.max(1))?;
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
    let path = path.as_ref();
    let watch: &mut dyn FnMut(u64, u64) = &mut watch;
    let mut report = verify_once(path, watch)?;
    // A writing process may have removed a file after this one had learned of it. Such a problem does not show twice.
    for _ in 0..RETRIES {
        if report.problems.is_empty() {
            break;
        }
        let before = std::mem::replace(&mut report, verify_once(path, watch)?);
        if report.problems == before.problems {
            break;
        }
    }
    Ok(report)
}

fn verify_once(path: &Path, watch: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, OpenError> {
    let mut report = VerifyReport::default();
    match check(path, &mut report, watch) {
        Err(OpenError::Corrupt(damage)) => report.problems.push(damage),
        checked => checked?,
    }
    Ok(report)
}

fn check(
    path: &Path,
    report: &mut VerifyReport,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<(), OpenError> {
    let database = beside_a_writer(|| Database::open_as_is(path, &RocksDbOptions::default()))?;
    report.segments = database.db().live_files().map_or(0, |files| files.len()) as u64;
    let mut check = Check { hasher: database.hasher(), database: &database, report, correct: 0 };
    check
        .events(watch)
        .and_then(|()| check.surplus_keys())
        .map_err(|error| as_open_error(path, error))?;
    let closed = database.closed_head()?;
    if report.problems.is_empty() && report.events < closed {
        let expected = format!("events up to offset {closed}, where it was closed");
        let found = format!("events up to offset {}", report.events);
        report.problems.push(not_ours(&database.path, report.events, &expected, found));
    }
    Ok(())
}

struct Check<'a> {
    database: &'a Database,
    hasher: Hasher,
    report: &'a mut VerifyReport,
    /// The number of correct keys of the index and of ids.
    correct: u64,
}

impl Check<'_> {
    /// Reads every event, and compares the keys of every full chunk with its events.
    fn events(&mut self, watch: &mut dyn FnMut(u64, u64)) -> Result<(), ReadError> {
        let mut events = EventCursor::in_order(self.database)?;
        let Some(last) = events.last()? else { return Ok(()) };
        let mut chunk = ChunkWriter::new(0);
        let mut last_time_ms = 0;
        let all = last.offsets.end;
        for offset in 0..all {
            if !chunk.covers(offset) {
                self.compare(&chunk.reader())?;
                chunk = ChunkWriter::new(keys::chunk_of(offset));
            }
            let (event, time_ms) = events.read(offset)?;
            if time_ms < last_time_ms {
                let (expected, found) =
                    (format!("a time from {last_time_ms} ms on"), format!("{time_ms} ms"));
                self.problem(offset, &expected, found);
            }
            last_time_ms = time_ms;
            if events.block_starts_at(offset) {
                chunk.add_block(offset);
            }
            chunk.add_raw(offset, &event, &self.hasher);
            self.report.events = offset + 1;
            self.report.bytes += event.body().len() as u64 + 4;
            if (offset + 1) % WATCH_EVENTS == 0 || offset + 1 == all {
                watch(offset + 1, all);
            }
        }
        Ok(())
    }

    /// Compares the keys of a full chunk with those that its events require.
    fn compare(&mut self, chunk: &MemChunk) -> Result<(), ReadError> {
        let first = chunk.chunk * keys::CHUNK_EVENTS;
        let mut expected = BTreeMap::new();
        for kind in [Kind::Type, Kind::Tag] {
            chunk.index.for_each_name(kind, |name, mut posting| {
                let offsets = (0..posting.len()).flat_map(|at| posting.get(at).to_le_bytes());
                expected
                    .insert(keys::index_key(kind, name, chunk.chunk), offsets.collect::<Vec<u8>>());
            });
        }
        for (key, offsets) in expected {
            let found = self.database.index().get(&key, first)?.map(|stored| widen(&stored));
            self.judge(&key, first, found.as_ref() == Some(&offsets), found.is_some());
        }
        let key = keys::blocks_key(chunk.chunk);
        let found = self.database.index().get(&key, first)?;
        self.judge(&key, first, found == Some(chunk.block_starts()), found.is_some());
        let mut ids = Vec::new();
        chunk.index.for_each_name(Kind::Id, |id, mut posting| {
            ids.push((id.to_owned(), first + u64::from(posting.get(0))));
        });
        for (id, offset) in ids {
            let found = self.database.ids().get(id.as_bytes(), offset)?;
            let is_correct = found.as_deref() == Some(&offset.to_be_bytes());
            self.judge(id.as_bytes(), offset, is_correct, found.is_some());
        }
        Ok(())
    }

    /// Counts a correct key, and reports a wrong or missing one.
    fn judge(&mut self, key: &[u8], offset: u64, is_correct: bool, found: bool) {
        if is_correct {
            self.correct += 1;
            return;
        }
        let expected = format!("the key {:?} with its offsets", String::from_utf8_lossy(key));
        self.problem(offset, &expected, if found { "the key with other offsets" } else { "none" });
    }

    /// Looks for keys of the index that belong to no event.
    fn surplus_keys(&mut self) -> Result<(), ReadError> {
        let mut count = 0;
        for family in [self.database.index(), self.database.ids()] {
            let mut options = ReadOptions::default();
            options.set_total_order_seek(true);
            let mut found = family.iterator(options)?;
            found.seek_to_first();
            while found.valid() {
                count += 1;
                found.next();
            }
            found.status().map_err(self.database.unreadable(0))?;
        }
        if count > self.correct && self.report.problems.is_empty() {
            let expected = format!("{} keys in the index and of ids", self.correct);
            self.problem(0, &expected, format!("{count}"));
        }
        Ok(())
    }

    fn problem(&mut self, offset: u64, expected: &str, found: impl Into<String>) {
        self.report.problems.push(not_ours(&self.database.path, offset, expected, found));
    }
}
