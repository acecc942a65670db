//! Proofs of a log that another process writes and signs meanwhile. The tests force the interleavings.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, EventRef, EventStore, Head, Health,
    Memory, NameCount, NameKind, RawEvent, ReadError, Selection, Stats,
};
use annals_proof::{ProofOptions, Proofs};

use crate::common::{Log, ORIGIN, T, alice, note, noted};
use crate::hooked::Hooked;

#[test]
fn the_first_checkpoint_is_signed_while_the_proofs_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let store = noted(7);
    let path = directory.path().join("proofs");
    let (log, place) = (store.clone(), path.clone());
    let files = Hooked::new(move |call, _| {
        if call == "list" {
            Proofs::open(&log, &place, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        }
    });
    let proofs = ProofOptions::new().path(path).file_system(files).open(&store, ORIGIN).unwrap();
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
