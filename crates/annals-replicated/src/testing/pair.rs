//! Two stores on one record as one subject: appends go to one, and reads, callbacks and cursors to the other.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, EventDigest, EventRef, Head, Health,
    NameCount, NameKind, RawEvent, ReadError, Recorded, Selection, Stats, Tags,
};
use annals_conformance::fault::{Hold, Loss};
use annals_conformance::{Fault, Fixture, Sample, Subject};

use super::fixture::{HANGS, ReplicatedFixture};
use super::record::{TestEngine, TestRecord};
use crate::replicated::replicated::Replicated;

/// Two stores on one record, as one subject.
#[derive(Debug, Clone, Copy)]
pub struct PairSubject<T>(pub T);

impl<T> PairSubject<T> {
    /// Returns whether an invariant applies to a pair. An append does not wait for the callbacks of the other store, so
    /// `a_subscriber_may_append` and `readers_do_not_wait` do not; `a_failed_sync_poisons` does not as with
    /// [`ReplicatedSubject`](super::ReplicatedSubject).
    #[must_use]
    pub fn has(invariant: &str) -> bool {
        !["a_failed_sync_poisons", "a_subscriber_may_append", "readers_do_not_wait"]
            .contains(&invariant)
    }
}

impl<T: TestEngine> Subject for PairSubject<T> {
    type Backend = Pair;

    fn fixture(&self) -> Arc<dyn Fixture<Pair>> {
        Arc::new(PairFixture(ReplicatedFixture::new(self.0.create())))
    }
}

struct PairFixture<R>(ReplicatedFixture<R>);

impl<R: TestRecord> Fixture<Pair> for PairFixture<R> {
    fn open(&self) -> Result<Pair, Box<dyn Error + Send + Sync>> {
        let path = self.0.directory.path().join("writer");
        let writer = Replicated::options().append_timeout(HANGS);
        let writer = Arc::new(writer.open(self.0.record.connect(), path)?);
        Ok(Pair { reader: Arc::new(self.0.open()?), writer })
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.0.crash(loss)
    }

    fn fail(&self, fault: Fault) -> bool {
        self.0.fail(fault)
    }

    fn heal(&self) {
        self.0.heal();
    }

    fn hold(&self) -> Option<Hold> {
        self.0.hold()
    }

    fn damage(&self, needle: &[u8]) -> bool {
        self.0.damage(needle)
    }
}

/// Appends at one store, and returns once the other one has the events.
#[derive(Debug)]
pub struct Pair {
    reader: Arc<Replicated<Sample>>,
    writer: Arc<Replicated<Sample>>,
}

/// Waits until the reader has what was appended and its callbacks have seen it, or it takes nothing any more.
fn seen(reader: &Replicated<Sample>, appended: &Appended) {
    // A callback of the reader holds up the thread that applies, and cannot wait for it.
    if appended.offsets.is_empty() || std::thread::current().name() == Some("annals-apply") {
        return;
    }
    let mut head = reader.head().get();
    while head < appended.offsets.end && reader.health().takes_appends() {
        let look = Instant::now() + Duration::from_millis(50);
        head = reader.head().wait_beyond(appended.offsets.end - 1, Some(look));
    }
    // The head is published before the callbacks are called.
    while !reader.has_delivered(appended.offsets.end) && reader.health().takes_appends() {
        std::thread::sleep(Duration::from_micros(100));
    }
}

impl Backend<Sample> for Pair {
    fn append(&self, batch: Batch<Sample>) -> Result<Appended, AppendError> {
        let appended = self.writer.append(batch)?;
        seen(&self.reader, &appended);
        Ok(appended)
    }

    fn submit(&self, batch: Batch<Sample>) -> AppendFuture {
        let appended = self.writer.submit(batch);
        let reader = Arc::clone(&self.reader);
        Box::pin(async move {
            let appended = appended.await?;
            seen(&reader, &appended);
            Ok(appended)
        })
    }

    fn head(&self) -> &Head<Sample> {
        self.reader.head()
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, Sample>>, ReadError> {
        self.reader.get(offset)
    }

    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        self.reader.digest(offset)
    }

    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        self.reader.time_ms(offset)
    }

    fn tags(&self, offset: u64) -> Result<Option<Tags>, ReadError> {
        self.reader.tags(offset)
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        self.reader.find_id(id)
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, Sample>>,
    ) -> Result<Range<u64>, ReadError> {
        self.reader.read(selection, page)
    }

    fn read_raw(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.reader.read_raw(range, limit, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.reader.names(kind, prefix)
    }

    fn stats(&self) -> Stats {
        self.reader.stats()
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.writer.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.writer.close()?;
        // What was accepted reaches the reader before it ends.
        let _ = self.reader.barrier();
        self.reader.close()
    }

    fn health(&self) -> Health {
        self.writer.health()
    }

    fn store_id(&self) -> Option<[u8; 16]> {
        self.writer.store_id()
    }
}
