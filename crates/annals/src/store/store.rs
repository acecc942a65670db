//! The face: an [`EventStore`] appends, reads, and tells who listens, wherever the log lives.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use annals_base::Slices;
use parking_lot::RwLock;

use super::events::Events;
use super::subscription::Subscription;
use crate::backend::backend::{Backend, Batch, Health, NameCount, NameKind};
use crate::backend::head::callbacks::SubscriberId;
use crate::backend::memory::Memory;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::journal::Journal;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::{Condition, Query};
use crate::snapshot::digest::EventDigest;

/// An append-only log of events.
///
/// Clone it freely: clones are handles to the same log.
///
/// The second type is where the log lives, memory unless another is named. A field for a store in files is an
/// `EventStore<Booking, Journal<Booking>>`; what works on any takes `EventStore<Booking, B>` with `B: Backend<Booking>`,
/// or an `EventStore<Booking, Box<dyn Backend<Booking>>>` where the program chooses as it runs.
///
/// ```
/// use annals::{Condition, Event, EventStore, Query};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Event, Debug, Clone, PartialEq)]
/// enum Booking {
///     SeatSold { #[event(tag = "seat")] seat: String, price: u32 },
/// }
///
/// let store = EventStore::<Booking>::in_memory();
/// let sold = |price| Booking::SeatSold { seat: "12A".into(), price };
///
/// // Sell the seat, unless it was sold since we looked.
/// let seen = store.len();
/// let unsold = Condition::fail_if(Query::tag("seat:12A")).after(seen);
/// assert_eq!(store.append_if([sold(90)], &unsold)?, 0..1);
/// assert!(store.append_if([sold(95)], &unsold).is_err());
/// assert_eq!(store.get(0)?.unwrap().event, sold(90));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EventStore<E: Event, B: Backend<E> = Memory<E>> {
    backend: Arc<B>,
    event: PhantomData<fn() -> E>,
    /// Those who decide share it; who lost too often has it alone for a while.
    turns: Arc<RwLock<()>>,
}

/// A store in files: what [`EventStore::open`] and [`EventStore::open_read_only`] return.
///
/// ```
/// use annals::{Event, EventStore, JournalStore};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { seat: String },
/// }
///
/// struct BoxOffice {
///     bookings: JournalStore<Booking>,
/// }
///
/// let directory = tempfile::tempdir()?;
/// let office = BoxOffice { bookings: EventStore::open(directory.path().join("bookings.store"))? };
/// office.bookings.append(Booking::SeatSold { seat: "12A".into() })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type JournalStore<E> = EventStore<E, Journal<E>>;

/// Where the log lives is this one line; everything else is the same for all backends.
impl<E: Event> EventStore<E> {
    /// An empty log in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::on(Memory::new())
    }

    /// Returns an empty log in memory that encodes and decodes each event once when it is appended, with all limits: what
    /// it takes, a log in files takes as well, and readers see what they would see there. For tests; see
    /// [`Memory::encoded`].
    ///
    /// ```
    /// use annals::{Event, EventStore};
    ///
    /// #[derive(Event)]
    /// enum Weather {
    ///     Measured { rain: f64 },
    /// }
    ///
    /// let store = EventStore::in_memory_encoded();
    /// store.append(Weather::Measured { rain: 1.5 })?;
    /// let error = store.append(Weather::Measured { rain: f64::NAN }).unwrap_err();
    /// assert!(error.to_string().contains("rain: NaN cannot be written as JSON"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_memory_encoded() -> Self {
        Self::on(Memory::encoded())
    }

    /// Opens the log in the directory `path`, or creates it there; appends are durable when they return. For other
    /// settings: [`Journal::options`].
    ///
    /// # Errors
    /// [`OpenError`]: something else is there, another process writes to it, it is damaged, or the system fails.
    pub fn open(path: impl AsRef<Path>) -> Result<JournalStore<E>, OpenError> {
        Journal::options().open(path).map(EventStore::on)
    }

    /// Opens the log in the directory `path` for reading only, beside a process that may be writing to it, and
    /// follows it. It may show a commit before that is synced: if power fails then, the commit may be gone. Of a log
    /// that is damaged it shows what is good before the damage: ask [`Journal::damage`] through
    /// [`backend`](Self::backend).
    ///
    /// # Errors
    /// [`OpenError`]: nothing or something else is there, the log is damaged from its first segment's head on, or the
    /// system fails.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<JournalStore<E>, OpenError> {
        Journal::options().open_read_only(path).map(EventStore::on)
    }

    /// The events at these offsets as contiguous slices, in order: the fastest way to read many. Beyond the head
    /// there is nothing.
    pub fn slices(&self, range: impl RangeBounds<u64>) -> Slices<'_, Recorded<E>> {
        self.backend.slices(bounds(&range, self.len()))
    }
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns a store whose log is in `backend`.
    ///
    /// The backend determines the store's second type. Where the first one is written, write an underscore for the second:
    /// `EventStore::<Booking>` alone is a store in memory.
    ///
    /// ```
    /// # use annals::{EventStore, Journal, Memory, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let memory = EventStore::on(Memory::<RawEvent>::new());
    /// let files = EventStore::<RawEvent, _>::on(Journal::options().open(directory.path().join("log.store"))?);
    /// assert!(memory.is_empty() && files.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on(backend: B) -> Self {
        Self { backend: Arc::new(backend), event: PhantomData, turns: Arc::default() }
    }

    /// Appends an event; it is as durable as was asked when this returns its offset.
    ///
    /// # Errors
    /// [`AppendError`]; then the log holds nothing of it.
    pub fn append(&self, event: E) -> Result<u64, AppendError> {
        Ok(self.backend.append(Batch::new(vec![event]))?.start)
    }

    /// Appends events next to each other, all or none: at most 65,536 of them and 32 MiB.
    ///
    /// # Errors
    /// [`AppendError`]; then the log holds none of them.
    pub fn append_batch(
        &self,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Range<u64>, AppendError> {
        self.backend.append(Batch::new(events.into_iter().collect()))
    }

    /// Appends a batch if nothing happened that the condition forbids; to look and to append are one step, however
    /// many threads race.
    ///
    /// Ids come first: if the log has the batch already, by the [ids](Event::id) of its events, this returns the offsets
    /// that it has, and does not look at the condition. So a retry of a conditional append succeeds, though its own first
    /// attempt is what the condition forbids.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if something did, [`AppendError::ConditionBeyondHead`] if the condition looks at nothing
    /// that is there or comes next, or another [`AppendError`]; then the log holds none of them.
    pub fn append_if(
        &self,
        events: impl IntoIterator<Item = E>,
        condition: &Condition,
    ) -> Result<Range<u64>, AppendError> {
        let events = events.into_iter().collect();
        self.append_as(Batch::new(events).condition(condition.clone()))
    }

    /// Appends a batch with its condition and time as they stand in it: what the other ways to append come down to.
    ///
    /// # Errors
    /// [`AppendError`]; then the log holds none of them.
    pub fn append_as(&self, batch: Batch<E>) -> Result<Range<u64>, AppendError> {
        self.backend.append(self.of_own_events(batch)?)
    }

    /// As [`append`](Self::append), for callers that must not block. If there is [room](Self::append_batch_async), the
    /// event is on its way when this returns, and the future may be dropped; if there is none, it is appended only if the
    /// future is awaited.
    ///
    /// # Errors
    /// The future's: [`AppendError`]; then the log holds nothing of it.
    pub fn append_async(
        &self,
        event: E,
    ) -> impl Future<Output = Result<u64, AppendError>> + Send + use<E, B> {
        let arrival = self.append_batch_async(Batch::new(vec![event]));
        async { Ok(arrival.await?.start) }
    }

    /// As [`append_as`](Self::append_as), for callers that must not block. The future is ready once the batch is appended.
    ///
    /// Batches that are queued and not committed yet hold at most [`MAX_QUEUED_BYTES`](crate::MAX_QUEUED_BYTES) together,
    /// 64 MiB; one that is larger goes through alone. (In memory, where payloads are not encoded, what an event of a
    /// type other than [`RawEvent`](crate::RawEvent) points to is not known, and not counted.)
    ///
    /// * **With room** the batch is queued when this returns. It is appended whether or not the future is awaited, in
    ///   the order of the calls.
    /// * **Without room** the future has it. It waits for room from its first poll on, behind those that waited before, and
    ///   is queued as soon as there is room, also if it is not polled again. **A future that is dropped before that appends
    ///   nothing.** So a producer that awaits its appends is slowed down to what the disk takes.
    ///
    /// A caller whose appends must keep their order awaits each before the next. The future of a batch that waits for
    /// room when the store is closed, or a write fails, returns that error.
    ///
    /// # Errors
    /// The future's: [`AppendError`]; then the log holds nothing of it.
    pub fn append_batch_async(
        &self,
        batch: Batch<E>,
    ) -> impl Future<Output = Result<Range<u64>, AppendError>> + Send + use<E, B> {
        match self.of_own_events(batch) {
            Ok(batch) => self.backend.submit(batch),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// The event at `offset`; `None` at and beyond the head.
    ///
    /// # Errors
    /// [`ReadError`] when it is there and cannot be read.
    pub fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
        self.backend.head().meters().read(offset, || self.backend.get(offset))
    }

    /// The events at these offsets, in order or from the end; beyond the head there is nothing.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Events<'_, E, B> {
        Events::new(&*self.backend, Ok(Query::all()), bounds(&range, self.len()))
    }

    /// The events that match, in order or from the end. A query that no event can match, as it asks for a name that no
    /// event of this store can have, gives one error, [`ReadError::InvalidQuery`].
    pub fn query(&self, query: &Query) -> Events<'_, E, B> {
        Events::new(&*self.backend, query.clone().of::<E>(), 0..self.len())
    }

    /// How many events there are: the offset that the next will get, the log's head.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.backend.head().get()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `callback` for each event from now on: in order, once each, before its append returns.
    ///
    /// **A callback must not wait for another thread that appends to this store, nor lock what a thread holds while it
    /// appends: both wait for ever**, since every append waits for the callbacks before it. The same holds for a bounded
    /// channel to a worker that appends, and for the future of an append that was begun outside of the callback. In a debug build a callback that has not returned for seconds is logged as a
    /// warning, with the offset of its event. Work that waits belongs into a thread of its own, which reads with a
    /// [`subscription`](Self::subscription) and holds up nobody:
    ///
    /// ```
    /// use annals::{EventStore, Query, RawEvent};
    /// let store = EventStore::in_memory();
    /// let (reader, from) = (store.clone(), store.len());
    /// let worker = std::thread::spawn(move || {
    ///     for event in reader.subscription(Query::event_type("asked"), from) {
    ///         let answer = RawEvent::builder("answered").tag(format!("to:{}", event?.offset));
    ///         reader.append(answer.build()?)?;
    ///         break; // to end the example
    ///     }
    ///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// });
    /// store.append(RawEvent::builder("asked").build()?)?;
    /// worker.join().expect("no panic").map_err(|error| error.to_string())?;
    /// assert_eq!(store.query(&Query::tag("to:0")).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A callback that panics is dropped, with an error logged. A callback that appends itself gets its offset at once;
    /// callbacks see that event after they have seen the current ones. A callback may close the store: what was on its way
    /// is still appended, and cursors end behind it. The callback lives as long as the log: one that holds a clone of the
    /// store keeps it open, until it is [ended](Self::unsubscribe).
    ///
    /// In a store that is open read-only, a callback does not see an event that this program cannot decode; the program's
    /// log has an error for each. A [`subscription`](Self::subscription) returns that error.
    pub fn subscribe(&self, callback: impl FnMut(&Recorded<E>) + Send + 'static) -> SubscriberId {
        self.backend.head().subscribe(callback)
    }

    /// Ends a callback; false if there is none of that id.
    #[must_use]
    pub fn unsubscribe(&self, id: SubscriberId) -> bool {
        self.backend.head().unsubscribe(id)
    }

    /// A cursor over the events that match, from `from` on and then as they come; from [`len`](Self::len) for those
    /// to come only. A query that no event can match gives one error, [`ReadError::InvalidQuery`], and then the cursor
    /// ends.
    pub fn subscription(&self, query: Query, from: u64) -> Subscription<'_, E, B> {
        Subscription::new(&*self.backend, query.of::<E>(), from)
    }

    /// The event types in the log with their numbers of events, sorted by name.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    pub fn types(&self) -> Result<Vec<NameCount>, ReadError> {
        self.names(NameKind::Type, "")
    }

    /// The tags in the log that begin with `prefix`, with their numbers of events, sorted by name.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    pub fn tags(&self, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.names(NameKind::Tag, prefix)
    }

    /// When the event at `offset` was recorded; a failure counts as one of reading.
    pub(crate) fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        self.backend.head().meters().counted(self.backend.time_ms(offset))
    }

    /// The digest of the event at `offset`; a failure counts as one of reading.
    pub(crate) fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        self.backend.head().meters().counted(self.backend.digest(offset))
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        let meters = self.backend.head().meters();
        let mut names = meters.counted(self.backend.names(kind, prefix))?;
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    /// Numbers one can watch: how much there is, and what was measured since the log was opened.
    ///
    /// What grows as the log is used also goes to the recorder of the crate `metrics` that was installed before the log
    /// was opened, if one was; how much there is goes there when this is called, so call it before each look. The names
    /// stand in docs/METRICS.md.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("first").build()?)?;
    /// let stats = store.stats();
    /// assert_eq!((stats.events, stats.commits, stats.commit_events.max), (1, 1, 1));
    /// assert_eq!(stats.append_ns.count, 1); // of those in memory one in 61 is timed, a thread's first among them
    /// assert!(stats.append_ns.p50 <= stats.append_ns.p99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (stats, health) = (self.backend.stats(), self.health());
        let poisoned = matches!(health, Health::Poisoned { .. });
        let full = matches!(health, Health::NoRoom { .. });
        self.backend.head().measured(stats, poisoned, full)
    }

    /// How much there is of each segment, in order.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentStats> {
        self.backend.segments()
    }

    /// Makes everything appended so far durable; of use where appends are only buffered.
    ///
    /// # Errors
    /// [`AppendError`] when that fails; then the store is poisoned.
    pub fn sync(&self) -> Result<(), AppendError> {
        self.backend.sync()
    }

    /// Takes no more appends, makes those durable that were taken, marks the store as cleanly closed, and ends all cursors
    /// once they have read everything. Reading goes on. Closing again does only what failed before. (Dropping the last
    /// handle does the same if this was not called, but can only log a failure; and it lets go of the files.)
    ///
    /// Inside a callback this cannot wait for the appends that wait for the callback: if there are any, it returns once all
    /// before them is durable, and the store is closed after them. A failure then is logged.
    ///
    /// # Errors
    /// [`AppendError::Failed`] when something cannot be made durable, [`AppendError::Poisoned`] when a write failed before,
    /// and [`AppendError::NotClosed`] when all is durable but the store cannot be marked as closed, for example on a full
    /// disk. Whatever dropping the store would log as a failure, this returns.
    pub fn close(&self) -> Result<(), AppendError> {
        self.backend.close()
    }

    /// Returns whether the store takes appends, and why not: it is closed, was opened read-only, a write failed, or the
    /// last append found no room. For a service's health check.
    #[must_use]
    pub fn health(&self) -> Health {
        self.backend.health()
    }

    /// Returns the batch with its condition as one about events of type `E`.
    fn of_own_events(&self, mut batch: Batch<E>) -> Result<Batch<E>, AppendError> {
        let condition = batch.condition.take().map(Condition::of::<E>).transpose();
        batch.condition = condition.map_err(|error| {
            let error = AppendError::InvalidCondition(error);
            self.backend.head().meters().refused(&error);
            error
        })?;
        Ok(batch)
    }

    pub(crate) fn turns(&self) -> &Arc<RwLock<()>> {
        &self.turns
    }

    /// Where the log lives.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }
}

impl<E: Event, B: Backend<E>> Clone for EventStore<E, B> {
    fn clone(&self) -> Self {
        let (backend, turns) = (Arc::clone(&self.backend), Arc::clone(&self.turns));
        Self { backend, event: PhantomData, turns }
    }
}

impl<E: Event, B: Backend<E>> std::fmt::Debug for EventStore<E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The offsets of `range` that are below `head`.
pub(crate) fn bounds(range: &impl RangeBounds<u64>, head: u64) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1).min(head),
        Bound::Excluded(&end) => end.min(head),
        Bound::Unbounded => head,
    };
    start.min(end)..end
}
