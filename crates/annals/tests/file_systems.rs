//! Stores on file systems that do not do all that others do, and whose files are not quite as a Journal leaves them.

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
    /// As NFS since Linux 2.6.12 (flock(2)): an exclusive lock needs a handle that is open for writing.
    lock_needs_write: bool,
    /// No index file can be made.
    no_index: bool,
    /// Giving up the lock of a file that was opened for reading takes a moment.
    slow_close: bool,
    /// A lock keeps other handles from the file.
    mandatory: bool,
    /// The last position in an index file is wrong.
    bad_index: bool,
}

#[derive(Debug)]
struct Fs(How);
#[derive(Debug)]
struct Dir(How, Arc<dyn StoreDirectory>);
#[derive(Debug)]
struct Fil {
    how: How,
    file: Box<dyn StoreFile>,
    write: bool,
    locked: AtomicBool,
}

impl FileSystem for Fs {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Dir(self.0, RealFileSystem.open_directory(path)?)))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

impl Dir {
    fn file(&self, file: Box<dyn StoreFile>, write: bool) -> Box<dyn StoreFile> {
        Box::new(Fil { how: self.0, file, write, locked: AtomicBool::new(false) })
    }
}

impl StoreDirectory for Dir {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        if self.0.no_index && name.ends_with(".idx.new") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(self.file(self.1.create(name)?, true))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        Ok(self.file(self.1.open(name)?, true))
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
        Ok(self.file(self.1.open_read_only(name)?, false))
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
        Ok(Arc::new(Dir(self.0, self.1.open_directory(name)?)))
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

impl StoreFile for Fil {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(bytes, position)
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if self.how.mandatory && !self.locked.load(Ordering::Relaxed) {
            // Another handle has the lock if this one cannot take it.
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
        self.file.size()
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn file(&self) -> io::Result<File> {
        self.file.file()
    }
    fn id(&self) -> io::Result<Option<FileId>> {
        self.file.id()
    }
    fn try_lock(&self) -> io::Result<bool> {
        if self.how.lock_needs_write && !self.write {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
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
fn a_store_opens_where_a_lock_needs_a_handle_that_writes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let how = How { lock_needs_write: true, ..How::default() };
    let store = open(&path, how);
    for _ in 0..20 {
        store.append(event("e")).unwrap();
    }
}

/// a LOCK that is a symbolic link.
#[test]
fn a_store_whose_lock_is_a_symbolic_link_opens_or_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    drop(open(&path, How::default()));
    fs::rename(path.join("LOCK"), place.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path().join("elsewhere"), path.join("LOCK")).unwrap();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(EventStore::<RawEvent>::open(&path).map(drop)));
    receive.recv().unwrap().unwrap();
}

/// an active segment that is a symbolic link, as version 0.1 could write to.
#[test]
fn a_store_whose_segment_is_a_symbolic_link_is_written_to() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    drop(open(&path, How::default()));
    let log = path.join("00000000000000000000.log");
    fs::rename(&log, place.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path().join("elsewhere"), &log).unwrap();
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    store.append(event("e")).unwrap();
}

/// a process that ends (or closes the store) gives up LOCK a moment before the segment's lock.
#[test]
fn an_opener_waits_for_the_lock_of_a_segment_as_for_lock() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    // Closing the handle of a file takes a moment, as that of a network file system may.
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

/// the next segment is there, without its predecessor's index, and the store was closed.
#[test]
fn a_follower_does_not_call_a_store_damaged_that_was_rolled_and_closed() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let writer = open(&path, How { no_index: true, ..How::default() });
    writer.append(event("e")).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let mut cursor = reader.subscription(Query::all(), 0);
    cursor.next().unwrap().unwrap();
    let mut n = 1;
    let log = |n: u64| path.join(format!("{n:020}.log"));
    // Up to where an append begins a segment.
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

/// a follower reads its mapping behind where the writer cut the file, when an index file is bad: SIGBUS.
#[test]
fn a_follower_survives_a_bad_index_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    let writer = open(&path, How::default());
    let how = How { bad_index: true, ..How::default() };
    let reader: Store = EventStore::on(options(how).open_read_only(&path).unwrap());
    let mut cursor = reader.subscription(Query::all(), 0);
    for _ in 0..30 {
        writer.append(event("e")).unwrap();
        cursor.next().unwrap().unwrap();
    }
}

/// as SMB since Linux 5.5 (flock(2)): while one handle has the lock of a file, any other fails to read and write it.
/// What version 0.1 did (it locked `LOCK` only) works there.
#[test]
fn a_store_works_where_a_lock_keeps_other_handles_from_the_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("st");
    drop(open(&path, How::default()));
    let store = open(&path, How { mandatory: true, ..How::default() });
    store.append(event("e")).unwrap();
}
