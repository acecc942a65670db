//! The seam to the file system: the few calls that a Journal makes, so that tests can fail, tear and forget them.
//!
//! What is assumed of them stands in docs/DURABILITY.md. Reading a log goes through mapped files, everything else
//! through these.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_base::MappedFile;

/// Directories and names.
pub trait FileSystem: Send + Sync + Debug {
    /// Makes a file that is not there yet, for writing and reading.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// Opens a file for writing and reading.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The system's.
    fn open_read_only(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// The names in a directory.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, in place of what has that name.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's names durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
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

    /// Where the next bytes at or after `position` may be that are not zero; `None` if there are none. Any answer
    /// that passes over nothing but zeroes is right.
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

    /// The file's size in bytes.
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

    /// The first `size` bytes as memory, in which later writes show.
    ///
    /// # Errors
    /// The system's.
    fn map(&self, size: u64) -> io::Result<MappedFile>;

    /// Takes the one lock on the file, held until it is closed; false if somebody else holds it.
    ///
    /// # Errors
    /// The system's.
    fn try_lock(&self) -> io::Result<bool>;
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFileSystem;

impl FileSystem for RealFileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        Ok(Box::new(RealFile::new(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read_only(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        Ok(Box::new(RealFile::new(fs::File::open(path)?)))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    /// Elsewhere a directory cannot be synced; names are as durable as the system makes them.
    #[cfg(not(unix))]
    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// A file, and whether it is locked.
#[derive(Debug)]
struct RealFile(fs::File, AtomicBool);

impl RealFile {
    fn new(file: fs::File) -> Self {
        Self(file, AtomicBool::new(false))
    }
}

impl Drop for RealFile {
    fn drop(&mut self) {
        // Closing it is not enough: a process that another thread is just starting has the lock too until it runs its
        // own program.
        if *self.1.get_mut()
            && let Err(error) = self.0.unlock()
        {
            tracing::debug!(%error, "a lock goes only when its file is closed");
        }
    }
}

impl StoreFile for RealFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match read_some(&self.0, &mut bytes[read..], position + read as u64) {
                Ok(0) => break,
                Ok(size) => read += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match write_some(&self.0, &bytes[written..], position + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => written += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, position: u64, size: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.0, FallocateFlags::KEEP_SIZE, position, size) {
            // A file system that cannot: room shows when it is written to.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Elsewhere room shows when it is written to.
    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, _position: u64, _size: u64) -> io::Result<()> {
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn next_data(&self, position: u64) -> io::Result<Option<u64>> {
        use rustix::fs::{SeekFrom, seek};
        match seek(&self.0, SeekFrom::Data(position)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system that cannot tell holes: anything may be there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => {
                Ok((position < self.size()?).then_some(position))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn start_sync(&self, position: u64, size: u64) -> io::Result<()> {
        annals_base::start_writeback(&self.0, position, size)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn map(&self, size: u64) -> io::Result<MappedFile> {
        MappedFile::map(&self.0, usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => {
                // Relaxed: looked at when nobody else has the file.
                self.1.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(unix)]
fn read_some(file: &fs::File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, position)
}

#[cfg(unix)]
fn write_some(file: &fs::File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, position)
}

#[cfg(windows)]
fn read_some(file: &fs::File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, position)
}

#[cfg(windows)]
fn write_some(file: &fs::File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, position)
}

/// All of a file, mapped. A writer may cut it meanwhile, once.
pub(crate) fn map_all(file: &dyn StoreFile) -> io::Result<MappedFile> {
    match file.map(file.size()?) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => file.map(file.size()?),
        mapped => mapped,
    }
}

/// All of a file.
pub(crate) fn read_all(system: &dyn FileSystem, path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(system, path, u64::MAX)
}

/// All of a file, or an error if it has more than `limit` bytes. A file may seem to have far more than there is room
/// for, so that is asked for.
pub(crate) fn read_up_to(system: &dyn FileSystem, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = system.open_read_only(path)?;
    let size = file.size()?;
    if size > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    bytes.resize(size, 0);
    let size = file.read_at(&mut bytes, 0)?;
    bytes.truncate(size);
    Ok(bytes)
}

/// Puts `bytes` into the file `path`, whole and durable, or leaves it as it was.
pub(crate) fn write_all(system: &dyn FileSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_all_with(system, path, |file| file.write_at(bytes, 0))
}

/// As [`write_all`], what `write` writes.
pub(crate) fn write_all_with(
    system: &dyn FileSystem,
    path: &Path,
    write: impl FnOnce(&dyn StoreFile) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = path.with_added_extension(UNFINISHED);
    match system.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => write_by(system, &unfinished, path, write),
    }
}

/// As [`write_all_with`], by way of the file `unfinished` in the same directory, which is not there yet.
pub(crate) fn write_by(
    system: &dyn FileSystem,
    unfinished: &Path,
    path: &Path,
    write: impl FnOnce(&dyn StoreFile) -> io::Result<()>,
) -> io::Result<()> {
    let file = system.create(unfinished)?;
    let written =
        write(&*file).and_then(|()| file.sync()).and_then(|()| system.rename(unfinished, path));
    if let Err(error) = written {
        // It is of no use, and takes room, perhaps the last there was. What stays all the same goes at the next opening.
        let _ = system.remove(unfinished);
        return Err(error);
    }
    system.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// The end of what is not zero from `start` on, if anything is.
pub(crate) fn last_data(file: &dyn StoreFile, start: u64) -> io::Result<Option<usize>> {
    let mut chunk = vec![0; 1 << 18];
    let (mut position, mut last) = (start, None);
    while let Some(data) = file.next_data(position)? {
        let size = file.read_at(&mut chunk, data)?;
        // All at once first: it is nearly always zeroes, and this the processor does quickly.
        if chunk[..size].iter().fold(0, |any, byte| any | byte) != 0 {
            let at = chunk[..size].iter().rposition(|&byte| byte != 0).unwrap_or(0);
            last = usize::try_from(data).ok().map(|data| data + at + 1);
        }
        if size == 0 {
            break;
        }
        position = data + size as u64;
    }
    Ok(last)
}

/// Puts zeroes from `start` to `end`, durably: only into pages that have something else, so that it needs no room on a
/// full disk.
pub(crate) fn erase(file: &dyn StoreFile, start: usize, end: usize) -> io::Result<()> {
    const PAGE: usize = 4096;
    let (zeroes, mut page) = ([0; PAGE], [0; PAGE]);
    let mut position = start;
    while position < end {
        let size = (PAGE - position % PAGE).min(end - position);
        let read = file.read_at(&mut page[..size], position as u64)?;
        if page[..read] != zeroes[..read] {
            file.write_at(&zeroes[..read], position as u64)?;
        }
        position += size;
    }
    file.sync()
}

/// The extension of a file that is being written and will be renamed.
pub(crate) const UNFINISHED: &str = "new";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_larger_than_asked_for_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "content").unwrap();
        assert_eq!(read_up_to(&RealFileSystem, &path, 7).unwrap(), b"content");
        let error = read_up_to(&RealFileSystem, &path, 6).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
