//! RocksDB's errors as the log's: which file, where, and what can be done.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{Corruption, LockHolder, OpenError, ReadError};
use rocksdb::{Error, ErrorKind};

/// Why a database did not open.
pub(crate) fn open_error(path: &Path, error: Error) -> OpenError {
    let text = error.to_string();
    let path = path.to_owned();
    if is_locked(&text) {
        let here = text.contains("current process");
        let holder = if here { LockHolder::ThisProcess } else { LockHolder::Unknown };
        return OpenError::Locked { path, holder };
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

fn is_locked(text: &str) -> bool {
    text.contains("lock hold by current process")
        || (text.contains("LOCK") && text.contains("lock"))
}

/// Why something of the database could not be read; `offset` is the first event that it concerns.
pub(crate) fn read_error(path: &Path, offset: u64, error: Error) -> ReadError {
    match error.kind() {
        ErrorKind::Corruption => ReadError::Corrupt(corruption(path, offset, error.as_ref())),
        _ => ReadError::Io { path: path.to_owned(), source: Arc::new(io_error(error)) },
    }
}

/// A write or sync that failed.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn io_error(error: Error) -> io::Error {
    let text = error.to_string();
    let kind = if text.contains("No space left on device") {
        io::ErrorKind::StorageFull
    } else if error.kind() == ErrorKind::Corruption {
        io::ErrorKind::InvalidData
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, text)
}

/// Damage, as RocksDB tells it: the file and position that it names, or the database.
pub(crate) fn corruption(path: &Path, offset: u64, text: &str) -> Corruption {
    let (file, position) = place_in(text).unwrap_or_else(|| (path.to_owned(), 0));
    Corruption {
        file,
        position,
        offset,
        expected: "what RocksDB wrote".to_owned(),
        found: format!("what it tells as {text:?}"),
    }
}

/// What is not as this crate writes it, in a database that is whole for RocksDB.
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

/// The file and position in messages such as `block checksum mismatch: …  in /data/000012.sst offset 4096 size 812`.
fn place_in(text: &str) -> Option<(PathBuf, u64)> {
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
}
