//! Stores on file systems with limitations, and stores whose files differ from those that a Journal writes.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use annals::{
    Durability, EventStore, FileId, FileSystem, Journal, OpenError, Query, RawEvent,
    RealFileSystem, StoreDirectory, StoreFile, verify,
};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of a file system")]
struct How {
    /// Like NFS since Linux 2.6.12 (flock(2)): an exclusive lock needs a handle that is open for writing.
    lock_needs_write: bool,
    /// Index files cannot be created.
    no_index: bool,
    /// Releasing the lock of a file that was opened for reading is slow.
    slow_close: bool,
    /// While one handle has the lock of a file, other handles cannot read or write it.
    mandatory: bool,
    /// The last position in an index file is wrong.
    bad_index: bool,
    /// The system has no memory mapping left for a segment's file.
    no_mapping: bool,
    /// Another process has the lock of `LOCK` when that is first asked for, without a name of its own in it.
    busy_lock: bool,
    /// Another process has the lock of the directory when that is first asked for.
    busy_directory: bool,
    /// `LOCK` is removed just before it is locked, each time.
    removed_lock: bool,
}

#[derive(Debug)]
struct Fs(How);
#[derive(Debug)]
struct Dir(How, Arc<dyn StoreDirectory>, Arc<AtomicBool>);
#[derive(Debug)]
struct Fil {
    how: How,
    file: Box<dyn StoreFile>,
    write: bool,
    name: String,
    directory: Arc<dyn StoreDirectory>,
    /// Whether a lock was asked for in this directory before.
    asked: Arc<AtomicBool>,
    locked: AtomicBool,
}

/// More bytes than any system maps: it says that memory is lacking, as it does when a process has too many mappings.
const UNMAPPABLE: u64 = 1 << 62;

/// A file in memory, all of it a hole, that cannot be mapped.
#[cfg(target_os = "linux")]
fn unmappable() -> io::Result<File> {
    let file = rustix::fs::memfd_create("unmappable", rustix::fs::MemfdFlags::CLOEXEC)?;
    let file = File::from(file);
    file.set_len(UNMAPPABLE)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn unmappable() -> io::Result<File> {
    Err(io::ErrorKind::OutOfMemory.into())
}

impl FileSystem for Fs {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Dir(self.0, RealFileSystem.open_directory(path)?, Arc::default())))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

impl Dir {
    fn file(&self, name: &str, file: Box<dyn StoreFile>, write: bool) -> Box<dyn StoreFile> {
        Box::new(Fil {
            how: self.0,
            file,
            write,
            name: name.to_owned(),
            directory: Arc::clone(&self.1),
            asked: Arc::clone(&self.2),
            locked: AtomicBool::new(false),
        })
    }
}

impl StoreDirectory for Dir {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        if self.0.no_index && name.ends_with(".idx.new") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(self.file(name, self.1.create(name)?, true))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        Ok(self.file(name, self.1.open(name)?, true))
    }
    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        if self.0.bad_index && Path::new(name).extension().is_some_and(|kind| kind == "idx") {
            let file = self.1.open_read_only(name)?;
            let mut bytes = vec![0; usize::try_from(file.size()?).unwrap()];
            file.read_at(&mut bytes, 0)?;
            let start = u32::from_le_bytes(bytes[48..52].try_into().unwrap()) as usize;
            let size = u32::from_le_bytes(bytes[52..56].try_into().unwrap()) as usize;
            bytes[start + size - 4..start + size].copy_from_slice(&(8_u32 << 20).to_le_bytes());
            let copy = tempfile::tempdir().unwrap();
            fs::write(copy.path().join("x"), bytes).unwrap();
            return RealFileSystem.open_directory(copy.path())?.open_read_only("x");
        }
        Ok(self.file(name, self.1.open_read_only(name)?, false))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.1.list()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.1.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
    fn create_directory(&self, name: &str) -> io::Result<()> {
        self.1.create_directory(name)
    }
    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Dir(self.0, self.1.open_directory(name)?, Arc::default())))
    }
    fn try_lock(&self) -> io::Result<bool> {
        if self.0.busy_directory && !self.2.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        self.1.try_lock()
    }
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        self.1.file_id(name)
    }
}

impl Drop for Fil {
    fn drop(&mut self) {
        if self.how.slow_close && !self.write && self.locked.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Fil {
    fn is_segment(&self) -> bool {
        Path::new(&self.name).extension().is_some_and(|kind| kind == "log")
    }
}

impl StoreFile for Fil {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(bytes, position)
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if self.how.mandatory && !self.locked.load(Ordering::Relaxed) {
            // If this handle cannot take the lock, another handle has it.
            let mine = self.file.file()?;
            let other =
                File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&mine)))?;
            if other.try_lock().is_err() {
                return Err(io::Error::from_raw_os_error(libc::EACCES));
            }
        }
        self.file.write_at(bytes, position)
    }
    fn allocate(&self, position: u64, size: u64) -> io::Result<()> {
        self.file.allocate(position, size)
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_size(size)
    }
    fn size(&self) -> io::Result<u64> {
        if self.how.no_mapping && self.is_segment() { Ok(UNMAPPABLE) } else { self.file.size() }
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn file(&self) -> io::Result<File> {
        if self.how.no_mapping && self.is_segment() { unmappable() } else { self.file.file() }
    }
    fn id(&self) -> io::Result<Option<FileId>> {
        self.file.id()
    }
    fn try_lock(&self) -> io::Result<bool> {
        if self.how.lock_needs_write && !self.write {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        if self.how.busy_lock && !self.asked.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        if self.how.removed_lock {
            self.directory.remove(&self.name)?;
        }
        let locked = self.file.try_lock()?;
        self.locked.fetch_or(locked, Ordering::Relaxed);
        Ok(locked)
    }
}

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).data(vec![b'0'; 500]).build().unwrap()
}

fn options(how: How) -> annals::JournalOptions {
    Journal::options()
        .segment_bytes(4 << 10)
        .durability(Durability::Buffered)
        .file_system(Arc::new(Fs(how)))
}

fn open(path: &Path, how: How) -> Store {
    EventStore::on(options(how).open(path).unwrap())
}

/// An exclusive `flock` by a read-only handle fails on NFS.
#[test]
fn a_store_opens_if_a_lock_needs_a_writable_handle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let how = How { lock_needs_write: true, ..How::default() };
    let store = open(&path, how);
    for _ in 0..20 {
        store.append(event("e")).unwrap();
    }
}

/// `LOCK` is a symbolic link.
#[test]
fn a_store_whose_lock_is_a_symbolic_link_opens_or_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    drop(open(&path, How::default()));
    fs::rename(path.join("LOCK"), directory.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), path.join("LOCK")).unwrap();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(EventStore::<RawEvent>::open(&path).map(drop)));
    receive.recv().unwrap().unwrap();
}

/// The active segment is a symbolic link, which version 0.1 could write to.
#[test]
fn a_store_whose_segment_is_a_symbolic_link_is_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    drop(open(&path, How::default()));
    let log = path.join("00000000000000000000.log");
    fs::rename(&log, directory.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &log).unwrap();
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    store.append(event("e")).unwrap();
}

/// A process that ends or closes the store releases `LOCK` a moment before the lock of the segment.
#[test]
fn opening_waits_for_the_lock_of_a_segment_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    // Closing the handle of a file is slow, as it may be on a network file system.
    let how = How { slow_close: true, ..How::default() };
    let store = open(&path, how);
    let (send, receive) = mpsc::channel();
    let other = path.clone();
    let opener = std::thread::spawn(move || {
        loop {
            let opened = options(How::default()).open::<RawEvent>(&other);
            let _ = send.send(());
            match opened {
                Err(OpenError::Locked { .. }) => {}
                opened => return opened.map(drop).map_err(|error| format!("{error:?}")),
            }
        }
    });
    receive.recv().unwrap();
    drop(store);
    assert_eq!(opener.join().unwrap(), Ok(()));
}

/// A process that closed the store gives up its locks a moment later, and one that it started may have inherited them.
#[test]
fn an_opener_waits_for_a_lock_that_is_just_given_up() {
    let place = tempfile::tempdir().unwrap();
    for (name, how) in [
        ("lock", How { busy_lock: true, ..How::default() }),
        ("directory", How { busy_directory: true, ..How::default() }),
    ] {
        let store = open(&place.path().join(name), how);
        store.append(event("e")).unwrap();
    }
}

#[test]
fn a_lock_that_has_no_name_any_more_is_no_lock() {
    let place = tempfile::tempdir().unwrap();
    let how = How { removed_lock: true, ..How::default() };
    let refused = options(how).open::<RawEvent>(place.path().join("st")).unwrap_err();
    assert!(refused.to_string().contains("the file LOCK is replaced again and again"), "{refused}");
}

/// The next segment exists, the index of its predecessor does not, and the store was closed.
#[test]
fn a_follower_does_not_report_damage_if_the_last_segment_is_new_and_the_store_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let writer = open(&path, How { no_index: true, ..How::default() });
    writer.append(event("e")).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let mut cursor = reader.subscription(Query::all(), 0);
    cursor.next().unwrap().unwrap();
    let mut n = 1;
    let log = |n: u64| path.join(format!("{n:020}.log"));
    // Appends until a new segment begins.
    while n < 9 {
        writer.append(event("e")).unwrap();
        if log(n).exists() {
            break;
        }
        cursor.next().unwrap().unwrap();
        n += 1;
    }
    assert!(log(n).exists(), "{n}");
    writer.close().unwrap();
    drop(writer);
    assert_eq!(verify(&path).unwrap().problems, []);
    assert_eq!(cursor.next().unwrap().unwrap().offset, n);
    assert_eq!(reader.backend().follow_error(), None);
}

/// With a bad index file, a follower could read its mapping beyond the end of a truncated file, which raises SIGBUS.
#[test]
fn a_follower_survives_a_bad_index_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    let writer = open(&path, How::default());
    let how = How { bad_index: true, ..How::default() };
    let reader: Store = EventStore::on(options(how).open_read_only(&path).unwrap());
    let mut cursor = reader.subscription(Query::all(), 0);
    for _ in 0..30 {
        writer.append(event("e")).unwrap();
        cursor.next().unwrap().unwrap();
    }
}

/// Like SMB since Linux 5.5 (flock(2)): while one handle has the lock of a file, other handles cannot read or write it.
/// Version 0.1 locked only `LOCK`, which works there.
#[test]
fn a_store_works_if_a_lock_excludes_other_handles_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("st");
    drop(open(&path, How::default()));
    let store = open(&path, How { mandatory: true, ..How::default() });
    store.append(event("e")).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_for_which_no_memory_mapping_is_left_names_the_limit_and_what_helps() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let store = open(&path, How::default());
    for _ in 0..20 {
        store.append(event("e")).unwrap();
    }
    drop(store);
    let how = How { no_mapping: true, ..How::default() };
    let refused = options(how).open_read_only::<RawEvent>(&path).unwrap_err();
    let OpenError::Io { source, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), io::ErrorKind::OutOfMemory);
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let text = refused.to_string();
    for said in ["vm.max_map_count", limit.trim(), "sysctl -w", "segment_bytes"] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // Nothing is wrong with the store.
    assert_eq!(open(&path, How::default()).len(), 20);
}
