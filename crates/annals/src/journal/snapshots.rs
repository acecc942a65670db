//! A directory of snapshots: a Journal's own `snapshots/`, or any other.
//!
//! ```text
//!   snapshots/
//!     SERIES/                           the snapshots of one projection with its query
//!       00000000000000001000.snapshot   the snapshot at head 1000
//!       *.TIME-UUID.new                 a snapshot that is being written since TIME, in ms since 1970
//! ```
//! Each series has its own directory, so a projection never lists the snapshots of others. Other files in the directory
//! are ignored.
//!
//! Any number of processes and threads may save at once, also the same snapshot. Each writes a file with a name of its
//! own and renames it; the last rename wins. A process that ended may leave such a file behind. It is recognized by its
//! age, since no process can know which of the processes that share a directory still run.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::directory::SNAPSHOTS;
use super::fs::real::RealFileSystem;
use super::fs::tools::{read_up_to, write_by};
use super::fs::{FileSystem, StoreDirectory, StoreFile, UNFINISHED};
use crate::snapshot::SnapshotStore;
use crate::snapshot::series_name::check_series;
use crate::util::random_id::random_id;

const EXTENSION: &str = ".snapshot";

/// The most bytes of a snapshot. A larger file is damaged, and reading it could take all memory.
const MAX_BYTES: u64 = 1 << 30;

/// The age in ms from which an unfinished file counts as left behind.
const LEFT_AFTER_MS: u64 = 60 * 60 * 1_000;

/// Snapshots in the files of a directory, which is created when the first snapshot is saved.
///
/// Each snapshot is written under another name, synced and renamed, so it is there whole or not at all. A snapshot has
/// at most 1 GiB; a larger one is not saved.
///
/// A Journal has one in its own directory. Another place is for example a faster disk:
///
/// ```
/// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
/// # struct Count;
/// # impl Projection for Count {
/// #     type Event = RawEvent;
/// #     type State = u64;
/// #     fn initial(&self) -> u64 { 0 }
/// #     fn query(&self) -> Query { Query::all() }
/// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
/// # }
/// use annals::{DirectorySnapshots, SnapshotPolicy};
/// use std::sync::Arc;
///
/// # let directory = tempfile::tempdir()?;
/// # let store = EventStore::open(directory.path().join("log.store"))?;
/// # store.append(RawEvent::builder("counted").build()?)?;
/// let snapshots = DirectorySnapshots::at(directory.path().join("snapshots"));
/// let path = snapshots.path().to_owned();
/// let mut count = store.reconstruct(Count).snapshots_in(Arc::new(snapshots), SnapshotPolicy::every(1));
/// assert_eq!(*count.now()?, 1);
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DirectorySnapshots {
    path: PathBuf,
    above: Above,
}

/// The way to the directory.
#[derive(Debug, Clone)]
enum Above {
    /// By its path, whatever is there.
    Path(Arc<dyn FileSystem>),
    /// In a store's own directory, wherever that is moved.
    Store(Arc<dyn StoreDirectory>),
}

impl DirectorySnapshots {
    /// Returns the snapshots at `path`. The directory may not exist yet, but its parent must. It should be used for one
    /// log only.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(RealFileSystem), path)
    }

    /// Returns the snapshots at `path` on another file system, as [`at`](Self::at) does.
    #[must_use]
    pub fn on(system: Arc<dyn FileSystem>, path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), above: Above::Path(system) }
    }

    /// Returns the snapshots of a store with this directory, whose path was `path` when it was opened.
    pub(super) fn of_store(directory: Arc<dyn StoreDirectory>, path: &Path) -> Self {
        Self { path: path.join(SNAPSHOTS), above: Above::Store(directory) }
    }

    /// Returns the directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> io::Result<Arc<dyn StoreDirectory>> {
        match &self.above {
            Above::Path(system) => system.open_directory(&self.path),
            Above::Store(directory) => directory.open_directory(SNAPSHOTS),
        }
    }

    /// Opens the directory. Creates it if it does not exist.
    fn open_or_create(&self) -> io::Result<Arc<dyn StoreDirectory>> {
        match self.open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        match &self.above {
            Above::Path(system) => {
                made(system.create_directory(&self.path))?;
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                system.open_directory(parent.unwrap_or(Path::new(".")))?.sync()?;
            }
            Above::Store(directory) => {
                made(directory.create_directory(SNAPSHOTS))?;
                directory.sync()?;
            }
        }
        self.open()
    }

    /// Opens the directory of a series. Returns `None` if it has no snapshots.
    fn series(&self, series: &str) -> io::Result<Option<Arc<dyn StoreDirectory>>> {
        match self.open().and_then(|directory| directory.open_directory(series)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens the directory of a series. Creates it if it does not exist.
    fn series_or_create(&self, series: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        let directory = self.open_or_create()?;
        match directory.open_directory(series) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                made(directory.create_directory(series))?;
                directory.sync()?;
                directory.open_directory(series)
            }
            opened => opened,
        }
    }
}

/// Accepts that a directory already exists: another process may just have created it.
fn made(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Returns the name of the snapshot at `head`.
fn file_name(head: u64) -> String {
    format!("{head:020}{EXTENSION}")
}

/// Removes the unfinished files that processes left behind in the directory of a series.
fn remove_left(directory: &dyn StoreDirectory) -> io::Result<()> {
    let now = now_ms();
    for name in directory.list()?.iter().filter(|name| is_left(name, now)) {
        remove(directory, name)?;
    }
    Ok(())
}

/// Returns a name, which no other file has, for the file `name` while it is written.
fn unfinished(name: &str) -> String {
    format!("{name}.{}-{}.{UNFINISHED}", now_ms(), random_id().simple())
}

/// Returns whether this is the name of a file that no process writes any more. A time in the future comes from another
/// clock.
fn is_left(name: &str, now_ms: u64) -> bool {
    let Some(name) = name.strip_suffix(&format!(".{UNFINISHED}")) else { return false };
    let since = || name.rsplit_once('.')?.1.split_once('-')?.0.parse::<u64>().ok();
    since().is_none_or(|since| now_ms.abs_diff(since) > LEFT_AFTER_MS)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl SnapshotStore for DirectorySnapshots {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        check_series(series)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let directory = self.series_or_create(series)?;
        remove_left(&*directory)?;
        let name = file_name(head);
        let unfinished = unfinished(&name);
        let write = |file: &dyn StoreFile| file.write_at(bytes, 0);
        let written = write_by(&*directory, &unfinished, &name, write);
        if written.is_err() {
            // If it was not created, nothing has to be removed. If removing fails, a later save removes it for its
            // age.
            let _ = directory.remove(&unfinished);
        }
        written
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        check_series(series)?;
        let directory = self.series(series)?.ok_or(ErrorKind::NotFound)?;
        read_up_to(&*directory, &file_name(head), MAX_BYTES)
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        check_series(series)?;
        let head = |name: &String| {
            let digits = name.strip_suffix(EXTENSION)?;
            (digits.len() == 20).then(|| digits.parse().ok())?
        };
        let Some(directory) = self.series(series)? else { return Ok(Vec::new()) };
        Ok(directory.list()?.iter().filter_map(head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        check_series(series)?;
        let Some(directory) = self.series(series)? else { return Ok(()) };
        remove(&*directory, &file_name(head))
    }
}

fn remove(directory: &dyn StoreDirectory, name: &str) -> io::Result<()> {
    match directory.remove(name) {
        // Another process removed it first.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_when_it_is_needed_and_knows_its_own_files() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = DirectorySnapshots::at(directory.path().join("snapshots"));
        assert!(snapshots.heads("seat").unwrap().is_empty());
        snapshots.remove("seat", 1).unwrap();
        assert_eq!(snapshots.load("seat", 1).unwrap_err().kind(), ErrorKind::NotFound);
        for (series, head) in [("seat", 1), ("seat", 20), ("seat-2", 3)] {
            snapshots.save(series, head, series.as_bytes()).unwrap();
        }
        for others in ["seat/7.snapshot", "seat/00000000000000000009.snapshot.new"] {
            std::fs::write(snapshots.path().join(others), "half").unwrap();
        }
        // Under the name that an older annals gave it.
        std::fs::write(snapshots.path().join("seat.00000000000000000005.snapshot"), "old").unwrap();
        let mut heads = snapshots.heads("seat").unwrap();
        heads.sort_unstable();
        assert_eq!(heads, [1, 20]);
        let names = || snapshots.series("seat").unwrap().unwrap().list().unwrap();
        let unfinished = unfinished(&file_name(20));
        std::fs::write(snapshots.path().join("seat").join(&unfinished), "half").unwrap();
        snapshots.save("seat", 20, b"again").unwrap();
        assert_eq!(snapshots.load("seat", 20).unwrap(), b"again");
        // Another process may be writing this one.
        let left: Vec<_> = names().into_iter().filter(|name| name.ends_with(UNFINISHED)).collect();
        assert_eq!(left, [unfinished]);
        snapshots.remove("seat", 1).unwrap();
        assert_eq!(snapshots.heads("seat").unwrap(), [20]);
    }

    #[test]
    fn it_never_leaves_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapshots");
        let snapshots = DirectorySnapshots::at(&path);
        snapshots.save("seat", 1, b"kept").unwrap();
        // Files like those that a process leaves behind, but outside the directory, which must not be touched.
        let others = [
            directory.path().join("a.1-5ea7.new"),
            directory.path().join("00000000000000000007.snapshot"),
        ];
        for file in &others {
            std::fs::write(file, "others'").unwrap();
        }
        let absolute = directory.path().to_str().unwrap();
        for series in ["..", ".", "", "../", "seat/..", "seat/../..", absolute, "\\seat", "a\0"] {
            let kinds = [
                snapshots.save(series, 7, b"astray").unwrap_err().kind(),
                snapshots.load(series, 7).unwrap_err().kind(),
                snapshots.heads(series).unwrap_err().kind(),
                snapshots.remove(series, 7).unwrap_err().kind(),
            ];
            assert_eq!(kinds, [ErrorKind::InvalidInput; 4], "{series:?}");
        }
        assert!(others.iter().all(|file| std::fs::read(file).unwrap() == b"others'"));
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn what_was_left_half_written_is_known_by_its_age() {
        let name = |since: u64| format!("00000000000000000009.snapshot.{since}-5ea7.new");
        let now = 1_800_000_000_000;
        assert!(!is_left(&name(now), now));
        assert!(!is_left(&name(now - LEFT_AFTER_MS), now));
        assert!(is_left(&name(now - LEFT_AFTER_MS - 1), now));
        assert!(is_left(&name(now + LEFT_AFTER_MS + 1), now));
        assert!(is_left("00000000000000000009.snapshot.new", now));
        assert!(!is_left("00000000000000000009.snapshot", now));
        let now = now_ms();
        assert!(!is_left(&unfinished("seat"), now));
    }

    #[test]
    fn any_number_save_at_once_and_nothing_is_torn_or_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapshots");
        std::thread::scope(|scope| {
            for saver in 1..=4_u8 {
                // As many places as there would be processes.
                let snapshots = DirectorySnapshots::at(&path);
                scope.spawn(move || {
                    for round in 0..40 {
                        snapshots
                            .save("seat", round % 2, &vec![saver; usize::from(saver) << 12])
                            .unwrap();
                        let bytes = snapshots.load("seat", round % 2).unwrap();
                        assert_eq!(bytes.len(), usize::from(bytes[0]) << 12);
                        assert!(bytes.iter().all(|&byte| byte == bytes[0]));
                    }
                });
            }
        });
        let kept = DirectorySnapshots::at(&path).series("seat").unwrap().unwrap();
        assert_eq!(kept.list().unwrap().len(), 2);
    }
}
