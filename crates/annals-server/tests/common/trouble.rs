//! A log whose events cannot all be read.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use annals::backend::Beside;
use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, Corruption, EventRef, Head, Memory,
    NameCount, NameKind, ReadError, Selection, Stats,
};
use annals_server::WireEvent;
use tokio::sync::watch;

/// A gate through which every read of a page goes.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicU64,
}

impl Gate {
    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    /// Waits until a read waits at the gate.
    pub(crate) fn until_one_waits(&self) {
        // Relaxed: the count guards no other memory.
        while self.waiting.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn pass(&self) {
        // Relaxed: the count guards no other memory.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A gate at which appends wait, as they do in a full queue. An append whose future is dropped waits no more.
#[derive(Debug, Default)]
pub(crate) struct AppendGate {
    closed: watch::Sender<bool>,
    waiting: AtomicU64,
}

/// An append that waits at the gate.
struct Waiting(Arc<AppendGate>);

impl AppendGate {
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.closed.send_replace(false);
    }

    /// Waits until a number of appends wait at the gate.
    pub(crate) fn until(&self, waiting: u64) {
        // Relaxed: the count guards no other memory.
        while self.waiting.load(Ordering::Relaxed) != waiting {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Relaxed: the count guards no other memory.
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A log in memory. The event at one offset cannot be read; those before it and behind it can.
pub(crate) struct Damaged {
    log: Arc<Memory<WireEvent>>,
    offset: u64,
    /// Whether reading the event panics.
    panics: bool,
    /// The number of pages that were read.
    pub(crate) reads: Arc<AtomicU64>,
    /// The number of events that were read.
    pub(crate) events: Arc<AtomicU64>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) appends: Arc<AppendGate>,
}

impl Damaged {
    pub(crate) fn at(offset: u64) -> Self {
        Self {
            log: Arc::new(Memory::encoded()),
            offset,
            panics: false,
            reads: Arc::default(),
            events: Arc::default(),
            gate: Arc::default(),
            appends: Arc::default(),
        }
    }

    /// Returns a log whose code panics when it reads the event at this offset.
    pub(crate) fn panicking_at(offset: u64) -> Self {
        Self { panics: true, ..Self::at(offset) }
    }

    fn damage(&self) -> ReadError {
        assert!(!self.panics, "a read that panics");
        let (expected, found) = ("an event".to_owned(), "damage".to_owned());
        let file = PathBuf::from("test");
        ReadError::Corrupt(Corruption { file, position: 0, offset: self.offset, expected, found })
    }
}

impl Backend<WireEvent> for Damaged {
    fn append(&self, batch: Batch<WireEvent>) -> Result<Appended, AppendError> {
        self.log.append(batch)
    }

    fn submit(&self, batch: Batch<WireEvent>) -> AppendFuture {
        if !*self.appends.closed.borrow() {
            return self.log.submit(batch);
        }
        let (gate, log) = (Arc::clone(&self.appends), Arc::clone(&self.log));
        Box::pin(async move {
            // Relaxed: the count guards no other memory.
            gate.waiting.fetch_add(1, Ordering::Relaxed);
            let waiting = Waiting(Arc::clone(&gate));
            gate.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
            drop(waiting);
            log.submit(batch).await
        })
    }

    fn head(&self) -> &Head<WireEvent> {
        self.log.head()
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, WireEvent>>, ReadError> {
        // Relaxed: the count guards no other memory.
        self.events.fetch_add(1, Ordering::Relaxed);
        if offset == self.offset { Err(self.damage()) } else { self.log.get(offset) }
    }

    fn read<'a>(
        &'a self,
        mut selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, WireEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.gate.pass();
        // Relaxed: the count guards no other memory.
        self.reads.fetch_add(1, Ordering::Relaxed);
        let end = selection.range.end;
        let (is_near, before) = (selection.range.contains(&self.offset), page.len());
        if is_near && selection.range.start == self.offset {
            return Err(self.damage());
        }
        if is_near {
            selection.range.end = self.offset;
        }
        let rest = self.log.read(selection, page)?;
        // Relaxed: the count guards no other memory.
        self.events.fetch_add((page.len() - before) as u64, Ordering::Relaxed);
        Ok(if is_near { rest.start.min(self.offset)..end } else { rest })
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.log.names(kind, prefix)
    }

    fn beside(&self) -> Option<Beside> {
        Backend::<WireEvent>::beside(&*self.log)
    }

    fn stats(&self) -> Stats {
        self.log.stats()
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.log.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.log.close()
    }
}
