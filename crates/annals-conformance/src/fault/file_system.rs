//! The file system on a faulty disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{FileSystem, StoreDirectory};

use super::call::{Call, Reads};
use super::directory::{FaultDirectory, create_directory};
use super::disk::{Disk, Failure};
use super::hold::{Gate, Hold};
use super::loss::Loss;
use super::names::Names;
use super::process::Process;

/// A disk in memory whose calls fail as planned, and which can lose its power.
///
/// Clones are the same disk. A store is opened with [`process`](Self::process), the disk as one process sees it. The
/// disk has its own paths: a store can be opened at any path below [`ROOT`](Self::ROOT), such as `/disk/store`.
///
/// ```
/// use annals::{Durability, EventStore, Journal, RawEvent};
/// use annals_conformance::fault::{FaultFileSystem, Loss};
/// use std::sync::Arc;
///
/// let disk = FaultFileSystem::new(1);
/// let open = || Journal::options().file_system(Arc::new(disk.process())).open("/disk/store");
/// let store = EventStore::on(open()?);
/// store.append(RawEvent::builder("kept").build()?)?;
/// disk.restart(Loss::Everything);
/// assert_eq!(EventStore::<RawEvent, _>::on(open()?).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FaultFileSystem {
    process: Process,
}

/// The content of a disk, from which other disks can be made.
#[derive(Debug, Clone)]
pub struct Image(Names);

impl FaultFileSystem {
    /// The root directory, which always exists.
    pub const ROOT: &'static str = "/disk";

    /// Returns an empty disk. `seed` decides where writes are torn and what a failed sync leaves.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(Disk::new(Names::new(Path::new(Self::ROOT)), seed))
    }

    /// Returns a disk with the content of `image`, all of it durable.
    #[must_use]
    pub fn of(image: &Image, seed: u64) -> Self {
        Self::with(Disk::new(image.0.clone(), seed))
    }

    fn with(disk: Disk) -> Self {
        Self { process: Process::test(disk) }
    }

    /// Returns the disk as the running process sees it, to open a store with. Once the process was
    /// [killed](Self::kill) or [lost its power](Self::restart), each of its calls fails.
    #[must_use]
    pub fn process(&self) -> Self {
        Self { process: self.process.current() }
    }

    /// Makes the `nth` call of this kind from now on, counted from 1, fail with `error`. A write is done in part
    /// before it fails. After a failed sync all its bytes count as written although some are not, as on Linux.
    pub fn fail(&self, call: Call, nth: u64, error: io::ErrorKind) {
        self.process.disk().failures.push(Failure { call: Some(call), left: nth.max(1), error });
    }

    /// Makes the `nth` call of any kind from now on, counted from 1, fail with `error`.
    pub fn fail_any(&self, nth: u64, error: io::ErrorKind) {
        self.process.disk().failures.push(Failure { call: None, left: nth.max(1), error });
    }

    /// Cuts the power in the `nth` call from now on, counted from 1. A write is cut in the middle.
    pub fn cut_power_at(&self, nth: u64) {
        self.process.disk().power_left = Some(nth.max(1));
    }

    /// Cuts the power now: every call fails until [`restart`](Self::restart).
    pub fn cut_power(&self) {
        self.process.disk().power = false;
    }

    /// Returns whether the power is on.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.process.disk().power
    }

    /// Makes all later syncs succeed without doing anything.
    pub fn ignore_syncs(&self) {
        self.process.disk().lies = true;
    }

    /// Lets the store make room in its files in a thread beside the log, as it does on a real disk. Which calls of the
    /// two threads come first is not decided by the seed then.
    pub fn fill_beside(&self) {
        self.process.disk().filled_beside = true;
    }

    /// Limits the disk to `bytes` more bytes than it has now; `None` removes the limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        let mut disk = self.process.disk();
        disk.room = bytes.map(|bytes| disk.names.used() + bytes);
    }

    /// Makes the next call of this kind stop before it does anything, until the returned hold is released or dropped.
    #[must_use]
    pub fn hold(&self, call: Call) -> Hold {
        let gate = Arc::new(Gate::default());
        self.process.disk().hold = Some((call, Arc::clone(&gate)));
        Hold::new(gate)
    }

    /// Ends the process and starts another one. Files that were opened before are not usable any more. Nothing that was
    /// written is lost, and unsynced changes stay unsynced. Planned failures are removed.
    pub fn kill(&self) {
        self.process.disk().kill();
    }

    /// Cuts the power, if it is on, and restores it. Unsynced changes are lost as `loss` says, and all others are
    /// durable. Planned failures are removed, and the limit of the disk stays.
    pub fn restart(&self, loss: Loss) {
        self.process.disk().restart(loss);
    }

    /// Returns the number of calls so far that changed something.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.process.disk().calls
    }

    /// Returns how much was read so far.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.process.disk().reads
    }

    /// Returns the content of the disk as a process would see it now.
    #[must_use]
    pub fn image(&self) -> Image {
        Image(self.process.disk().names.settled())
    }

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// If the directory does not exist.
    pub fn names(&self, directory: impl AsRef<Path>) -> io::Result<Vec<String>> {
        self.process.disk().names.list(directory.as_ref())
    }

    /// Returns the bytes of a file.
    ///
    /// # Errors
    /// If the file does not exist.
    pub fn contents(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut disk = self.process.disk();
        let file = disk.names.file(path.as_ref())?;
        let content = disk.names.content(file);
        let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(0)];
        content.read(&mut bytes, 0);
        Ok(bytes)
    }

    /// Writes `bytes` to a file durably, without regard to planned failures. Creates the file if it does not exist.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.process.disk().names.put(path.as_ref(), bytes);
    }

    /// Flips the bits of `mask` in one byte of a file, durably. Returns false if the byte does not exist.
    pub fn flip(&self, path: impl AsRef<Path>, position: u64, mask: u8) -> bool {
        let mut disk = self.process.disk();
        let Ok(file) = disk.names.file(path.as_ref()) else { return false };
        let content = disk.names.content(file);
        let mut byte = [0];
        if content.read(&mut byte, position) == 0
            || content.write(&[byte[0] ^ mask], position).is_err()
        {
            return false;
        }
        content.sync();
        true
    }

    /// Removes a file durably, without regard to planned failures. Returns false if it does not exist.
    pub fn take_away(&self, path: impl AsRef<Path>) -> bool {
        self.process.disk().names.take_away(path.as_ref())
    }

    /// Copies the files of a directory of this disk to `to`, an existing directory of the real file system.
    ///
    /// # Errors
    /// If the directory does not exist, or if the system fails.
    pub fn copy_out(&self, directory: impl AsRef<Path>, to: &Path) -> io::Result<()> {
        let mut disk = self.process.disk();
        for name in disk.names.list(directory.as_ref())? {
            if let Ok(file) = disk.names.file(&directory.as_ref().join(&name)) {
                let to = std::fs::File::create(to.join(&name))?;
                disk.names.content(file).copy_to(&to)?;
            }
        }
        Ok(())
    }
}

impl FileSystem for FaultFileSystem {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(FaultDirectory::open(&self.process, path)?))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        create_directory(&self.process, path)
    }
}

/// Returns the path of `name` in the root directory, which is the same on every disk.
#[must_use]
pub fn on_disk(name: &str) -> PathBuf {
    Path::new(FaultFileSystem::ROOT).join(name)
}
