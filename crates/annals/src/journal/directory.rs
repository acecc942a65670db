//! The store's directory: which files it has, what `store.json` and `closed.json` say, and who may write.
//!
//! ```text
//!   my.store/
//!     store.json                 format, store id, created
//!     closed.json                the head when the store was last closed cleanly
//!     LOCK                       locked by the one writing process; its id is in it
//!     00000000000000000000.log   a segment, named by its first offset
//!     00000000000000000000.idx   its index, once it is sealed
//!     00000000000000000000.8.flt which of 8 segments from this on may have a name; 64 and 512 likewise
//!     snapshots/                 what projections keep of their states; no part of the log
//!     *.new                      a file that was being written when the process ended
//! ```

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::file::{self, FORMAT};
use super::fs::{FileSystem, StoreFile};
use super::fs::{UNFINISHED, read_all, write_all};
use crate::name::Hasher;
use crate::{Corruption, OpenError};

const STORE: &str = "store.json";
const CLOSED: &str = "closed.json";
const LOCK: &str = "LOCK";
const SNAPSHOTS: &str = "snapshots";

/// What makes a directory a store.
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

/// A store's directory, which exists and is one.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) store_id: [u8; 16],
}

/// What a path has.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    EmptyDirectory,
    Store,
}

impl Directory {
    /// The hash of names in this store.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new(&self.store_id)
    }

    /// The store at `path`, for reading.
    pub(crate) fn open(system: &dyn FileSystem, path: &Path) -> Result<Self, OpenError> {
        match look(system, path)? {
            Found::Store => Self::read(system, path),
            Found::Nothing | Found::EmptyDirectory => {
                Err(OpenError::NotFound { path: path.to_owned() })
            }
        }
    }

    /// The store at `path`, made if there is none, and the right to write to it, for as long as the file that is
    /// answered stays open.
    pub(crate) fn open_locked(
        system: &dyn FileSystem,
        path: &Path,
    ) -> Result<(Self, Box<dyn StoreFile>), OpenError> {
        if look(system, path)? == Found::Nothing {
            match system.create_directory(path) {
                // Somebody was quicker.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => created.map_err(OpenError::io("create", path))?,
            }
        }
        let lock = lock(system, path)?;
        // Again: before the lock was had somebody else may have made it.
        match look(system, path)? {
            Found::Store => {
                let directory = Self::read(system, path)?;
                // A process that ended between a rename and its sync leaves names that a loss of power takes.
                system.sync_directory(path).map_err(OpenError::io("sync", path))?;
                Ok((directory, lock))
            }
            Found::Nothing | Found::EmptyDirectory => {
                refuse_lost_log(system, path)?;
                let directory =
                    Self::create(system, path).map_err(OpenError::io("create a store in", path))?;
                Ok((directory, lock))
            }
        }
    }

    fn read(system: &dyn FileSystem, path: &Path) -> Result<Self, OpenError> {
        let not_a_store = |found: String| OpenError::NotAStore { path: path.to_owned(), found };
        let file = path.join(STORE);
        let bytes = read_all(system, &file).map_err(OpenError::io("read", &file))?;
        let unreadable =
            |error: serde_json::Error| not_a_store(format!("its {STORE} cannot be read ({error})"));
        // The format first: a newer one may say the rest in another way.
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
                return Err(not_a_store(format!(
                    "its {STORE} has no format number that was ever used"
                )));
            }
        }
        let content: StoreFileContent = serde_json::from_value(value).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), store_id: *content.store_id.as_bytes() })
    }

    /// Makes a store in an empty directory. `store.json` comes last: without it there is no store, and where it is
    /// the directory itself is durable.
    fn create(system: &dyn FileSystem, path: &Path) -> io::Result<Self> {
        for name in system.list(path)?.iter().filter(|name| *name != LOCK && *name != SNAPSHOTS) {
            system.remove(&path.join(name))?;
        }
        let store_id = uuid::Uuid::new_v4();
        let directory = Self { path: path.to_owned(), store_id: *store_id.as_bytes() };
        file::create(system, &directory.log(0), &directory.store_id, 0, 0)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        system.sync_directory(parent.unwrap_or(Path::new(".")))?;
        let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let content = StoreFileContent { format: FORMAT, store_id, created };
        let content = serde_json::to_string(&content).unwrap_or_default() + "\n";
        write_all(system, &path.join(STORE), content.as_bytes())?;
        Ok(directory)
    }

    /// The first offsets of the segments, in order, and of those that have an index file.
    pub(crate) fn segments(
        &self,
        system: &dyn FileSystem,
    ) -> Result<(Vec<u64>, Vec<u64>), OpenError> {
        let names = system.list(&self.path).map_err(OpenError::io("list", &self.path))?;
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

    /// Removes what was being written when a process ended.
    pub(crate) fn remove_unfinished(&self, system: &dyn FileSystem) -> Result<(), OpenError> {
        for name in system.list(&self.path).map_err(OpenError::io("list", &self.path))? {
            if is_unfinished(&name) {
                let path = self.path.join(name);
                system.remove(&path).map_err(OpenError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn log(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}.log"))
    }

    pub(crate) fn index(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}.idx"))
    }

    /// The filter of so many segments, of which `first` is the first offset.
    pub(crate) fn filter(&self, first: u64, segments: usize) -> PathBuf {
        self.path.join(format!("{first:020}.{segments}.flt"))
    }

    /// Where the store's snapshots are, if there are any.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join(SNAPSHOTS)
    }

    /// The head when the store was last closed cleanly; 0 if it never was.
    pub(crate) fn closed_head(&self, system: &dyn FileSystem) -> Result<u64, OpenError> {
        let file = self.path.join(CLOSED);
        let bytes = match read_all(system, &file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            read => read.map_err(OpenError::io("read", &file))?,
        };
        let content: Result<ClosedFileContent, _> = serde_json::from_slice(&bytes);
        let corrupt = |error: serde_json::Error| Corruption {
            file: file.clone(),
            position: 0,
            offset: 0,
            expected: r#"{"head":…}, or no such file: it may be removed"#.into(),
            found: format!(
                "{:?} ({error})",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            ),
        };
        Ok(content.map_err(corrupt)?.head)
    }

    /// Notes that everything below `head` is in the log and durable.
    pub(crate) fn set_closed_head(&self, system: &dyn FileSystem, head: u64) -> io::Result<()> {
        let content = serde_json::to_string(&ClosedFileContent { head }).unwrap_or_default() + "\n";
        write_all(system, &self.path.join(CLOSED), content.as_bytes())
    }
}

/// What is at `path`; an error if it is something else than a store or a place for one.
fn look(system: &dyn FileSystem, path: &Path) -> Result<Found, OpenError> {
    let not_a_store = |found| OpenError::NotAStore { path: path.to_owned(), found };
    let names = match system.list(path) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(not_a_store("it is a file, and a store is a directory".to_owned()));
        }
        Err(error) => return Err(OpenError::io("list", path)(error)),
    };
    if names.iter().any(|name| name == STORE) {
        return Ok(Found::Store);
    }
    // What a process leaves that ended while it made a store counts as empty.
    let first_segment = format!("{:020}.log", 0);
    let others = names
        .iter()
        .filter(|name| {
            ![LOCK, SNAPSHOTS, &first_segment].contains(&name.as_str()) && !is_unfinished(name)
        })
        .count();
    match others {
        0 => Ok(Found::EmptyDirectory),
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

/// Refuses a first segment that has more than its head: it is of no store in the making, but of one that lost its
/// `store.json`.
fn refuse_lost_log(system: &dyn FileSystem, path: &Path) -> Result<(), OpenError> {
    let segment = path.join(format!("{:020}.log", 0));
    match system.open_read_only(&segment).and_then(|file| file.size()) {
        Ok(size) if size > file::SEGMENT_HEAD as u64 => {
            Err(OpenError::NotAStore { path: path.to_owned(), found: lost_store_file() })
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(OpenError::io("open", segment)(error))
        }
        _ => Ok(()),
    }
}

fn lost_store_file() -> String {
    format!(
        "it has segments of a log, but its {STORE} is missing: restore that file (its store id is in the segments' heads)"
    )
}

/// Whether these are the files of a RocksDB database.
fn is_rocksdb(names: &[String]) -> bool {
    let manifest = |name: &String| name.starts_with("MANIFEST-");
    names.iter().any(|name| name == "CURRENT") && names.iter().any(manifest)
}

/// Whether it is a file of ours that was being written when a process ended.
fn is_unfinished(name: &str) -> bool {
    let Some((name, UNFINISHED)) = name.rsplit_once('.') else { return false };
    let digits = |name: &str| name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once('.') {
        Some((first, "log" | "idx")) => digits(first),
        Some((span, "flt")) => span.split_once('.').is_some_and(|(first, _)| digits(first)),
        _ => name == STORE || name == CLOSED,
    }
}

fn lock(system: &dyn FileSystem, directory: &Path) -> Result<Box<dyn StoreFile>, OpenError> {
    let path = directory.join(LOCK);
    let file = match system.open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match system.create(&path) {
            // Somebody was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => system.open(&path),
            created => created,
        },
        opened => opened,
    };
    let file = file.map_err(OpenError::io("open", &path))?;
    if !file.try_lock().map_err(OpenError::io("lock", &path))? {
        let holder = read_all(system, &path).unwrap_or_default();
        let holder = String::from_utf8_lossy(&holder).trim().to_owned();
        return Err(OpenError::Locked { path: directory.to_owned(), holder });
    }
    // For people to read; nothing depends on it.
    let process = format!("{}\n", std::process::id());
    let noted = file.set_size(0).and_then(|()| file.write_at(process.as_bytes(), 0));
    if let Err(error) = noted {
        tracing::debug!(%error, "the lock file does not say who holds it");
    }
    Ok(file)
}
