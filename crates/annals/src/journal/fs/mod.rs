//! The seam to the file system: the few calls that a Journal makes, so that tests can fail, tear and forget them.
//!
//! ```text
//!   FileSystem ──open_directory──▶ StoreDirectory ──create, open──▶ StoreFile
//!   real    the operating system's          tools   whole files, erasing, the end of what is not zero
//! ```
//! A store is opened by its path once. From then on every name is looked up in the directory that was opened, which stays
//! the same directory when it is moved. What a Journal assumes of these calls stands in docs/DURABILITY.md.

pub(crate) mod real;
pub(crate) mod tools;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The extension of a file that is being written and will be renamed.
pub(crate) const UNFINISHED: &str = "new";

/// A file system: where directories are found and made by their paths.
pub trait FileSystem: Send + Sync + Debug {
    /// Opens a directory.
    ///
    /// # Errors
    /// The system's; [`NotFound`](io::ErrorKind::NotFound) and [`NotADirectory`](io::ErrorKind::NotADirectory) where
    /// nothing or something else is there.
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>>;

    /// Makes a directory.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open directory. It stays the same directory when it is moved or renamed, whatever its old path leads to then.
///
/// Every `name` is that of an entry of this directory, not a path.
pub trait StoreDirectory: Send + Sync + Debug {
    /// Makes a file that is not there yet, for writing and reading.
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

    /// Gives a file another name in this directory, in place of what has that name.
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

    /// Makes a directory in this one.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, name: &str) -> io::Result<()>;

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// The system's.
    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>>;

    /// Takes the one lock on the directory, held until this handle is closed; false if another handle holds it. By default
    /// nothing is locked.
    ///
    /// # Errors
    /// The system's; some file systems lock no directories.
    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Returns which file has this name now; `None` if no file has it, also because the directory was removed, or if
    /// the system cannot tell.
    ///
    /// # Errors
    /// The system's.
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>>;
}

/// Which file it is, under whatever name: two open files with the same id are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that has the file.
    pub device: u64,
    /// The file's number on that device.
    pub number: u64,
}

/// An open file.
pub trait StoreFile: Send + Sync + Debug {
    /// Reads as many bytes as there are from `position` on, at most as many as `bytes` has room for.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `position`.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Makes sure that there is room on disk for `size` bytes at `position`, as far as the system can.
    ///
    /// # Errors
    /// The system's.
    fn allocate(&self, position: u64, size: u64) -> io::Result<()>;

    /// Returns where the next bytes at or after `position` may be that are not zero; `None` if there are none. Any
    /// result that passes over nothing but zeroes is right.
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

    /// Says that these bytes will be synced: the system may begin to write them now. Nothing is durable by it.
    ///
    /// # Errors
    /// The system's, when writing them fails.
    fn start_sync(&self, position: u64, size: u64) -> io::Result<()> {
        let _ = (position, size);
        Ok(())
    }

    /// Makes the file's bytes and size durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Returns the operating system's file that has the same bytes and in which later writes show, so that the Journal
    /// can map it to be read.
    ///
    /// # Errors
    /// The system's.
    fn file(&self) -> io::Result<File>;

    /// Returns which file this is; `None` if the system cannot tell.
    ///
    /// # Errors
    /// The system's.
    fn id(&self) -> io::Result<Option<FileId>>;

    /// Takes the one lock on the file, held until the file is closed; false if another open file holds it.
    ///
    /// # Errors
    /// The system's.
    fn try_lock(&self) -> io::Result<bool>;
}
