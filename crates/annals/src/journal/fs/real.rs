//! The operating system's file system.
//!
//! On Unix, an open directory is a handle, and names are looked up in it (`openat` and similar calls). On other systems
//! it is a path: Windows does not move a directory in which files are open.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::file_id::FileId;
use super::{FileSystem, StoreDirectory, StoreFile};

/// The operating system's file system. [`StoreDirectory`] has an example.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFileSystem;

impl FileSystem for RealFileSystem {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(system::RealDirectory::open(path)?))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }
}

#[cfg(unix)]
mod system {
    //! Names below an open directory, on Unix.

    use std::os::unix::fs::FileExt as _;

    use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
    use rustix::io::Errno;

    use super::{Arc, File, FileId, Path, RealFile, StoreDirectory, StoreFile, io};

    /// The mode of new files, as in the standard library: the process's mask removes bits.
    const FILE_MODE: rustix::fs::RawMode = 0o666;
    /// The mode of new directories.
    const DIRECTORY_MODE: rustix::fs::RawMode = 0o777;

    /// An open directory.
    #[derive(Debug)]
    pub(super) struct RealDirectory(File);

    impl RealDirectory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            Self::open_at(CWD, path)
        }

        fn open_at(above: impl std::os::fd::AsFd, path: &Path) -> io::Result<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self(rustix::fs::openat(above, path, flags, Mode::empty())?.into()))
        }

        fn open_file(&self, name: &str, flags: OFlags) -> io::Result<Box<dyn StoreFile>> {
            let mode = Mode::from_raw_mode(FILE_MODE);
            let file = loop {
                match rustix::fs::openat(&self.0, name, flags | OFlags::CLOEXEC, mode) {
                    Err(Errno::INTR) => {}
                    opened => break opened?,
                }
            };
            Ok(Box::new(RealFile::new(file.into())))
        }
    }

    impl StoreDirectory for RealDirectory {
        fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
        }

        fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            self.open_file(name, OFlags::RDWR)
        }

        fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            self.open_file(name, OFlags::RDONLY)
        }

        fn list(&self) -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&self.0)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "." && name != ".." {
                    names.push(name);
                }
            }
            Ok(names)
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
        }

        fn sync(&self) -> io::Result<()> {
            self.0.sync_all()
        }

        fn create_directory(&self, name: &str) -> io::Result<()> {
            let mode = Mode::from_raw_mode(DIRECTORY_MODE);
            Ok(rustix::fs::mkdirat(&self.0, name, mode)?)
        }

        fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
            Ok(Arc::new(Self::open_at(&self.0, Path::new(name))?))
        }

        fn try_lock(&self) -> io::Result<bool> {
            super::try_lock(&self.0)
        }

        fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
            match id_of(&self.0, name, AtFlags::empty()) {
                Ok(id) => Ok(Some(id)),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
    }

    pub(super) fn id(file: &File) -> io::Result<Option<FileId>> {
        #[cfg(target_os = "linux")]
        let id = id_of(file, "", AtFlags::EMPTY_PATH)?;
        #[cfg(not(target_os = "linux"))]
        let id = of_stat(&rustix::fs::fstat(file)?);
        Ok(Some(id))
    }

    /// Returns the identity of a file. Asks the system for nothing else: since Linux 6.13, a file whose times are asked
    /// for has them written to disk with the next write, which makes a sync take half as long again.
    #[cfg(target_os = "linux")]
    fn id_of(directory: &File, name: &str, flags: AtFlags) -> rustix::io::Result<FileId> {
        use rustix::fs::{StatxFlags, makedev, statx};
        match statx(directory, name, flags, StatxFlags::INO) {
            Ok(stat) => Ok(FileId {
                device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
                number: stat.stx_ino,
            }),
            Err(Errno::NOSYS) => Ok(of_stat(&rustix::fs::statat(directory, name, flags)?)),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn id_of(directory: &File, name: &str, flags: AtFlags) -> rustix::io::Result<FileId> {
        Ok(of_stat(&rustix::fs::statat(directory, name, flags)?))
    }

    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the types of these fields differ between systems"
    )]
    fn of_stat(stat: &rustix::fs::Stat) -> FileId {
        FileId { device: stat.st_dev as u64, number: stat.st_ino as u64 }
    }

    pub(super) fn read_some(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        file.read_at(bytes, position)
    }

    pub(super) fn write_some(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
        file.write_at(bytes, position)
    }

    /// Returns the size of the largest file that this process may write. A write beyond it ends the process with a
    /// signal.
    pub(super) fn largest_file() -> u64 {
        rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX)
    }
}

#[cfg(not(unix))]
mod system {
    //! Names in a directory by its path, on systems without handles of directories.

    use std::path::PathBuf;

    use super::{Arc, ErrorKind, File, FileId, Path, RealFile, StoreDirectory, StoreFile, fs, io};

    /// A directory, by its path.
    #[derive(Debug)]
    pub(super) struct RealDirectory(PathBuf);

    impl RealDirectory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            if !fs::metadata(path)?.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
            Ok(Self(path.to_owned()))
        }
    }

    impl StoreDirectory for RealDirectory {
        fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            let mut options = fs::OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).open(self.0.join(name))?;
            Ok(Box::new(RealFile::new(file)))
        }

        fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            let file = fs::OpenOptions::new().read(true).write(true).open(self.0.join(name))?;
            Ok(Box::new(RealFile::new(file)))
        }

        fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
            Ok(Box::new(RealFile::new(File::open(self.0.join(name))?)))
        }

        fn list(&self) -> io::Result<Vec<String>> {
            let entries = fs::read_dir(&self.0)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            fs::rename(self.0.join(from), self.0.join(to))
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            fs::remove_file(self.0.join(name))
        }

        /// Does nothing: a directory cannot be synced here. Names are as durable as the system makes them.
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn create_directory(&self, name: &str) -> io::Result<()> {
            fs::create_dir(self.0.join(name))
        }

        fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
            Ok(Arc::new(Self::open(&self.0.join(name))?))
        }

        fn file_id(&self, _name: &str) -> io::Result<Option<FileId>> {
            Ok(None)
        }
    }

    pub(super) fn id(_file: &File) -> io::Result<Option<FileId>> {
        Ok(None)
    }

    #[cfg(windows)]
    pub(super) fn read_some(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(file, bytes, position)
    }

    #[cfg(windows)]
    pub(super) fn write_some(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(file, bytes, position)
    }

    pub(super) fn largest_file() -> u64 {
        u64::MAX
    }
}

/// A file of the operating system.
#[derive(Debug)]
struct RealFile {
    file: File,
    /// The size in bytes to which this process may make the file grow.
    largest: u64,
}

impl RealFile {
    fn new(file: File) -> Self {
        Self { file, largest: system::largest_file() }
    }

    /// Refuses a size with which the system would end the process with a signal (`SIGXFSZ`).
    fn check_size(&self, size: u64) -> io::Result<()> {
        if size <= self.largest {
            return Ok(());
        }
        let text = format!(
            "this process may write files of at most {} bytes (RLIMIT_FSIZE, `ulimit -f`), and {size} are needed: raise the \
             limit (a program can also have smaller segments: segment_bytes)",
            self.largest
        );
        Err(io::Error::new(ErrorKind::FileTooLarge, text))
    }
}

impl StoreFile for RealFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match system::read_some(&self.file, &mut bytes[read..], position + read as u64) {
                Ok(0) => break,
                Ok(size) => read += size,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.check_size(position + bytes.len() as u64)?;
        let mut written = 0;
        while written < bytes.len() {
            match system::write_some(&self.file, &bytes[written..], position + written as u64) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(size) => written += size,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, position: u64, size: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        self.check_size(position + size)?;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, position, size) {
            // A file system that cannot allocate: a full disk shows when the bytes are written.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does nothing: a full disk shows when the bytes are written.
    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, _position: u64, _size: u64) -> io::Result<()> {
        Ok(())
    }

    fn may_be_filled_beside(&self) -> bool {
        true
    }

    #[cfg(target_os = "linux")]
    fn next_data(&self, position: u64) -> io::Result<Option<u64>> {
        use rustix::fs::{SeekFrom, seek};
        match seek(&self.file, SeekFrom::Data(position)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system that cannot report holes: any byte may be data.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => {
                Ok((position < self.size()?).then_some(position))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.check_size(size)?;
        self.file.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn start_sync(&self, position: u64, size: u64) -> io::Result<()> {
        annals_base::start_writeback(&self.file, position, size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        system::id(&self.file)
    }

    fn try_lock(&self) -> io::Result<bool> {
        try_lock(&self.file)
    }
}

/// Takes the exclusive lock on a file or directory. Returns false if another handle holds it.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
