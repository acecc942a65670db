//! The reconstructor: computes the state of a projection, now and at any time before.

use std::ops::Range;
use std::time::SystemTime;

use super::folded::Folded;
#[cfg(feature = "snapshots")]
use super::repository::SnapshotRepository;
use super::{Parts, Projection};
use crate::backend::backend::Backend;
use crate::backend::memory::Memory;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::query::Query;
use crate::store::bounds::first_at;
use crate::store::events::{Events, UnknownEvents};
use crate::store::store::EventStore;
use crate::util::time::to_ms;

/// Computes the state of a projection: the current state, the state at an earlier offset or time, and the state after
/// each event. [`EventStore::reconstruct`] returns it.
///
/// It keeps the current state, so that [`now`](Self::now) folds only the events that were appended since the last
/// call.
///
/// ```
/// use annals::{EventStore, Projection, Query, RawEvent, Recorded, SnapshotPolicy, Step, Steps};
///
/// struct Count;
///
/// impl Projection for Count {
///     type Event = RawEvent;
///     type State = u64;
///     fn initial(&self) -> u64 { 0 }
///     fn query(&self) -> Query { Query::all() }
///     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
/// }
///
/// let store = EventStore::in_memory();
/// for _ in 0..3 {
///     store.append(RawEvent::builder("counted").build()?)?;
/// }
/// let mut count = store.reconstruct(Count).snapshots(SnapshotPolicy::every(1_000));
/// assert_eq!(*count.now()?, 3);
/// assert_eq!(count.at(0)?, 1); // after the event at offset 0
/// assert_eq!(count.at_time(store.get(2)?.unwrap().time())?, 3);
///
/// let steps: Steps<'_, Count, _> = count.steps(1..)?;
/// for step in steps {
///     let Step { event, state } = step?;
///     assert_eq!(state, event.offset + 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it folds nothing until it is asked for a state"]
pub struct Reconstructor<P: Projection, B: Backend<P::Event> = Memory<<P as Projection>::Event>> {
    pub(super) store: EventStore<P::Event, B>,
    pub(super) projection: P,
    pub(super) query: Query,
    pub(super) parts: Parts,
    pub(super) unknown: UnknownEvents,
    #[cfg(feature = "snapshots")]
    pub(super) repository: Option<SnapshotRepository<P::State>>,
    current: Option<Folded<P::State>>,
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns a reconstructor, which computes the state of a projection, now and at any time before. Nothing is folded
    /// yet.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
    /// struct Count;
    ///
    /// impl Projection for Count {
    ///     type Event = RawEvent;
    ///     type State = u64;
    ///     fn initial(&self) -> u64 { 0 }
    ///     fn query(&self) -> Query { Query::all() }
    ///     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// }
    ///
    /// let store = EventStore::in_memory();
    /// store.append_batch((0..3).map(|_| RawEvent::builder("counted").build().unwrap()))?;
    /// let mut count = store.reconstruct(Count);
    /// assert_eq!((*count.now()?, count.at(0)?), (3, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconstruct<P: Projection<Event = E>>(&self, projection: P) -> Reconstructor<P, B> {
        Reconstructor::new(self, projection)
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Creates a reconstructor of this projection on this log. Nothing is folded yet, and it uses no snapshots.
    pub fn new(store: &EventStore<P::Event, B>, projection: P) -> Self {
        let (query, parts) = (projection.query(), projection.parts());
        Self {
            store: store.clone(),
            projection,
            query,
            parts,
            unknown: UnknownEvents::default(),
            #[cfg(feature = "snapshots")]
            repository: None,
            current: None,
        }
    }

    /// Sets what to do with events of unknown types. By default each is an error.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self.current = None;
        self
    }

    /// Returns the current state. It has every event that is in the log when this is called.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read. The state before that event is stored, and the next call
    /// continues from there.
    pub fn now(&mut self) -> Result<&P::State, ReadError> {
        let end = self.store.len();
        // Taken out of `self`, so that a panic of the projection leaves no half-folded state there.
        let mut folded = match self.current.take() {
            Some(current) => current,
            None => self.begin(0, end),
        };
        #[cfg(feature = "snapshots")]
        let done = self.fold_and_save(&mut folded, end);
        #[cfg(not(feature = "snapshots"))]
        let done = self.fold(&mut folded, end, |_| {});
        let current = self.current.insert(folded);
        done.map(|()| &current.state)
    }

    /// Returns the log's head at the last call of [`now`](Self::now), or 0 if there was none. Every event below it is
    /// in that state.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.head)
    }

    /// Returns the number of events of unknown types that were skipped for the state of [`now`](Self::now).
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.passed_over)
    }

    /// Returns the state after the event at `offset`, that event included. Beyond the head, returns the current state.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn at(&self, offset: u64) -> Result<P::State, ReadError> {
        Ok(self.folded_to(offset.saturating_add(1))?.state)
    }

    /// Returns the state at this time. It has every event that was recorded at or before that time. The time is rounded
    /// down to the millisecond, as the times of events are.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn at_time(&self, time: SystemTime) -> Result<P::State, ReadError> {
        let after = to_ms(time).saturating_add(1);
        Ok(self.folded_to(first_at(self.store.backend(), after)?)?.state)
    }

    /// Returns the projection.
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// Returns the store.
    pub fn store(&self) -> &EventStore<P::Event, B> {
        &self.store
    }

    /// Returns the query that selects the events.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Returns the state of the last call of `now`.
    pub(crate) fn state(&self) -> Option<&P::State> {
        self.current.as_ref().map(|current| &current.state)
    }

    /// Returns the offset of the last event in the state of the last call of `now`.
    pub(crate) fn last(&self) -> Option<u64> {
        self.current.as_ref().and_then(|current| current.last)
    }

    /// Returns the state of all events below `head`.
    pub(super) fn folded_to(&self, head: u64) -> Result<Folded<P::State>, ReadError> {
        let end = head.min(self.store.len());
        let current = self.current.as_ref().filter(|current| current.head <= end);
        let snapshot = self.begin(current.map_or(0, |current| current.head), end);
        let mut folded = match current {
            Some(current) if current.head >= snapshot.head => current.clone(),
            _ => snapshot,
        };
        self.fold(&mut folded, end, |_| {})?;
        Ok(folded)
    }

    /// Returns the newest snapshot after `from` and at most at `end`, or else the initial state.
    fn begin(&self, from: u64, end: u64) -> Folded<P::State> {
        #[cfg(feature = "snapshots")]
        if let Some(snapshot) = self.snapshot(from, end) {
            return snapshot;
        }
        let _ = (from, end); // not used without the feature `snapshots`
        self.beginning()
    }

    /// Returns the initial state.
    pub(super) fn beginning(&self) -> Folded<P::State> {
        let state = self.projection.initial();
        Folded { state, head: 0, last: None, since: 0, passed_over: 0 }
    }

    /// Folds the events up to `end`, and calls `after_each` with the state after each event if no event was skipped. On
    /// an error, the state has the events before the one that cannot be read.
    pub(super) fn fold(
        &self,
        folded: &mut Folded<P::State>,
        end: u64,
        mut after_each: impl FnMut(&mut Folded<P::State>),
    ) -> Result<(), ReadError> {
        let before = folded.passed_over;
        let mut events = self.events(folded.head..end);
        while let Some(event) = events.next() {
            folded.passed_over = before + events.passed_over();
            let event = event?;
            self.projection.apply_parts(&self.parts, &mut folded.state, &event);
            folded.head = event.offset + 1;
            folded.last = Some(event.offset);
            folded.since += 1;
            if folded.passed_over == 0 {
                after_each(folded);
            }
        }
        folded.passed_over = before + events.passed_over();
        folded.head = folded.head.max(end);
        Ok(())
    }

    /// Returns the events that the projection reads, of these offsets, which are below the head.
    pub(super) fn events(&self, range: Range<u64>) -> Events<'_, P::Event, B> {
        self.store.query(&self.query).range(range).unknown_events(self.unknown).reading_all()
    }
}

impl<P: Projection, B: Backend<P::Event>> std::fmt::Debug for Reconstructor<P, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconstructor")
            .field("projection", &self.projection.name())
            .field("query", &self.query)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}
