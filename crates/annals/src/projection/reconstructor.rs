//! The reconstructor: computes the state of a projection, now and at any time before.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, de::DeserializeOwned};

use super::folded::Folded;
use super::pending::PendingSnapshots;
use super::repository::SnapshotRepository;
use super::{Parts, Projection};
use crate::backend::backend::Backend;
use crate::backend::memory::Memory;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::query::Query;
use crate::snapshot::SnapshotStore;
use crate::snapshot::format::Binding;
use crate::snapshot::memory::MemorySnapshots;
use crate::snapshot::policy::SnapshotPolicy;
use crate::store::bounds::first_at;
use crate::store::events::{Events, UnknownEvents};
use crate::store::store::EventStore;
use crate::util::time::to_ms;

/// Computes the state of a projection: the current state, the state at any time before, and the state after each event.
///
/// It stores the current state, so that [`now`](Self::now) folds only the events that were appended since the last
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
    pub(super) repository: Option<SnapshotRepository<P::State>>,
    current: Option<Folded<P::State>>,
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns a reconstructor, which computes the state of a projection, now and at any time before. Nothing is folded
    /// yet. [`Reconstructor`] has an example.
    pub fn reconstruct<P: Projection<Event = E>>(&self, projection: P) -> Reconstructor<P, B> {
        Reconstructor::new(self, projection)
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Creates a reconstructor of this projection on this log. Nothing is folded yet, and there are no snapshots.
    pub fn new(store: &EventStore<P::Event, B>, projection: P) -> Self {
        let (query, parts) = (projection.query(), projection.parts());
        Self {
            store: store.clone(),
            projection,
            query,
            parts,
            unknown: UnknownEvents::default(),
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

    /// Stores snapshots in the backend's own snapshot store, and begins folds at them. If the backend has no snapshot
    /// store, they are stored in memory. By default there are no snapshots.
    ///
    /// If this process can only [load](SnapshotStore::is_read_only) them, folds begin at the snapshots that the log's
    /// writer stores. That is so for a store in RocksDB that is open read-only.
    pub fn snapshots(self, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let own = self.store.backend().snapshots();
        self.snapshots_in(own.unwrap_or_else(|| Arc::new(MemorySnapshots::new())), policy)
    }

    /// Stores snapshots in `snapshots`, and begins folds at them. By default there are no snapshots.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
    /// use std::sync::Arc;
    /// use annals::{DirectorySnapshots, SnapshotPolicy};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("counted").build()?)?;
    /// let place = Arc::new(DirectorySnapshots::at(directory.path().join("counts")));
    /// let mut count = store.reconstruct(Count).snapshots_in(place, SnapshotPolicy::every(1));
    /// assert_eq!(*count.now()?, 1);
    /// assert!(directory.path().join("counts").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshots_in(mut self, snapshots: Arc<dyn SnapshotStore>, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let store = self.store.backend().store_id();
        let projection = &self.projection;
        let binding = Binding::new(store, &projection.name(), projection.version(), &self.query);
        self.repository = Some(SnapshotRepository::new(snapshots, policy, binding));
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
        let mut pending = self.repository.as_ref().and_then(|repository| repository.pending(end));
        let done = self.fold(&mut folded, end, pending.as_mut());
        if let Some((repository, mut pending)) = self.repository.as_ref().zip(pending) {
            if folded.passed_over == 0 {
                pending.finish(&mut folded);
            }
            repository.save(&self.store, pending);
        }
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
        self.fold(&mut folded, end, None)?;
        Ok(folded)
    }

    /// Returns the newest snapshot after `from` and at most at `end`, or else the initial state.
    fn begin(&self, from: u64, end: u64) -> Folded<P::State> {
        let snapshot = self
            .repository
            .as_ref()
            .and_then(|repository| repository.newest(&self.store, &(from + 1..=end)));
        match snapshot {
            Some(snapshot) => Folded {
                state: snapshot.state,
                head: snapshot.head,
                last: snapshot.last.map(|last| last.offset),
                since: 0,
                passed_over: 0,
            },
            None => self.beginning(),
        }
    }

    /// Returns the initial state.
    pub(super) fn beginning(&self) -> Folded<P::State> {
        let state = self.projection.initial();
        Folded { state, head: 0, last: None, since: 0, passed_over: 0 }
    }

    /// Folds the events up to `end`. On an error, the state has the events before the one that cannot be read.
    pub(super) fn fold(
        &self,
        folded: &mut Folded<P::State>,
        end: u64,
        mut pending: Option<&mut PendingSnapshots<P::State>>,
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
            if let Some(pending) = &mut pending
                && folded.passed_over == 0
            {
                pending.offer(folded);
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
