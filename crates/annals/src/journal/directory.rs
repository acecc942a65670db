//! The store's directory: its files, the content of `store.json` and `closed.json`, and who may write.
//!
//! ```text
//!   my.store/
//!     store.json                 format, store id, created
//!     closed.json                the head when the store was last closed cleanly
//!     LOCK                       locked by the one writing process; contains its id
//!     00000000000000000000.log   a segment, named by its first offset
//!     00000000000000000000.idx   its index, once it is sealed
//!     snapshots/                 saved states of projections; not part of the log
//!     consumers/                 positions of consumers, written by the crate annals-consumer; not part of the log
//!     record.tail                where a replica is in its record, written by annals-replicated; not part of the log
//!     *.new                      a file that is being written, or was when a process ended
//! ```

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::fs::tools::{read_all, write_all};
use super::fs::{FileSystem, StoreDirectory, UNFINISHED};
use super::lock::{LOCK, Lock};
use super::segment::file::{self, FORMAT, SegmentHead};
use super::segment::file_names::log_name;
use crate::error::{Corruption, OpenError};
use crate::event::name::Hasher;
use crate::util::random_id::random_id;
use crate::util::time::{rfc3339, to_ms};

pub(super) const STORE: &str = "store.json";
const CLOSED: &str = "closed.json";
pub(super) const SNAPSHOTS: &str = "snapshots";
/// A directory that some file systems have at their root. A store may be created beside it.
const LOST_AND_FOUND: &str = "lost+found";

/// The content of `store.json`, which makes a directory a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoreFileContent {
    format: u64,
    store_id: uuid::Uuid,
    created: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct ClosedFileContent {
    head: u64,
}

/// The open directory of an existing store. Names are looked up in it wherever it is moved.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    /// The path when it was opened, for messages.
    pub(crate) path: PathBuf,
    pub(crate) store_id: [u8; 16],
    pub(crate) handle: Arc<dyn StoreDirectory>,
}

/// The content of a directory.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Store,
}

impl Directory {
    /// Returns the hasher of names in this store.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new(&self.store_id)
    }

    /// Opens the store at `path` for reading.
    pub(crate) fn open(system: &dyn FileSystem, path: &Path) -> Result<Self, OpenError> {
        let not_found = || OpenError::NotFound { path: path.to_owned() };
        let handle = open_directory(system, path)?.ok_or_else(not_found)?;
        match look(&*handle, path)? {
            Found::Store => Self::read(handle, path),
            Found::Nothing => Err(not_found()),
        }
    }

    /// Opens the store at `path` for writing, and creates it if nothing is there. With a store id, a new store gets it,
    /// and an existing one must have it. The caller may write while it holds the lock.
    pub(crate) fn open_locked(
        system: &dyn FileSystem,
        path: &Path,
        store_id: Option<[u8; 16]>,
    ) -> Result<(Self, Lock), OpenError> {
        let handle = if let Some(handle) = open_directory(system, path)? {
            handle
        } else {
            match system.create_directory(path) {
                // Another process created it first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => created.map_err(OpenError::io("create", path))?,
            }
            system.open_directory(path).map_err(OpenError::io("open", path))?
        };
        look(&*handle, path)?;
        let lock = Lock::take(&*handle, path)?;
        // Looks again: another process may have created the store before this one had the lock.
        match look(&*handle, path)? {
            Found::Store => {
                let directory = Self::read(handle, path)?;
                directory.check_id(store_id)?;
                // A process that ended between a rename and its sync leaves names that are not durable yet.
                directory.handle.sync().map_err(OpenError::io("sync", path))?;
                Ok((directory, lock))
            }
            Found::Nothing => {
                refuse_lost_log(&*handle, path)?;
                let directory = Self::create(system, handle, path, store_id)
                    .map_err(OpenError::io("create a store in", path))?;
                Ok((directory, lock))
            }
        }
    }

    fn read(handle: Arc<dyn StoreDirectory>, path: &Path) -> Result<Self, OpenError> {
        let not_a_store = |found: String| OpenError::NotAStore { path: path.to_owned(), found };
        let bytes = read_all(&*handle, STORE).map_err(OpenError::io("read", path.join(STORE)))?;
        let unreadable =
            |error: serde_json::Error| not_a_store(format!("its {STORE} cannot be read ({error})"));
        // Checks the format first: a newer format may store the rest in another way.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found > FORMAT => {
                return Err(OpenError::NewerFormat {
                    path: path.to_owned(),
                    found,
                    supported: FORMAT,
                });
            }
            Some(FORMAT) => {}
            _ => {
                return Err(not_a_store(format!("its {STORE} has no known format number")));
            }
        }
        let content: StoreFileContent = serde_json::from_value(value).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), store_id: *content.store_id.as_bytes(), handle })
    }

    /// Creates a store in an empty directory. `store.json` is written last: without it there is no store, and when it
    /// exists, the directory itself is durable.
    fn create(
        system: &dyn FileSystem,
        handle: Arc<dyn StoreDirectory>,
        path: &Path,
        store_id: Option<[u8; 16]>,
    ) -> io::Result<Self> {
        let left = handle.list()?;
        for name in left.iter().filter(|name| !is_kept(name)) {
            handle.remove(name)?;
        }
        let store_id = store_id.map_or_else(random_id, uuid::Uuid::from_bytes);
        let (path, id) = (path.to_owned(), *store_id.as_bytes());
        let directory = Self { path, store_id: id, handle };
        file::create(&*directory.handle, &directory.store_id, 0, SegmentHead::default())?;
        let parent = directory.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        system.open_directory(parent.unwrap_or(Path::new(".")))?.sync()?;
        let created = rfc3339(to_ms(SystemTime::now()));
        let content = StoreFileContent { format: FORMAT, store_id, created };
        let content = serde_json::to_string(&content).unwrap_or_default() + "\n";
        write_all(&*directory.handle, STORE, content.as_bytes())?;
        Ok(directory)
    }

    /// Fails if the store has another id than the wanted one.
    pub(crate) fn check_id(&self, wanted: Option<[u8; 16]>) -> Result<(), OpenError> {
        match wanted {
            Some(expected) if expected != self.store_id => Err(OpenError::OtherStore {
                path: self.path.clone(),
                found: self.store_id,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Returns the first offsets of the segments, in order, and of the segments that have an index file.
    pub(crate) fn segments(&self) -> Result<(Vec<u64>, Vec<u64>), OpenError> {
        let names = self.handle.list().map_err(OpenError::io("list", &self.path))?;
        let with = |extension: &str| {
            let offset = |name: &String| {
                let digits = name.strip_suffix(extension)?;
                (digits.len() == 20).then(|| digits.parse().ok())?
            };
            let mut offsets: Vec<u64> = names.iter().filter_map(offset).collect();
            offsets.sort_unstable();
            offsets
        };
        Ok((with(".log"), with(".idx")))
    }

    /// Removes the files that were being written when a process ended, and those of an older annals that are of no use
    /// any more.
    pub(crate) fn remove_leftovers(&self) -> Result<(), OpenError> {
        for name in self.handle.list().map_err(OpenError::io("list", &self.path))? {
            if is_unfinished(&name) {
                self.handle.remove(&name).map_err(OpenError::io("remove", self.at(&name)))?;
            } else if is_old_filter(&name)
                && let Err(error) = self.handle.remove(&name)
            {
                // The file only takes room.
                tracing::debug!(%error, file = name, "cannot remove a filter that an older annals wrote");
            }
        }
        Ok(())
    }

    /// Returns the path of a name in the directory, for messages.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the head at the last clean close; 0 if there was none.
    pub(crate) fn closed_head(&self) -> Result<u64, OpenError> {
        let file = self.at(CLOSED);
        let bytes = match read_all(&*self.handle, CLOSED) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            read => read.map_err(OpenError::io("read", &file))?,
        };
        let content: Result<ClosedFileContent, _> = serde_json::from_slice(&bytes);
        let corrupt = |error: serde_json::Error| Corruption {
            file: file.clone(),
            position: 0,
            offset: 0,
            expected: r#"{"head":…}, or no such file"#.into(),
            found: format!(
                "{:?} ({error})",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            ),
        };
        Ok(content.map_err(corrupt)?.head)
    }

    /// Writes `head` to `closed.json`: everything below it is in the log and durable.
    pub(crate) fn set_closed_head(&self, head: u64) -> io::Result<()> {
        let content = serde_json::to_string(&ClosedFileContent { head }).unwrap_or_default() + "\n";
        write_all(&*self.handle, CLOSED, content.as_bytes())
    }
}

/// Opens the directory at `path`. Returns `None` if nothing is there.
fn open_directory(
    system: &dyn FileSystem,
    path: &Path,
) -> Result<Option<Arc<dyn StoreDirectory>>, OpenError> {
    match system.open_directory(path) {
        Ok(handle) => Ok(Some(handle)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(OpenError::NotAStore {
            path: path.to_owned(),
            found: "it is a file, and a store is a directory".to_owned(),
        }),
        Err(error) => Err(OpenError::io("open", path)(error)),
    }
}

/// Returns whether a file stays when a store is created in its directory.
fn is_kept(name: &str) -> bool {
    [LOCK, SNAPSHOTS, LOST_AND_FOUND].contains(&name)
}

/// Returns what is in the directory. Fails if that is neither a store nor empty enough to create one.
fn look(handle: &dyn StoreDirectory, path: &Path) -> Result<Found, OpenError> {
    let not_a_store = |found| OpenError::NotAStore { path: path.to_owned(), found };
    let names = handle.list().map_err(OpenError::io("list", path))?;
    if names.iter().any(|name| name == STORE) {
        return Ok(Found::Store);
    }
    // The files of an interrupted creation count as nothing.
    let first_segment = log_name(0);
    let others = names
        .iter()
        .filter(|name| **name != first_segment && !is_kept(name) && !is_unfinished(name))
        .count();
    match others {
        0 => Ok(Found::Nothing),
        _ if names.contains(&first_segment) => Err(not_a_store(lost_store_file())),
        _ if is_rocksdb(&names) => Err(not_a_store(
            "it is a RocksDB database, to be opened as `rocksdb:PATH` (in a program, with RocksDb::open)"
                .to_owned(),
        )),
        others => Err(not_a_store(format!(
            "it is a directory of other files ({others}), without {STORE}"
        ))),
    }
}

/// Refuses a first segment with more than its head: it does not belong to a store that is being created, but to a store
/// that lost its `store.json`.
fn refuse_lost_log(handle: &dyn StoreDirectory, path: &Path) -> Result<(), OpenError> {
    let segment = log_name(0);
    match handle.open_read_only(&segment).and_then(|file| file.size()) {
        Ok(size) if size > file::SEGMENT_HEAD as u64 => {
            Err(OpenError::NotAStore { path: path.to_owned(), found: lost_store_file() })
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(OpenError::io("open", path.join(segment))(error))
        }
        _ => Ok(()),
    }
}

fn lost_store_file() -> String {
    format!(
        "it has segments of a log, but its {STORE} is missing: restore that file (its store id is in the segments' heads)"
    )
}

/// Returns whether these are the files of a RocksDB database.
fn is_rocksdb(names: &[String]) -> bool {
    let manifest = |name: &String| name.starts_with("MANIFEST-");
    names.iter().any(|name| name == "CURRENT") && names.iter().any(manifest)
}

/// Returns whether it is the name of a store's file that was being written when a process ended.
fn is_unfinished(name: &str) -> bool {
    let Some((name, UNFINISHED)) = name.rsplit_once('.') else { return false };
    match name.rsplit_once('.') {
        Some((first, "log" | "idx")) => is_offset(first),
        _ => name == STORE || name == CLOSED || is_old_filter(name),
    }
}

/// Returns whether it is the name of a file with the filters of several segments, as annals wrote them before each
/// index file had its own: `OFFSET.8.flt`, also with 64 and 512.
fn is_old_filter(name: &str) -> bool {
    let span = name.strip_suffix(".flt").and_then(|span| span.split_once('.'));
    span.is_some_and(|(first, segments)| is_offset(first) && ["8", "64", "512"].contains(&segments))
}

fn is_offset(digits: &str) -> bool {
    digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
