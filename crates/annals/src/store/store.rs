//! The store: where a log is opened, watched and closed. Appending, reading and subscribing are in the files beside
//! this.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use super::fairness::FairnessLock;
use super::source::Source;
use super::stream::EventStream;
use super::subscription::Subscription;
use crate::backend::backend::Backend;
use crate::backend::head::callbacks::SubscriberId;
use crate::backend::health::Health;
use crate::backend::memory::Memory;
use crate::error::{AppendError, OpenError};
use crate::event::event::{Event, Recorded};
#[cfg(feature = "journal")]
use crate::journal::Journal;
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::Query;

/// Appends events to a log and reads them. Events are appended once, in one order, and never changed.
///
/// Any number of threads can use a store at once. Clones are handles to the same log; the log is closed when the last
/// one is dropped.
///
/// The second type parameter is the backend, which stores the log:
///
/// | The log is | Type |
/// |---|---|
/// | in memory | `EventStore<Booking>` |
/// | in files | [`JournalStore<Booking>`](JournalStore) |
/// | in any backend | `EventStore<Booking, B>` with `B: Backend<Booking>` |
/// | in a backend that the program chooses as it runs | `EventStore<Booking, Box<dyn Backend<Booking>>>` |
///
/// ```
/// use annals::{Condition, Event, EventStore, Query};
///
/// #[derive(Event, Debug, Clone, PartialEq)]
/// enum Booking {
///     SeatSold { #[event(tag = "seat")] seat: String, price: u32 },
/// }
///
/// let store = EventStore::<Booking>::in_memory();
/// let sold = |price| Booking::SeatSold { seat: "12A".into(), price };
///
/// // Sell the seat, unless it was sold since this program looked.
/// let head = store.len(); // the offset that the next event gets
/// let unsold = Condition::fail_if(Query::tag("seat:12A")).after(head);
/// assert_eq!(store.append_if([sold(90)], &unsold)?, 0..1);
/// assert!(store.append_if([sold(95)], &unsold).is_err());
/// assert_eq!(store.get(0)?.unwrap().event, sold(90));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EventStore<E: Event, B: Backend<E> = Memory<E>> {
    pub(super) backend: Arc<B>,
    event: PhantomData<fn() -> E>,
    /// Makes decisions fair: all decisions share this lock, and a decision that lost often takes it alone.
    fairness: Arc<FairnessLock>,
}

/// The type of a store in files. [`EventStore::open`] and [`EventStore::open_read_only`] return it.
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
#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub type JournalStore<E> = EventStore<E, Journal<E>>;

impl<E: Event> EventStore<E> {
    /// Returns an empty log in memory. It takes at most 4,294,967,295 events, and is gone with the process.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::<RawEvent>::in_memory();
    /// assert!(store.is_empty());
    /// ```
    #[must_use]
    pub fn in_memory() -> Self {
        Self::on(Memory::new())
    }

    /// Returns an empty log in memory for tests of a program whose log is in files: it refuses every event that a log
    /// in files would refuse, and readers see what they would see there. Each event is encoded and decoded once when it
    /// is appended. See [`Memory::encoded`].
    ///
    /// ```
    /// # use annals::{AppendError, Event, EventStore};
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

    /// Opens the log in the directory `path` for reading and writing, or creates it there. An append is durable when it
    /// returns. One process can have the log open for writing. [`Journal::options`] has other settings.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("bookings.store");
    /// EventStore::open(&path)?.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert_eq!(EventStore::<RawEvent>::open(&path)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// * [`OpenError::NotAStore`]: something else is at `path`.
    /// * [`OpenError::Locked`]: the log is open for writing.
    /// * [`OpenError::Corrupt`]: the log is damaged.
    /// * [`OpenError::NewerFormat`]: a newer version of annals wrote the log.
    /// * [`OpenError::Io`]: the system failed.
    #[cfg(feature = "journal")]
    #[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
    pub fn open(path: impl AsRef<Path>) -> Result<JournalStore<E>, OpenError> {
        Journal::options().open(path).map(EventStore::on)
    }

    /// Opens the log in the directory `path` for reading only and follows it, beside a process that may be writing to
    /// it.
    ///
    /// * **A commit may be visible before it is synced.** If power fails then, the commit may be gone.
    /// * **Of a damaged log** the events before the damage are readable. [`Journal::damage`] returns the damage,
    ///   through [`backend`](Self::backend).
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let writer = EventStore::<RawEvent>::open(directory.path())?;
    /// let reader = EventStore::<RawEvent>::open_read_only(directory.path())?;
    /// writer.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert_eq!(reader.subscription(annals::Query::all(), 0).next().unwrap()?.offset, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// * [`OpenError::NotFound`]: nothing is at `path`.
    /// * [`OpenError::NotAStore`]: something else is at `path`.
    /// * [`OpenError::Corrupt`]: the log is damaged from the beginning of its first segment on.
    /// * [`OpenError::NewerFormat`]: a newer version of annals wrote the log.
    /// * [`OpenError::Io`]: the system failed.
    #[cfg(feature = "journal")]
    #[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<JournalStore<E>, OpenError> {
        Journal::options().open_read_only(path).map(EventStore::on)
    }
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns a store whose log is in `backend`.
    ///
    /// `EventStore::<Booking>` alone is a store in memory, so code that names the event type writes an underscore for
    /// the backend.
    ///
    /// ```
    /// # use annals::{EventStore, Journal, Memory, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let memory = EventStore::on(Memory::<RawEvent>::new());
    /// let files = EventStore::<RawEvent, _>::on(Journal::options().open(directory.path())?);
    /// assert!(memory.is_empty() && files.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on(backend: B) -> Self {
        Self { backend: Arc::new(backend), event: PhantomData, fairness: Arc::default() }
    }

    /// Calls `callback` for each event that is appended from now on: in order, once each, before the append of the
    /// event returns.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// let store = EventStore::in_memory();
    /// let count = Arc::new(AtomicU64::new(0));
    /// let counted = Arc::clone(&count);
    /// let subscriber = store.subscribe(move |_| drop(counted.fetch_add(1, Ordering::Relaxed)));
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert_eq!(count.load(Ordering::Relaxed), 1);
    /// assert!(store.unsubscribe(subscriber));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// **A callback must not wait for another thread that appends to this store, and must not take a lock that a thread
    /// holds while it appends. Both deadlock**, since every append waits for the callbacks before it. So does waiting
    /// for a bounded channel to a worker that appends, or for the future of an append that was begun outside the
    /// callback. In a debug build, a callback that has not returned for seconds is logged as a warning with the offset
    /// of its event.
    ///
    /// Work that waits belongs in a thread of its own, which reads a [`subscription`](Self::subscription) and delays no
    /// append.
    ///
    /// * **A callback that panics** is removed, and an error is logged.
    /// * **A callback may append.** It gets the offset at once. The callbacks see that event after the current ones.
    /// * **A callback may close the store.** Appends that wait are still made, and subscriptions end behind them.
    /// * **A callback lives as long as the log.** A callback that holds a clone of the store keeps the log open until
    ///   [`unsubscribe`](Self::unsubscribe) removes it.
    /// * **In a store that is open read-only or replicated**, a callback does not see an event that this program cannot
    ///   decode; an error is logged for each. A [`subscription`](Self::subscription) returns that error.
    pub fn subscribe(&self, callback: impl FnMut(&Recorded<E>) + Send + 'static) -> SubscriberId {
        self.backend.head().subscribe(callback)
    }

    /// Removes a callback that [`subscribe`](Self::subscribe) added. Returns false if no callback has this id.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let callback = store.subscribe(|_| panic!("this is removed before any event comes"));
    /// assert!(store.unsubscribe(callback));
    /// store.append(RawEvent::builder("seat-sold").build()?)?;
    /// assert!(!store.unsubscribe(callback));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unsubscribe(&self, id: SubscriberId) -> bool {
        self.backend.head().unsubscribe(id)
    }

    /// Returns a subscription to the events that match the query, from offset `from` on: first the events in the log,
    /// then new ones as they are appended. Pass [`len`](Self::len) to get new events only.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent};
    /// let store = EventStore::in_memory();
    /// let reader = store.clone();
    /// let worker = std::thread::spawn(move || {
    ///     let mut asked = reader.subscription(Query::event_type("asked"), 0);
    ///     asked.next().expect("the store is open").map(|event| event.offset)
    /// });
    /// store.append(RawEvent::builder("asked").build()?)?;
    /// assert_eq!(worker.join().expect("no panic")?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The subscription returns a [`ReadError`](crate::ReadError) for an event that cannot be read; [`Subscription`]
    /// says how it continues. It returns a single error, [`ReadError::InvalidQuery`](crate::ReadError::InvalidQuery),
    /// and ends, if no event of this store can match the query.
    pub fn subscription(&self, query: Query, from: u64) -> Subscription<'_, E, B> {
        Subscription::new(Source::borrowed(&self.backend), query.of::<E>(), from)
    }

    /// Returns a [`subscription`](Self::subscription) that owns this handle to the store. The subscription and its
    /// events are `'static`: they may be returned, stored and sent to other threads. They need no `E: Clone`.
    ///
    /// The subscription keeps the log open, as any handle does: it ends when the store is [closed](Self::close), not
    /// when the other handles are dropped. In memory, an event that it returned keeps the log alive too.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent, Subscription, Memory};
    /// fn orders(store: &EventStore<RawEvent>) -> Subscription<'static, RawEvent, Memory<RawEvent>> {
    ///     store.clone().into_subscription(Query::event_type("ordered"), 0)
    /// }
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("ordered").build()?)?;
    /// let mut orders = orders(&store);
    /// drop(store);
    /// let first = orders.next().expect("the log has one")?;
    /// drop(orders);
    /// let worker = std::thread::spawn(move || first.offset);
    /// assert_eq!(worker.join().expect("no panic"), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_subscription(self, query: Query, from: u64) -> Subscription<'static, E, B>
    where
        B: 'static,
    {
        Subscription::new(Source::shared(self.backend), query.of::<E>(), from)
    }

    /// Returns a `futures` `Stream` that owns this handle to the store: the [`stream`](Subscription::stream) of an
    /// [owned subscription](Self::into_subscription). A task may own it, and a request handler may return it.
    ///
    /// ```
    /// # use annals::{EventStore, Query, RawEvent};
    /// # use futures_executor::block_on;
    /// use futures_util::{Stream, StreamExt};
    ///
    /// /// The body of a response, for a web server that sends each line as it comes.
    /// fn lines(store: &EventStore<RawEvent>) -> impl Stream<Item = String> + Send + 'static {
    ///     let events = store.clone().into_stream(Query::all(), 0);
    ///     events.map(|event| event.map_or_else(|error| error.to_string(), |event| event.event.event_type().to_owned()))
    /// }
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("opened").build()?)?;
    /// store.close()?;
    /// assert_eq!(block_on(lines(&store).collect::<Vec<_>>()), ["opened"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self, query: Query, from: u64) -> EventStream<'static, E, B>
    where
        B: 'static,
    {
        self.into_subscription(query, from).stream()
    }

    /// Returns how much the log holds, and what was measured since it was opened.
    ///
    /// The counters and times also go to the recorder of the crate `metrics`, if one was installed before the log was
    /// opened. The sizes go there when this is called, so call it before each scrape. docs/METRICS.md lists the names.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("first").build()?)?;
    /// let stats = store.stats();
    /// assert_eq!((stats.events, stats.commits, stats.commit_events.max), (1, 1, 1));
    /// // Of the appends in memory, one in 61 is timed, the first of each thread among them.
    /// assert_eq!(stats.append_ns.count, 1);
    /// assert!(stats.append_ns.p50 <= stats.append_ns.p99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.backend.head().measured(self.backend.stats(), &self.health())
    }

    /// Returns the sizes of each segment, in order. Returns nothing if the backend has no segments.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let store = EventStore::<RawEvent>::open(directory.path())?;
    /// assert_eq!(store.segments()[0].first, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentStats> {
        self.backend.segments()
    }

    /// Makes everything appended so far durable, where appends are only buffered.
    ///
    /// ```
    /// # use annals::{Durability, EventStore, Journal, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let buffered = Journal::options().durability(Durability::Buffered);
    /// let store = EventStore::<RawEvent, _>::on(buffered.open(directory.path())?);
    /// store.append(RawEvent::builder("seat-sold").build()?)?; // a power failure may take it
    /// store.sync()?; // now it is durable
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AppendError::Failed`] when the sync fails, and [`AppendError::Poisoned`] when a write or sync failed before.
    /// The store then takes no more appends until it is reopened.
    pub fn sync(&self) -> Result<(), AppendError> {
        self.backend.sync()
    }

    /// Closes the log: refuses further appends, makes every accepted append durable, and marks the store as cleanly
    /// closed. Subscriptions end once they have returned every event. Reading stays possible.
    ///
    /// Dropping the last handle closes the log as well, and frees its files, but can only log a failure. A second call
    /// does only what failed in the first.
    ///
    /// ```
    /// # use annals::{AppendError, EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("first").build()?)?;
    /// store.close()?;
    /// assert!(matches!(store.append(RawEvent::builder("late").build()?), Err(AppendError::Closed)));
    /// assert_eq!(store.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A callback that calls this cannot wait for the appends that wait for the callback. If there are any, this
    /// returns once everything before them is durable, and the store is closed after them; a failure of that is logged.
    ///
    /// # Errors
    /// * [`AppendError::Failed`]: some accepted append could not be made durable.
    /// * [`AppendError::Poisoned`]: a write or sync failed before.
    /// * [`AppendError::NotClosed`]: everything is durable, but the store could not be marked as closed, for example on
    ///   a full disk.
    pub fn close(&self) -> Result<(), AppendError> {
        self.backend.close()
    }

    /// Returns whether the store is closed: it takes no appends, its head does not move any more, and a subscription
    /// that has returned every event has ended.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::<RawEvent>::in_memory();
    /// assert!(!store.is_closed());
    /// store.close()?;
    /// assert!(store.is_closed());
    /// # Ok::<(), annals::AppendError>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.backend.head().is_closed()
    }

    /// Returns whether the store takes appends, and if not, why: it was closed, was opened read-only, or a write
    /// failed. Also reports that the last append found no room. Meant for a service's health check.
    ///
    /// ```
    /// # use annals::{EventStore, Health, RawEvent};
    /// let store = EventStore::<RawEvent>::in_memory();
    /// assert!(matches!(store.health(), Health::Open));
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        self.backend.health()
    }

    /// Returns the backend, for what only this kind of backend offers.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let directory = tempfile::tempdir()?;
    /// let store = EventStore::<RawEvent>::open(directory.path())?;
    /// assert_eq!(store.backend().damage(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) fn fairness(&self) -> &Arc<FairnessLock> {
        &self.fairness
    }
}

impl<E: Event, B: Backend<E>> Clone for EventStore<E, B> {
    fn clone(&self) -> Self {
        let (backend, fairness) = (Arc::clone(&self.backend), Arc::clone(&self.fairness));
        Self { backend, event: PhantomData, fairness }
    }
}

impl<E: Event, B: Backend<E>> std::fmt::Debug for EventStore<E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStore").field("len", &self.len()).finish_non_exhaustive()
    }
}
