//! A directory of snapshots: a Journal's own `snapshots/`, or any other.
//!
//! ```text
//!   snapshots/
//!     SERIES.00000000000000001000.snapshot   what a projection with a query keeps at head 1000
//!     *.new                                  one that was being written when the process ended
//! ```

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fs::{FileSystem, RealFileSystem, UNFINISHED, read_up_to, write_all};
use crate::SnapshotStore;

const EXTENSION: &str = ".snapshot";

/// Bytes of the largest snapshot. One that seems larger is damaged; to read it would cost all memory.
const MAX_BYTES: u64 = 1 << 30;

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
        self.path.join(format!("{series}.{head:020}{EXTENSION}"))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        match self.system.list(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            names => names,
        }
    }

    /// Removes what a process that ended left half-written of this series.
    fn remove_unfinished(&self, series: &str) -> io::Result<()> {
        let ending = format!("{EXTENSION}.{UNFINISHED}");
        for name in self.names()? {
            if name.starts_with(series) && name.ends_with(&ending) {
                remove(&*self.system, &self.path.join(name))?;
            }
        }
        Ok(())
    }
}

impl SnapshotStore for DirectorySnapshots {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ErrorKind::FileTooLarge.into());
        }
        match self.system.create_directory(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => {
                created?;
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                self.system.sync_directory(parent.unwrap_or(Path::new(".")))?;
            }
        }
        self.remove_unfinished(series)?;
        write_all(&*self.system, &self.file(series, head), bytes)
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        read_up_to(&*self.system, &self.file(series, head), MAX_BYTES)
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        let head = |name: &String| {
            let digits = name.strip_prefix(series)?.strip_prefix('.')?.strip_suffix(EXTENSION)?;
            (digits.len() == 20).then(|| digits.parse().ok())?
        };
        Ok(self.names()?.iter().filter_map(head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
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
        std::fs::write(place.path().join("seat.7.snapshot"), "?").unwrap();
        std::fs::write(place.path().join("seat.00000000000000000009.snapshot.new"), "half")
            .unwrap();
        let mut heads = place.heads("seat").unwrap();
        heads.sort_unstable();
        assert_eq!(heads, [1, 20]);
        place.save("seat", 20, b"again").unwrap();
        assert_eq!(place.load("seat", 20).unwrap(), b"again");
        assert!(place.names().unwrap().iter().all(|name| !name.ends_with(UNFINISHED)));
        place.remove("seat", 1).unwrap();
        assert_eq!(place.heads("seat").unwrap(), [20]);
    }
}
