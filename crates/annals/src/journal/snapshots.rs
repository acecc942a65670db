//! A directory of snapshots: a Journal's own `snapshots/`, or any other.
//!
//! ```text
//!   snapshots/
//!     SERIES/                           what a projection with a query keeps
//!       00000000000000001000.snapshot   at head 1000
//!       *.TIME-UUID.new                 one that is being written since TIME, in ms since 1970
//! ```
//! So nobody looks through what others keep, however many there are. What lies elsewhere in the directory is ignored.
//!
//! Any number of processes and threads may save at once, the same snapshot too: each writes a file of its own name,
//! and whoever renames his last has it there. A file that a process left behind when it ended is known by its age,
//! for nobody can tell of all processes that may share a directory which are still there.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::fs::{FileSystem, RealFileSystem, StoreFile, UNFINISHED, read_up_to, write_by};
use crate::SnapshotStore;
use crate::snapshot::check_series;

const EXTENSION: &str = ".snapshot";

/// Bytes of the largest snapshot. One that seems larger is damaged; to read it would cost all memory.
const MAX_BYTES: u64 = 1 << 30;

/// After so many ms a file that was not finished never will be.
const LEFT_AFTER_MS: u64 = 60 * 60 * 1_000;

/// Snapshots in the files of a directory, which is made when the first is kept.
///
/// Each is written under another name, synced and renamed, so it is there whole or not at all. It has at most 1 GiB; a
/// larger one is not kept.
#[derive(Debug, Clone)]
pub struct DirectorySnapshots {
    path: PathBuf,
    system: Arc<dyn FileSystem>,
}

impl DirectorySnapshots {
    /// The directory at `path`, whether or not it is there yet; it should be of this log alone, and its parent exist.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(RealFileSystem), path)
    }

    /// As [`at`](Self::at), on another file system.
    #[must_use]
    pub fn on(system: Arc<dyn FileSystem>, path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), system }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, series: &str, head: u64) -> PathBuf {
        self.path.join(series).join(format!("{head:020}{EXTENSION}"))
    }

    /// Makes a directory unless it is there, and makes that durable.
    fn create(&self, directory: &Path) -> io::Result<()> {
        match self.system.create_directory(directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
                self.system.sync_directory(parent.unwrap_or(Path::new(".")))
            }
        }
    }

    fn names(&self, series: &str) -> io::Result<Vec<String>> {
        match self.system.list(&self.path.join(series)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            names => names,
        }
    }

    /// Removes what processes that ended left half-written of this series.
    fn remove_left(&self, series: &str) -> io::Result<()> {
        let now = now_ms();
        for name in self.names(series)? {
            if is_left(&name, now) {
                remove(&*self.system, &self.path.join(series).join(name))?;
            }
        }
        Ok(())
    }
}

/// A name for the file at `path` while it is written, which no other has.
fn unfinished(path: &Path) -> PathBuf {
    let extension = format!("{}-{}.{UNFINISHED}", now_ms(), uuid::Uuid::new_v4().simple());
    path.with_added_extension(extension)
}

/// Whether this is the name of a file that nobody writes any more. A time that lies ahead is that of another clock.
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
        self.create(&self.path)?;
        self.create(&self.path.join(series))?;
        self.remove_left(series)?;
        let file = self.file(series, head);
        let unfinished = unfinished(&file);
        let write = |file: &dyn StoreFile| file.write_at(bytes, 0);
        let written = write_by(&*self.system, &unfinished, &file, write);
        if written.is_err() {
            // If it was not made, there is nothing to remove; if this fails as well, it is removed for its age.
            let _ = self.system.remove(&unfinished);
        }
        written
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        check_series(series)?;
        read_up_to(&*self.system, &self.file(series, head), MAX_BYTES)
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        check_series(series)?;
        let head = |name: &String| {
            let digits = name.strip_suffix(EXTENSION)?;
            (digits.len() == 20).then(|| digits.parse().ok())?
        };
        Ok(self.names(series)?.iter().filter_map(head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        check_series(series)?;
        remove(&*self.system, &self.file(series, head))
    }
}

fn remove(system: &dyn FileSystem, path: &Path) -> io::Result<()> {
    match system.remove(path) {
        // Another process was quicker.
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
        let place = DirectorySnapshots::at(directory.path().join("snapshots"));
        assert!(place.heads("seat").unwrap().is_empty());
        place.remove("seat", 1).unwrap();
        assert_eq!(place.load("seat", 1).unwrap_err().kind(), ErrorKind::NotFound);
        for (series, head) in [("seat", 1), ("seat", 20), ("seat-2", 3)] {
            place.save(series, head, series.as_bytes()).unwrap();
        }
        for others in ["seat/7.snapshot", "seat/00000000000000000009.snapshot.new"] {
            std::fs::write(place.path().join(others), "half").unwrap();
        }
        // As they were kept once.
        std::fs::write(place.path().join("seat.00000000000000000005.snapshot"), "old").unwrap();
        let mut heads = place.heads("seat").unwrap();
        heads.sort_unstable();
        assert_eq!(heads, [1, 20]);
        let unfinished = unfinished(&place.file("seat", 20));
        std::fs::write(&unfinished, "half").unwrap();
        place.save("seat", 20, b"again").unwrap();
        assert_eq!(place.load("seat", 20).unwrap(), b"again");
        // Somebody may be writing this one.
        let left: Vec<_> = place
            .names("seat")
            .unwrap()
            .into_iter()
            .filter(|name| name.ends_with(UNFINISHED))
            .collect();
        assert_eq!(left, [unfinished.file_name().unwrap().to_str().unwrap()]);
        place.remove("seat", 1).unwrap();
        assert_eq!(place.heads("seat").unwrap(), [20]);
    }

    #[test]
    fn it_never_leaves_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapshots");
        let place = DirectorySnapshots::at(&path);
        place.save("seat", 1, b"kept").unwrap();
        // As left by a process that ended; beside the directory it is not this store's to remove.
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
                place.save(series, 7, b"astray").unwrap_err().kind(),
                place.load(series, 7).unwrap_err().kind(),
                place.heads(series).unwrap_err().kind(),
                place.remove(series, 7).unwrap_err().kind(),
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
        assert!(!is_left(unfinished(Path::new("seat")).to_str().unwrap(), now));
    }

    #[test]
    fn any_number_save_at_once_and_nothing_is_torn_or_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapshots");
        std::thread::scope(|scope| {
            for saver in 1..=4_u8 {
                // As many places as there would be processes.
                let place = DirectorySnapshots::at(&path);
                scope.spawn(move || {
                    for round in 0..40 {
                        place
                            .save("seat", round % 2, &vec![saver; usize::from(saver) << 12])
                            .unwrap();
                        let bytes = place.load("seat", round % 2).unwrap();
                        assert_eq!(bytes.len(), usize::from(bytes[0]) << 12);
                        assert!(bytes.iter().all(|&byte| byte == bytes[0]));
                    }
                });
            }
        });
        assert_eq!(DirectorySnapshots::at(&path).names("seat").unwrap().len(), 2);
    }
}
