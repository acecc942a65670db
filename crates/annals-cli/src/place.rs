//! What a STORE argument says: which kind of store, and where.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser, ValueParserFactory};

/// What stands in front of the path of a store in RocksDB.
const ROCKSDB: &str = "rocksdb:";

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The directory of a Journal.
    Journal(PathBuf),
    /// The directory of a RocksDB database.
    RocksDb(PathBuf),
}

impl Place {
    /// The store's directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Journal(path) | Self::RocksDb(path) => path,
        }
    }

    /// What its files are called: a Journal has one a segment.
    pub(crate) fn files(&self) -> &'static str {
        match self {
            Self::Journal(_) => "segment",
            Self::RocksDb(_) => "file",
        }
    }

    pub(crate) fn parse(argument: &OsStr) -> Result<Self, String> {
        let place = match after(argument, ROCKSDB) {
            Some(path) => Self::RocksDb(path.into()),
            None => Self::Journal(argument.into()),
        };
        if place.path().as_os_str().is_empty() {
            return Err(
                "give a path: PATH for a store in files, rocksdb:PATH for one in RocksDB".into()
            );
        }
        Ok(place)
    }
}

/// What stands after `start`, if the argument begins with that. It need not be text.
fn after(argument: &OsStr, start: &str) -> Option<OsString> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let rest = argument.as_bytes().strip_prefix(start.as_bytes())?;
        Some(OsStr::from_bytes(rest).to_owned())
    }
    #[cfg(not(unix))]
    {
        argument.to_str()?.strip_prefix(start).map(OsString::from)
    }
}

/// As it is written on the command line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(path) => write!(f, "{}", path.display()),
            Self::RocksDb(path) => write!(f, "{ROCKSDB}{}", path.display()),
        }
    }
}

impl ValueParserFactory for Place {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        OsStringValueParser::new().try_map(|argument| Self::parse(&argument)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_stands_in_front() {
        for (argument, place) in [
            ("my.store", Place::Journal("my.store".into())),
            ("/a/rocksdb:x", Place::Journal("/a/rocksdb:x".into())),
            ("./rocksdb:x", Place::Journal("./rocksdb:x".into())),
            ("rocksdb", Place::Journal("rocksdb".into())),
            ("rocksdb:x", Place::RocksDb("x".into())),
            ("rocksdb:/a/b", Place::RocksDb("/a/b".into())),
            ("rocksdb:rocksdb:x", Place::RocksDb("rocksdb:x".into())),
        ] {
            assert_eq!(Place::parse(argument.as_ref()).as_ref(), Ok(&place));
            assert_eq!(place.to_string(), argument);
        }
        for nothing in ["", "rocksdb:"] {
            assert!(Place::parse(nothing.as_ref()).unwrap_err().contains("give a path"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = OsStr::from_bytes(b"x\xFF");
        let place = Place::parse(OsStr::from_bytes(b"rocksdb:x\xFF"));
        assert_eq!(place, Ok(Place::RocksDb(path.into())));
    }
}
