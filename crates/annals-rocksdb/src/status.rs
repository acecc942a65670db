//! Converts RocksDB's errors to those of annals, with the file and the position.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{Corruption, LockHolder, OpenError, ReadError};
use rocksdb::{Error, ErrorKind};

/// Converts the error of opening a database.
pub(crate) fn open_error(path: &Path, error: Error) -> OpenError {
    let text = error.to_string();
    let path = path.to_owned();
    if let Some(holder) = lock_holder(&path, &text) {
        return OpenError::Locked { path, holder };
    }
    if let Some(file) = locked_file(&path, &text) {
        return OpenError::Io { action: "lock", path: file, source: io_error(error) };
    }
    match error.kind() {
        ErrorKind::Corruption => OpenError::Corrupt(corruption(&path, 0, &text)),
        ErrorKind::InvalidArgument if text.contains("olumn famil") => OpenError::NotAStore {
            path,
            found: format!("a RocksDB database of something else ({text})"),
        },
        _ => OpenError::Io { action: "open the RocksDB database", path, source: io_error(error) },
    }
}

/// Returns the holder of the lock, if a database did not open because it is locked. The first text is RocksDB's own
/// check for a lock of this process, which runs before it opens the file; the second is the system's refusal.
fn lock_holder(path: &Path, text: &str) -> Option<LockHolder> {
    if text.contains("lock hold by current process") {
        return Some(LockHolder::ThisProcess);
    }
    let refused = text.contains("While lock file")
        && system_error(text).is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    refused.then(|| {
        crate::identity::holder_of_lock(path).map_or(LockHolder::Unknown, LockHolder::Process)
    })
}

/// Returns the path of the lock file, if opening or locking that file failed.
fn locked_file(path: &Path, text: &str) -> Option<PathBuf> {
    ["while open a file for lock", "While lock file"]
        .iter()
        .any(|part| text.contains(part))
        .then(|| path.join("LOCK"))
}

/// The largest error number of any system.
const MOST_ERRNO: i32 = 256;

/// Finds the system's error by its text, with which RocksDB's message ends: RocksDB does not pass the error number on.
fn system_error(text: &str) -> Option<io::Error> {
    (1..=MOST_ERRNO).map(io::Error::from_raw_os_error).find(|error| {
        let said = error.to_string();
        let said = said.split(" (os error").next().unwrap_or_default();
        text.strip_suffix(said).is_some_and(|before| before.ends_with(": "))
    })
}

/// Converts the error of a read. `offset` is the first event that the read concerned.
pub(crate) fn read_error(path: &Path, offset: u64, error: Error) -> ReadError {
    match error.kind() {
        ErrorKind::Corruption => ReadError::Corrupt(corruption(path, offset, error.as_ref())),
        _ => ReadError::Io { path: path.to_owned(), source: Arc::new(io_error(error)) },
    }
}

/// Converts the error of a write or sync.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn io_error(error: Error) -> io::Error {
    let text = error.to_string();
    let kind = if error.kind() == ErrorKind::Corruption {
        io::ErrorKind::InvalidData
    } else if text.contains("No space left on device") {
        // RocksDB may add more text behind it.
        io::ErrorKind::StorageFull
    } else {
        system_error(&text).map_or(io::ErrorKind::Other, |error| error.kind())
    };
    io::Error::new(kind, text)
}

/// Returns the damage that RocksDB reports: in the file and at the position that it names, or in the database.
pub(crate) fn corruption(path: &Path, offset: u64, text: &str) -> Corruption {
    let (file, position) = position_in(text).unwrap_or_else(|| (path.to_owned(), 0));
    Corruption {
        file,
        position,
        offset,
        expected: "what RocksDB wrote".to_owned(),
        found: format!("RocksDB's error {text:?}"),
    }
}

/// Returns the damage of content that this crate did not write, in a database without damage for RocksDB.
pub(crate) fn not_ours(
    path: &Path,
    offset: u64,
    expected: &str,
    found: impl Into<String>,
) -> Corruption {
    Corruption {
        file: path.to_owned(),
        position: 0,
        offset,
        expected: expected.to_owned(),
        found: found.into(),
    }
}

/// Finds the file and position in a message such as
/// `block checksum mismatch: …  in /data/000012.sst offset 4096 size 812`.
fn position_in(text: &str) -> Option<(PathBuf, u64)> {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| word.trim_matches([':', ',', ';', '.', '"'])).collect();
    let is_file = |word: &str| {
        [".sst", ".log", ".ldb", ".blob"].iter().any(|end| word.ends_with(end))
            || word.contains("MANIFEST-")
    };
    let at = words.iter().position(|word| is_file(word))?;
    let position = match words.get(at + 1..at + 3) {
        Some(["offset", number]) => number.parse().unwrap_or(0),
        _ => 0,
    };
    Some((PathBuf::from(words[at]), position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_position_are_found_where_they_are_told() {
        let text = "Corruption: block checksum mismatch: stored(context removed) = 1, computed = 2, type = 4  in /d/000012.sst offset 4096 size 812";
        let damage = corruption(Path::new("/d"), 7, text);
        assert_eq!(
            (damage.file, damage.position, damage.offset),
            ("/d/000012.sst".into(), 4_096, 7)
        );
        let damage = corruption(Path::new("/d"), 0, "Corruption: checksum mismatch");
        assert_eq!((damage.file, damage.position), ("/d".into(), 0));
    }

    #[test]
    fn the_lock_is_held_only_where_rocksdb_or_the_system_says_so() {
        let said = |errno: i32| {
            let text = io::Error::from_raw_os_error(errno).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        };
        let held = |text: &str| lock_holder(Path::new("/nowhere"), text);
        let here = "IO error: lock hold by current process, acquire time 1 acquiring thread 2: /d/LOCK: No locks available";
        assert_eq!(held(here), Some(LockHolder::ThisProcess));
        #[cfg(target_os = "linux")]
        for (errno, held_by) in [
            (libc::EAGAIN, Some(LockHolder::Unknown)),
            (libc::ENOLCK, None),
            (libc::EACCES, None),
            (libc::EROFS, None),
        ] {
            let text = format!("IO error: While lock file: /d/LOCK: {}", said(errno));
            assert_eq!(held(&text), held_by, "{text}");
        }
        #[cfg(target_os = "linux")]
        for errno in [libc::EMFILE, libc::EACCES, libc::EROFS, libc::EISDIR, libc::ENOSPC] {
            let text = format!("IO error: while open a file for lock: /d/LOCK: {}", said(errno));
            assert_eq!(held(&text), None, "{text}");
            assert_eq!(locked_file(Path::new("/d"), &text), Some("/d/LOCK".into()));
            assert_eq!(system_error(&text).and_then(|error| error.raw_os_error()), Some(errno));
        }
        assert!(system_error("Corruption: checksum mismatch").is_none());
    }
}
