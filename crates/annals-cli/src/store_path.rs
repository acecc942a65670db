//! A STORE argument: the kind of a store, and the path of its directory or the address of its record.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser, ValueParserFactory};

use crate::record_address::RecordAddress;

/// The prefix of the path of a store in RocksDB.
const ROCKSDB_PREFIX: &str = "rocksdb:";

/// The kind of a store, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StorePath {
    /// The directory of a Journal.
    Journal(PathBuf),
    /// The directory of a RocksDB database.
    RocksDb(PathBuf),
    /// The address of a record, and the directory of this process's replica.
    Record(Box<RecordAddress>),
}

impl StorePath {
    /// Returns the path of the store's directory: of a record, that of the replica.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Journal(path) | Self::RocksDb(path) => path,
            Self::Record(address) => address.replica(),
        }
    }

    /// Returns the noun for the store's files. A Journal has one file per segment.
    pub(crate) fn files(&self) -> &'static str {
        match self {
            Self::Journal(_) | Self::Record(_) => "segment",
            Self::RocksDb(_) => "file",
        }
    }

    /// Returns the name of what stores the events.
    #[cfg(not(all(feature = "rocksdb", feature = "postgres", feature = "nats")))]
    pub(crate) fn backend(&self) -> &'static str {
        match self {
            Self::Journal(_) => "files",
            Self::RocksDb(_) => "RocksDB",
            Self::Record(address) => address.engine().name(),
        }
    }

    /// Parses an argument.
    pub(crate) fn parse(argument: &OsStr) -> Result<Self, String> {
        if let Some(address) = argument.to_str().and_then(RecordAddress::parse) {
            return address.map(|address| Self::Record(Box::new(address)));
        }
        let store = match strip_prefix(argument, ROCKSDB_PREFIX) {
            Some(path) => Self::RocksDb(path.into()),
            None => Self::Journal(argument.into()),
        };
        if store.path().as_os_str().is_empty() {
            return Err(
                "expected a path: PATH for a store in files, rocksdb:PATH for a store in RocksDB; or the address of a record: \
                postgres://… or nats://…"
                    .into(),
            );
        }
        Ok(store)
    }
}

impl StorePath {
    /// Returns the argument that was parsed.
    pub(crate) fn into_argument(self) -> OsString {
        match self {
            Self::Journal(path) => path.into(),
            Self::RocksDb(path) => {
                let mut argument = OsString::from(ROCKSDB_PREFIX);
                argument.push(path);
                argument
            }
            Self::Record(address) => address.to_string().into(),
        }
    }
}

/// The environment variable that names the store, if the command line does not.
const VARIABLE: &str = "ANNALS_STORE";

/// Returns the store that the environment names, if it names one.
pub(crate) fn from_environment() -> Result<Option<StorePath>, String> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    named
        .map(|value| StorePath::parse(&value))
        .transpose()
        .map_err(|problem| format!("{VARIABLE}: {problem}"))
}

/// Returns the argument without the prefix, if it begins with it. The argument need not be UTF-8.
fn strip_prefix(argument: &OsStr, prefix: &str) -> Option<OsString> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let rest = argument.as_bytes().strip_prefix(prefix.as_bytes())?;
        Some(OsStr::from_bytes(rest).to_owned())
    }
    #[cfg(not(unix))]
    {
        argument.to_str()?.strip_prefix(prefix).map(OsString::from)
    }
}

/// Writes the store as on the command line.
impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(path) => write!(f, "{}", path.display()),
            Self::RocksDb(path) => write!(f, "{ROCKSDB_PREFIX}{}", path.display()),
            Self::Record(address) => address.fmt(f),
        }
    }
}

impl ValueParserFactory for StorePath {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        OsStringValueParser::new().try_map(|argument| Self::parse(&argument)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_the_kind() {
        for (argument, store) in [
            ("my.store", StorePath::Journal("my.store".into())),
            ("/a/rocksdb:x", StorePath::Journal("/a/rocksdb:x".into())),
            ("./rocksdb:x", StorePath::Journal("./rocksdb:x".into())),
            ("rocksdb", StorePath::Journal("rocksdb".into())),
            ("rocksdb:x", StorePath::RocksDb("x".into())),
            ("rocksdb:/a/b", StorePath::RocksDb("/a/b".into())),
            ("rocksdb:rocksdb:x", StorePath::RocksDb("rocksdb:x".into())),
        ] {
            assert_eq!(StorePath::parse(argument.as_ref()).as_ref(), Ok(&store));
            assert_eq!(store.to_string(), argument);
        }
        for empty in ["", "rocksdb:"] {
            assert!(StorePath::parse(empty.as_ref()).unwrap_err().contains("expected a path"));
        }
        let url = "postgres://app@db1/app?store=shop";
        let store = StorePath::parse(url.as_ref()).unwrap();
        assert!(matches!(&store, StorePath::Record(_)), "{store:?}");
        assert_eq!(store.to_string(), url);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_utf8() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = OsStr::from_bytes(b"x\xFF");
        let store = StorePath::parse(OsStr::from_bytes(b"rocksdb:x\xFF"));
        assert_eq!(store, Ok(StorePath::RocksDb(path.into())));
    }
}
