//! The backend of a log that several machines append to.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use annals::backend::{Beside, Encoded};
use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, Condition, Event, EventDigest, EventRef,
    Head, Health, Journal, NameCount, NameKind, RawEvent, ReadError, Recorded, SegmentStats,
    Selection, SnapshotStore, Stats, Tags,
};
use bytes::Bytes;

use super::applier::do_job;
use super::open_error::OpenReplicatedError;
use super::options::ReplicatedOptions;
use super::requests::{Offer, Request};
use super::shared::{JobOrResult, Shared};
use super::status::RecordStatus;
use super::submission::Submission;
use super::ticket::{AppendResult, Pending, Ticket};
use crate::core::messages::NewBatch;
use crate::log::commit_log::CommitLog;

/// A log that processes on several machines append to and read. Its record is in an engine, and each process has a
/// replica in files.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_replicated::sim::{Faults, SimLog};
/// use annals_replicated::Replicated;
///
/// # let directory = tempfile::tempdir()?;
/// # let (here, there) = (directory.path().join("here"), directory.path().join("there"));
/// let log = SimLog::new(Faults::none(), 1); // a test's engine, in memory
/// let store = EventStore::<RawEvent, _>::on(Replicated::open(log.clone(), &here)?);
/// let other = EventStore::<RawEvent, _>::on(Replicated::open(log, &there)?); // usually on another machine
///
/// let offset = store.append(RawEvent::builder("seat-sold").tag("seat:12A").build()?)?;
/// other.backend().barrier()?; // from here on, `other` has everything that was appended before
/// assert_eq!(other.get(offset)?.unwrap().event.event_type(), "seat-sold");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Appending
/// An append returns when the engine has stored the batch as durably as it promises, and readers in this process see
/// the events. It has four errors that other backends do not have; [`AppendError`] says what to do after each:
/// [`InDoubt`](AppendError::InDoubt), [`Unavailable`](AppendError::Unavailable), [`Diverged`](AppendError::Diverged)
/// and [`ClockAhead`](AppendError::ClockAhead). Give events [ids](Event::id): then an append in doubt is simply
/// repeated.
///
/// # Reading
/// Reads are local and as fast as in a [`Journal`]. They show a prefix of the log: events of other processes arrive a
/// moment after they were appended. [`barrier`](Self::barrier) waits for all events that any process appended before
/// the call. An append of a batch without events does the same.
pub struct Replicated<E: Event> {
    shared: Arc<Shared<E>>,
    threads: Vec<JoinHandle<()>>,
}

impl Replicated<RawEvent> {
    /// Returns the default options, for any type of events.
    #[must_use]
    pub fn options() -> ReplicatedOptions {
        ReplicatedOptions::default()
    }
}

impl<E: Event> Replicated<E> {
    /// Opens the log that `log` stores, with the default options. [`ReplicatedOptions::open`] says more.
    ///
    /// # Errors
    /// [`OpenReplicatedError`].
    pub fn open(
        log: impl CommitLog + 'static,
        path: impl AsRef<Path>,
    ) -> Result<Self, OpenReplicatedError> {
        ReplicatedOptions::default().open(log, path)
    }

    pub(super) fn new(shared: Arc<Shared<E>>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { shared, threads }
    }

    pub(super) fn shared(&self) -> &Shared<E> {
        &self.shared
    }

    /// Waits until this process shows everything that any process had appended before, and until no append of this
    /// process is in doubt any more. Returns the head. It appends an entry without events to the record; calls at the
    /// same time share one.
    ///
    /// # Errors
    /// [`AppendError`], as for an append.
    pub fn barrier(&self) -> Result<u64, AppendError> {
        Ok(self.append(Batch::new(Vec::new()))?.offsets.start)
    }

    /// Returns what is known of the record.
    #[must_use]
    pub fn record(&self) -> RecordStatus {
        self.shared.progress.status()
    }

    /// Returns whether callbacks have seen this number of events. In a callback, returns `true`: it cannot wait for
    /// the others.
    #[cfg(feature = "testing")]
    pub(crate) fn has_delivered(&self, events: u64) -> bool {
        self.shared.applies_here() || self.shared.progress.applied_head() >= events
    }

    fn journal(&self) -> &Journal<E> {
        self.shared.replica.journal()
    }

    /// Checks and encodes a batch.
    fn request(&self, batch: Batch<E>) -> Result<Request, AppendError> {
        let shared = &self.shared;
        let timer = shared.replica.head().time_append();
        let new = self.new_batch(batch);
        match new {
            Ok((batch, bytes)) => {
                let timeout = shared.options.append_timeout.as_millis();
                let timeout = u64::try_from(timeout).unwrap_or(u64::MAX).max(1);
                let deadline_ms = shared.now().steady_ms.saturating_add(timeout);
                Ok(Request { batch, ticket: Arc::<Ticket>::default(), timer, deadline_ms, bytes })
            }
            Err(error) => Err(shared.replica.head().refused(error)),
        }
    }

    fn new_batch(&self, batch: Batch<E>) -> Result<(NewBatch, usize), AppendError> {
        self.shared.opener.check()?;
        if let Some(refusal) = self.shared.refusal() {
            return Err(refusal);
        }
        let Batch { events, conditions, time_ms, allow_future_time } = batch;
        let encoded = Encoded::records(&events, &self.shared.hasher)?;
        let mut bytes = size_of::<Request>() + conditions.iter().map(held_bytes).sum::<usize>();
        let mut raw = Vec::with_capacity(events.len());
        for index in 0..events.len() {
            let body = Bytes::copy_from_slice(encoded.body(index));
            bytes += body.len() + size_of::<RawEvent>();
            raw.push(RawEvent::from_body(body).expect("it was just encoded"));
        }
        // Dropped before the caller waits: the destructor of an event may use the store.
        drop((encoded, events));
        Ok((NewBatch { events: raw, conditions, time_ms, allow_future_time }, bytes))
    }

    /// Waits for a result. In a callback, does the work of the thread that it holds up.
    fn wait(&self, ticket: &Ticket) -> AppendResult {
        if !self.shared.applies_here() {
            return ticket.wait();
        }
        loop {
            match self.shared.jobs.next_or(ticket) {
                JobOrResult::Job(job) => do_job(&self.shared, job),
                JobOrResult::Result(result) => return result,
            }
        }
    }

    fn append_request(&self, request: Request) -> AppendResult {
        let ticket = Arc::clone(&request.ticket);
        match self.shared.requests.enter(request, &self.shared.inbox) {
            Ok(_) => self.wait(&ticket),
            Err(error) => Err(self.shared.replica.head().refused(error)),
        }
    }
}

impl<E: Event> Backend<E> for Replicated<E> {
    /// Appends a batch, all or none. These errors come first to mind with a replicated log:
    ///
    /// * [`AppendError::InDoubt`]: the batch was sent, and its outcome is not known yet. If all its events have ids,
    ///   append the same batch again. Without ids, call [`Replicated::barrier`], which ends the doubt, look for the
    ///   events, and append them only if they are absent.
    /// * [`AppendError::Unavailable`]: nothing was sent in time, and nothing will be in the log. Append again.
    /// * [`AppendError::Diverged`]: the record lost what this replica has. An operator has to decide.
    /// * [`AppendError::ClockAhead`]: this machine's clock is wrong. Correct it, and append again.
    ///
    /// A callback and a waker may append. A clock of [`ReplicatedOptions::clock`] and a recorder of messages or metrics
    /// run on the thread that drives the log, where an append fails with [`AppendError::Unavailable`].
    fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
        if self.shared.driver.get() == Some(&thread::current().id()) {
            // A user's code runs there in a clock, or where a message or a metric is recorded.
            let cause = "an append on the thread that drives the log would wait for itself: append on another thread";
            return Err(AppendError::Unavailable { cause: cause.into() });
        }
        let request = self.request(batch)?;
        self.append_request(request)
    }

    fn submit(&self, batch: Batch<E>) -> AppendFuture {
        let request = match self.request(batch) {
            Ok(request) => request,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        if self.shared.applies_here() || self.shared.requests.wakes_here() {
            // Nothing is applied until the callback returns, and no task is woken until the waker does. So a future
            // that the caller waits for would never be ready.
            return Box::pin(std::future::ready(self.append_request(request)));
        }
        let ticket = Arc::clone(&request.ticket);
        match self.shared.requests.offer(request, &self.shared.inbox) {
            Ok(Offer::Queued) => Box::pin(Pending(ticket)),
            Ok(Offer::Refused(request)) => Box::pin(Submission::new(&self.shared, request)),
            Err(error) => {
                let error = self.shared.replica.head().refused(error);
                Box::pin(std::future::ready(Err(error)))
            }
        }
    }

    fn head(&self) -> &Head<E> {
        self.journal().head()
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        self.journal().get(offset)
    }

    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        self.journal().time_ms(offset)
    }

    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        self.journal().digest(offset)
    }

    fn tags(&self, offset: u64) -> Result<Option<Tags>, ReadError> {
        self.journal().tags(offset)
    }

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        self.journal().find_id(id)
    }

    fn page_limit(&self) -> usize {
        self.journal().page_limit()
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        self.journal().read(selection, page)
    }

    fn read_raw(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.journal().read_raw(range, limit, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.journal().names(kind, prefix)
    }

    fn count(&self, kind: NameKind, name: &str, range: Range<u64>) -> Result<u64, ReadError> {
        self.journal().count(kind, name, range)
    }

    fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        self.journal().nth(kind, name, n)
    }

    fn stats(&self) -> Stats {
        self.journal().stats()
    }

    fn segments(&self) -> Vec<SegmentStats> {
        self.journal().segments()
    }

    /// Reports whether the store failed, and syncs nothing: the record has every batch that an append acknowledged.
    fn sync(&self) -> Result<(), AppendError> {
        self.shared.opener.check()?;
        match self.shared.progress.failure() {
            Some(cause) => Err(AppendError::Poisoned { cause }),
            None => Ok(()),
        }
    }

    /// Closes the log. Waits for the engine until accepted appends have their results, at most for the time limit of an
    /// append. Also waits until the replica has applied the commits that were read and callbacks have seen them: this
    /// has no time limit.
    fn close(&self) -> Result<(), AppendError> {
        self.shared.opener.check()?;
        self.shared.close(false)
    }

    fn health(&self) -> Health {
        match self.shared.refusal() {
            Some(AppendError::Poisoned { cause }) => Health::Poisoned { cause },
            Some(AppendError::Diverged { cause }) => Health::Diverged { cause },
            Some(_) => Health::Closed,
            // Relaxed: pairs with the store of the driver. The flag guards no other data.
            None if self.shared.progress.is_full.load(Ordering::Relaxed) => {
                let source = io::Error::new(io::ErrorKind::StorageFull, "the engine has no room");
                Health::NoRoom { bytes: 0, source: Arc::new(source) }
            }
            None => Health::Open,
        }
    }

    fn store_id(&self) -> Option<[u8; 16]> {
        self.journal().store_id()
    }

    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        self.journal().snapshots()
    }

    fn beside(&self) -> Option<Beside> {
        self.journal().beside()
    }
}

impl<E: Event> Drop for Replicated<E> {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        if !self.shared.opener.is_here() {
            // The threads do not exist in a forked process, and joining them would wait for ever.
            std::mem::forget(threads);
            return;
        }
        match self.shared.close(true) {
            Ok(()) | Err(AppendError::Poisoned { .. }) => {}
            Err(error) => tracing::error!(%error, "the store was not closed cleanly"),
        }
        self.shared.requests.end_wakers();
        let own = thread::current().id();
        if self.shared.applies_here() || threads.iter().any(|thread| thread.thread().id() == own) {
            // The threads wait for this one. They end when the store is closed.
            return;
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the replicated log panicked");
            }
        }
    }
}

/// Returns the known size of a condition in memory, in bytes.
fn held_bytes(condition: &Condition) -> usize {
    let items = condition.query().items();
    let names = items.iter().flat_map(|item| item.types().iter().chain(item.tags()));
    let names: usize = names.map(|name| size_of::<String>() + name.len()).sum();
    size_of::<Condition>() + size_of_val(items) + names
}

impl<E: Event> std::fmt::Debug for Replicated<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicated")
            .field("journal", self.journal())
            .field("record", &self.record())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use annals::Query;

    use super::*;
    use crate::sim::{Faults, SimLog};

    #[test]
    fn the_conditions_of_a_batch_take_room_in_the_queue() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = SimLog::new(Faults::none(), 1);
        let store = Replicated::<RawEvent>::open(log, directory.path()).expect("a store");
        let batch = || Batch::new(Vec::new());
        let tags = |n| Query::tag(format!("{n:0100}"));
        let query = (1..1_000).map(tags).fold(tags(0), Query::or);
        let plain = store.request(batch()).expect("a request").bytes;
        let guarded = store.request(batch().condition(Condition::fail_if(query)));
        assert!(guarded.expect("a request").bytes >= plain + 100_000);
    }
}
