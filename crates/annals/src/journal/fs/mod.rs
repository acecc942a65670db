//! The seam to the file system: the few calls that a Journal makes, so that tests can let them fail, tear and be
//! forgotten.
//!
//! ```text
//!   FileSystem ──open_directory──▶ StoreDirectory ──create, open──▶ StoreFile
//!   real      the operating system's file system     tools   whole files, erasing, the end of the data
//!   file_id   recognizes a file that was moved or replaced
//! ```
//! A store is opened by its path once. From then on every name is looked up in the open directory, which stays the same
//! directory when it is moved. docs/DURABILITY.md states what a Journal assumes of these calls.

pub(crate) mod file_id;
pub(crate) mod real;
pub(crate) mod tools;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use file_id::FileId;

/// The extension of a file that is being written and will be renamed.
pub(crate) const UNFINISHED: &str = "new";

/// A file system, which opens and creates directories by their paths.
///
/// A test of a program replaces it to see what the program does when the system fails:
///
/// ```
/// use annals::{FileSystem, Journal, OpenError, RawEvent, RealFileSystem, StoreDirectory};
/// use std::io;
/// use std::path::Path;
/// use std::sync::Arc;
///
/// /// A disk without room for another store.
/// #[derive(Debug)]
/// struct Full;
///
/// impl FileSystem for Full {
///     fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
///         RealFileSystem.open_directory(path)
///     }
///     fn create_directory(&self, _: &Path) -> io::Result<()> {
///         Err(io::ErrorKind::StorageFull.into())
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("log.store");
/// let refused = Journal::options().file_system(Arc::new(Full)).open::<RawEvent>(&path);
/// assert!(matches!(refused, Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull));
/// # Ok::<(), io::Error>(())
/// ```
pub trait FileSystem: Send + Sync + Debug {
    /// Opens a directory.
    ///
    /// # Errors
    /// The system's. [`NotFound`](io::ErrorKind::NotFound) if nothing is there, and
    /// [`NotADirectory`](io::ErrorKind::NotADirectory) if something else is.
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>>;

    /// Creates a directory.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open directory. It stays the same directory when it is moved or renamed, whatever its old path leads to then.
///
/// Every `name` is the name of an entry of this directory, not a path.
///
/// ```
/// use annals::{FileSystem, RealFileSystem};
///
/// # let directory = tempfile::tempdir()?;
/// let directory = RealFileSystem.open_directory(directory.path())?;
/// directory.create("notes.new")?.write_at(b"first", 0)?;
/// directory.rename("notes.new", "notes")?;
/// directory.sync()?; // from here on, the name survives a loss of power
/// assert_eq!(directory.list()?, ["notes"]);
/// directory.remove("notes")?;
/// assert_eq!(directory.file_id("notes")?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait StoreDirectory: Send + Sync + Debug {
    /// Creates a file that does not exist yet, for writing and reading.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>>;

    /// Opens a file for writing and reading.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The system's.
    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>>;

    /// Returns the names in the directory.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Renames a file in this directory. Replaces a file that has the new name.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the directory's names durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Creates a directory in this one.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, name: &str) -> io::Result<()>;

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// The system's.
    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>>;

    /// Takes the exclusive lock on the directory, held until this handle is closed. Returns false if another handle
    /// holds it. By default, nothing is locked.
    ///
    /// # Errors
    /// The system's. Some file systems cannot lock directories.
    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Returns the identity of the file that has this name now. Returns `None` if no file has it, also because the
    /// directory was removed, or if the system has no such identity.
    ///
    /// # Errors
    /// The system's.
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>>;
}

/// An open file.
///
/// ```
/// use annals::{FileSystem, RealFileSystem, StoreFile};
///
/// # let directory = tempfile::tempdir()?;
/// let directory = RealFileSystem.open_directory(directory.path())?;
/// let file: Box<dyn StoreFile> = directory.create("notes")?;
/// file.write_at(b"first", 0)?;
/// file.sync()?; // from here on, the bytes survive a loss of power
/// let mut bytes = [0; 10];
/// assert_eq!(file.read_at(&mut bytes, 1)?, 4);
/// assert_eq!((&bytes[..4], file.size()?), (&b"irst"[..], 5));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait StoreFile: Send + Sync + Debug {
    /// Reads the bytes from `position` on. Returns their number: fewer than `bytes` has room for only at the file's
    /// end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `position`.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Makes sure that the disk has room for `size` bytes at `position`, as far as the system can.
    ///
    /// # Errors
    /// The system's.
    fn allocate(&self, position: u64, size: u64) -> io::Result<()>;

    /// Returns whether another thread may make room in the file while the log's own thread writes and syncs other bytes
    /// of it. By default, it may not: then a commit that needs room makes it.
    fn may_be_filled_beside(&self) -> bool {
        false
    }

    /// Returns the position of the next bytes at or after `position` that may not be zero; `None` if all of them are
    /// zero. A result is valid if only zeroes lie between `position` and it.
    ///
    /// # Errors
    /// The system's.
    fn next_data(&self, position: u64) -> io::Result<Option<u64>> {
        Ok((position < self.size()?).then_some(position))
    }

    /// Cuts the file, or lengthens it with zeroes.
    ///
    /// # Errors
    /// The system's.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns the file's size in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;

    /// Announces that these bytes will be synced. The system may begin to write them, but they are not durable yet.
    ///
    /// # Errors
    /// The system's, if writing the bytes fails.
    fn start_sync(&self, position: u64, size: u64) -> io::Result<()> {
        let _ = (position, size);
        Ok(())
    }

    /// Makes the file's bytes and size durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Returns a file of the operating system with the same bytes, in which later writes appear. The Journal maps it
    /// for reading.
    ///
    /// # Errors
    /// The system's.
    fn file(&self) -> io::Result<File>;

    /// Returns the file's identity; `None` if the system has no such identity.
    ///
    /// # Errors
    /// The system's.
    fn id(&self) -> io::Result<Option<FileId>>;

    /// Takes the exclusive lock on the file, held until the file is closed. Returns false if another open file holds
    /// it.
    ///
    /// # Errors
    /// The system's.
    fn try_lock(&self) -> io::Result<bool>;
}
