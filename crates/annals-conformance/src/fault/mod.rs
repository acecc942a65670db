//! A file system that fails as it is asked to: the Nth call, in the middle of a write, for want of room, or for want
//! of power.
//!
//! ```text
//!   Journal ──calls──▶ FaultFileSystem ──▶ what the operating system would have in memory   (cache)
//!                        │ plan: which          │ sync, sync_directory
//!                        │ calls fail           ▼
//!                        └──restart(Loss)──▶ what the disk would have                       (durable)
//! ```
//! Names and contents live in memory, each content twice, in sectors of 512 bytes; only what is mapped has a real
//! file behind it. After a loss of power the disk has what was synced and, sector by sector, as the seed decides,
//! what was not: new, old, or something in between. Names are lost likewise, until their directory is synced.

mod content;
mod directory;
mod disk;
mod file;
mod names;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals::{FileSystem, StoreDirectory, StoreFile};
use parking_lot::{Condvar, Mutex, MutexGuard};

use directory::FaultDirectory;
use disk::{Disk, Failure};
use file::FaultFile;

/// A disk in memory whose calls fail as planned, and which can lose its power.
///
/// Clones are the same disk, and [`process`](Self::process) is how a process sees it. Paths are its own: a store is opened at whatever path, such as `/disk/store`, below
/// [`ROOT`](Self::ROOT).
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
    shared: Arc<Shared>,
    /// The process whose calls these are; `None`: of whichever there is.
    process: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    disk: Mutex<Disk>,
}

/// A call that changes something, and so can be made to fail, to stop, or to be the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`StoreDirectory::create`].
    Create,
    /// [`FileSystem::create_directory`] and [`StoreDirectory::create_directory`].
    CreateDirectory,
    /// [`StoreDirectory::rename`].
    Rename,
    /// [`StoreDirectory::remove`].
    Remove,
    /// [`StoreDirectory::sync`].
    SyncDirectory,
    /// [`StoreFile::write_at`].
    Write,
    /// [`StoreFile::allocate`].
    Allocate,
    /// [`StoreFile::set_size`].
    SetSize,
    /// [`StoreFile::start_sync`].
    StartSync,
    /// [`StoreFile::sync`].
    Sync,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::CreateDirectory,
        Self::Rename,
        Self::Remove,
        Self::SyncDirectory,
        Self::Write,
        Self::Allocate,
        Self::SetSize,
        Self::StartSync,
        Self::Sync,
    ];
}

/// What of the unsynced a loss of power takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    Everything,
    /// None of it: everything reached the disk in time.
    Nothing,
    /// As the seed decides, for each sector of 512 bytes and each change of a name on its own.
    Sectors(u64),
    /// As the seed decides, for each page of 4 KiB, and for names in their order: as a journaling file system does.
    Pages(u64),
}

/// What a disk has, to begin others with it.
#[derive(Debug, Clone)]
pub struct Image(names::Names);

impl FaultFileSystem {
    /// The directory that is there from the start, and for good.
    pub const ROOT: &'static str = "/disk";

    /// An empty disk; `seed` decides where writes are torn and what a failed sync leaves.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(Disk::new(names::Names::new(Path::new(Self::ROOT)), seed))
    }

    /// A disk that has what `image` has, all of it durable.
    #[must_use]
    pub fn of(image: &Image, seed: u64) -> Self {
        Self::with(Disk::new(image.0.clone(), seed))
    }

    fn with(disk: Disk) -> Self {
        Self { shared: Arc::new(Shared { disk: Mutex::new(disk) }), process: None }
    }

    /// The disk as the process sees it that runs now: once that was [killed](Self::kill) or
    /// [lost its power](Self::restart), every call fails. This is what to open a store with.
    #[must_use]
    pub fn process(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), process: Some(self.disk().epoch) }
    }

    /// The `nth` call of this kind from now on, from 1, fails with `error`. A write is done in part before it fails;
    /// after a failed sync the bytes it was for are taken for written, and some are not (as Linux does it).
    pub fn fail(&self, call: Call, nth: u64, error: io::ErrorKind) {
        self.disk().failures.push(Failure { call: Some(call), left: nth.max(1), error });
    }

    /// The `nth` call from now on, from 1, of whatever kind, fails with `error`.
    pub fn fail_any(&self, nth: u64, error: io::ErrorKind) {
        self.disk().failures.push(Failure { call: None, left: nth.max(1), error });
    }

    /// The power goes off in the `nth` call from now on, from 1: if it is a write, in the middle of it.
    pub fn cut_power_at(&self, nth: u64) {
        self.disk().power_left = Some(nth.max(1));
    }

    /// The power goes off now: every call fails until [`restart`](Self::restart).
    pub fn cut_power(&self) {
        self.disk().power = false;
    }

    /// Whether the power is on.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.disk().power
    }

    /// From now on syncs do nothing and say that they did: a disk that lies.
    pub fn ignore_syncs(&self) {
        self.disk().lies = true;
    }

    /// Only so many bytes more fit on the disk; `None`: any number.
    pub fn set_room(&self, bytes: Option<u64>) {
        let mut disk = self.disk();
        disk.room = bytes.map(|bytes| disk.names.used() + bytes);
    }

    /// The next call of this kind stops before it does anything, until the answer is released or dropped.
    #[must_use]
    pub fn hold(&self, call: Call) -> Hold {
        let gate = Arc::new(Gate::default());
        self.disk().hold = Some((call, Arc::clone(&gate)));
        Hold(gate)
    }

    /// The process ends and another begins: files opened before can no longer be used, nothing written is lost, and
    /// what was not durable still is not. Plans are forgotten.
    pub fn kill(&self) {
        self.disk().kill();
    }

    /// The power goes off, if it is not, and comes back: what was not durable is lost as `loss` says, and the rest is
    /// durable. Plans are forgotten, the room stays.
    pub fn restart(&self, loss: Loss) {
        self.disk().restart(loss);
    }

    /// How many calls that change something there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.disk().calls
    }

    /// What the disk has, as a process would see it now.
    #[must_use]
    pub fn image(&self) -> Image {
        Image(self.disk().names.settled())
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// That there is no such directory.
    pub fn names(&self, directory: impl AsRef<Path>) -> io::Result<Vec<String>> {
        self.disk().names.list(directory.as_ref())
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// That there is no such file.
    pub fn contents(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut disk = self.disk();
        let file = disk.names.file(path.as_ref())?;
        let content = disk.names.content(file);
        let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(0)];
        content.read(&mut bytes, 0);
        Ok(bytes)
    }

    /// Puts `bytes` into a file, durably, whatever is planned; makes it if it is not there.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.disk().names.put(path.as_ref(), bytes);
    }

    /// Turns the bits of `mask` in one byte of a file, durably. False if there is no such byte.
    pub fn flip(&self, path: impl AsRef<Path>, position: u64, mask: u8) -> bool {
        let mut disk = self.disk();
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

    /// Takes a file away, durably, whatever is planned. False if there is none.
    pub fn take_away(&self, path: impl AsRef<Path>) -> bool {
        self.disk().names.take_away(path.as_ref())
    }

    /// Writes the files of a directory of this disk into `to`, a real directory that is there.
    ///
    /// # Errors
    /// The system's, or that there is no such directory.
    pub fn copy_out(&self, directory: impl AsRef<Path>, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        for name in disk.names.list(directory.as_ref())? {
            if let Ok(file) = disk.names.file(&directory.as_ref().join(&name)) {
                let to = std::fs::File::create(to.join(&name))?;
                disk.names.content(file).copy_to(&to)?;
            }
        }
        Ok(())
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared.disk.lock()
    }

    /// Begins a call that changes something: it stops if it is to be held, fails if it is to fail.
    fn begin(&self, call: Call) -> Result<MutexGuard<'_, Disk>, Refused<'_>> {
        let mut disk = self.disk();
        let held = disk.hold.take_if(|(held, _)| *held == call);
        if let Some((_, gate)) = held {
            drop(disk);
            gate.pass();
            disk = self.disk();
        }
        match disk.begin(self.process, call) {
            Ok(()) => Ok(disk),
            Err((error, ending)) => Err(Refused { disk, error, ending }),
        }
    }

    fn handle(&self, disk: &mut Disk, file: usize, write: bool) -> Box<dyn StoreFile> {
        let system = Self { shared: Arc::clone(&self.shared), process: Some(disk.epoch) };
        Box::new(FaultFile { system, file, handle: disk.next_handle(), write })
    }
}

/// A call that fails, and what becomes of it before it does.
struct Refused<'a> {
    disk: MutexGuard<'a, Disk>,
    error: io::Error,
    ending: Ending,
}

/// How a call ends that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Not even begun.
    NotBegun,
    /// Planned to fail, or the last before the power goes off: done in part.
    Partly,
}

impl From<Refused<'_>> for io::Error {
    fn from(refused: Refused<'_>) -> Self {
        refused.error
    }
}

impl FileSystem for FaultFileSystem {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        let disk = self.disk();
        disk.check_power(self.process)?;
        disk.names.list(path)?;
        let system = Self { shared: Arc::clone(&self.shared), process: Some(disk.epoch) };
        Ok(Arc::new(FaultDirectory { system, path: path.to_owned() }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.begin(Call::CreateDirectory)?;
        disk.check_room()?;
        disk.names.create_directory(path)
    }
}

/// A call that is stopped, or will be. Dropped, it lets the call go on.
#[derive(Debug)]
pub struct Hold(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Hold {
    /// Waits until the call has come and stands still; false if it did not come in time.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state.lock();
        while !state.reached {
            if self.0.changed.wait_until(&mut state, deadline).timed_out() {
                return state.reached;
            }
        }
        true
    }

    /// Lets the call go on.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state.lock().open = true;
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock();
        state.reached = true;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| !state.open);
    }
}

/// The path of `name` in the root directory of every disk.
#[must_use]
pub fn on_disk(name: &str) -> PathBuf {
    Path::new(FaultFileSystem::ROOT).join(name)
}
