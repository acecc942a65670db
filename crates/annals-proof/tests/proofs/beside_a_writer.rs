//! Proofs of a log that another process writes and signs meanwhile. The tests force the interleavings.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, EventRef, EventStore, FileId, FileSystem,
    Head, Health, Memory, NameCount, NameKind, RawEvent, ReadError, RealFileSystem, Selection,
    Stats, StoreDirectory, StoreFile,
};
use annals_proof::{ProofOptions, Proofs};

use crate::common::{Log, ORIGIN, T, alice, note, noted};

/// Directories whose log is signed by another process while they are listed.
#[derive(Debug)]
struct SignedInList(Log);

#[derive(Debug)]
struct Directory(PathBuf, Arc<dyn StoreDirectory>, Log);

impl FileSystem for SignedInList {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        let directory = RealFileSystem.open_directory(path)?;
        Ok(Arc::new(Directory(path.to_owned(), directory, self.0.clone())))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

impl StoreDirectory for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        Proofs::open(&self.2, &self.0, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        self.1.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.open(name)
    }
    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.open_read_only(name)
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
        self.1.open_directory(name)
    }
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        self.1.file_id(name)
    }
}

#[test]
fn the_first_checkpoint_is_signed_while_the_proofs_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let store = noted(7);
    let options = ProofOptions::new().path(directory.path().join("proofs"));
    let options = options.file_system(Arc::new(SignedInList(store.clone())));
    let proofs = options.open(&store, ORIGIN).unwrap();
    assert_eq!(proofs.vkey(), Some(alice().vkey()));
    assert_eq!(proofs.last_checkpoint().unwrap().size(), 7);
}

/// A reader's log. It sees the events of the writer late: after it was asked whether it takes appends.
struct Late {
    id: Option<[u8; 16]>,
    seen: Memory<RawEvent>,
    unseen: AtomicU64,
    /// After how many such questions the events arrive.
    questions: AtomicU64,
}

impl Late {
    fn beside(writer: &Log) -> Self {
        let (id, zero) = (writer.backend().store_id(), AtomicU64::default);
        Self { id, seen: Memory::new(), unseen: zero(), questions: zero() }
    }

    fn delay(&self, events: u64, questions: u64) {
        self.unseen.store(events, Ordering::SeqCst);
        self.questions.store(questions, Ordering::SeqCst);
    }
}

impl Backend<RawEvent> for Late {
    fn health(&self) -> Health {
        if self.questions.load(Ordering::SeqCst) > 0
            && self.questions.fetch_sub(1, Ordering::SeqCst) == 1
        {
            let start = self.seen.head().get();
            for time in (start..start + self.unseen.load(Ordering::SeqCst)).map(|n| T + n) {
                let mut batch = Batch::new(vec![RawEvent::builder("noted").build().unwrap()]);
                batch.time_ms = Some(time);
                self.seen.append(batch).unwrap();
            }
        }
        Health::ReadOnly
    }
    fn store_id(&self) -> Option<[u8; 16]> {
        self.id
    }
    fn append(&self, batch: Batch<RawEvent>) -> Result<Appended, AppendError> {
        self.seen.append(batch)
    }
    fn submit(&self, batch: Batch<RawEvent>) -> AppendFuture {
        self.seen.submit(batch)
    }
    fn head(&self) -> &Head<RawEvent> {
        self.seen.head()
    }
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, RawEvent>>, ReadError> {
        self.seen.get(offset)
    }
    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.seen.read(selection, page)
    }
    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.seen.names(kind, prefix)
    }
    fn stats(&self) -> Stats {
        Backend::stats(&self.seen)
    }
    fn sync(&self) -> Result<(), AppendError> {
        Backend::sync(&self.seen)
    }
    fn close(&self) -> Result<(), AppendError> {
        Backend::close(&self.seen)
    }
}

#[test]
fn a_reader_waits_for_the_events_that_were_signed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proofs");
    let store = noted(0);
    let writer = Proofs::open(&store, &path, ORIGIN).unwrap();
    let sign = || {
        note(&store, 700);
        writer.checkpoint(&alice()).unwrap()
    };
    let reader = EventStore::on(Late::beside(&store));
    sign();
    // Opening asks once whether to write files, and then waits.
    reader.backend().delay(700, 2);
    let proofs = Proofs::open(&reader, &path, ORIGIN).unwrap();
    assert!(proofs.contradiction().is_none());
    assert_eq!(reader.len(), 700);
    sign();
    reader.backend().delay(700, 1);
    let report = proofs.verify(&[]).unwrap();
    assert_eq!((report.events, report.checkpoints, &report.problems[..]), (1_400, 1, &[][..]));
    let signed = sign();
    reader.backend().delay(700, 1);
    proofs.prove(2_099, &signed).unwrap();
    let signed = sign();
    reader.backend().delay(700, 1);
    proofs.agrees_with(&signed).unwrap();
    assert_eq!(reader.len(), 2_800);
}
