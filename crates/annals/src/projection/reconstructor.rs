//! The state of a projection: now, and as it was at any time before.

use std::ops::Range;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::Projection;
use super::folded::Folded;
use super::pending::PendingSnapshots;
use super::repository::SnapshotRepository;
use crate::backend::backend::Backend;
use crate::backend::memory::Memory;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::query::Query;
use crate::snapshot::format::Binding;
use crate::snapshot::memory::MemorySnapshots;
use crate::snapshot::{SnapshotPolicy, SnapshotStore};
use crate::store::events::{Events, UnknownEvents};
use crate::store::store::EventStore;

/// Folds a log into the state of a projection: as it is now, as it was then, step by step.
///
/// It keeps the state of [`now`](Self::now) and folds only what came since.
///
/// ```
/// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
/// struct Count;
/// impl Projection for Count {
///     type Event = RawEvent;
///     type State = u64;
///     fn initial(&self) -> u64 { 0 }
///     fn query(&self) -> Query { Query::all() }
///     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1; }
/// }
///
/// let store = EventStore::in_memory();
/// for _ in 0..3 {
///     store.append(RawEvent::builder("counted").build()?)?;
/// }
/// let mut counts = store.reconstruct(Count);
/// assert_eq!(*counts.now()?, 3);
/// assert_eq!(counts.at(0)?, 1); // after the event at offset 0
/// let steps: Vec<u64> = counts.steps(1..)?.map(|step| Ok(step?.state)).collect::<Result<_, annals::ReadError>>()?;
/// assert_eq!(steps, [2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it folds nothing until it is asked for a state"]
pub struct Reconstructor<P: Projection, B: Backend<P::Event> = Memory<<P as Projection>::Event>> {
    pub(super) store: EventStore<P::Event, B>,
    pub(super) projection: P,
    pub(super) query: Query,
    pub(super) unknown: UnknownEvents,
    pub(super) repository: Option<SnapshotRepository<P::State>>,
    current: Option<Folded<P::State>>,
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// The state of a projection, now and at any time before. Nothing is folded yet.
    pub fn reconstruct<P: Projection<Event = E>>(&self, projection: P) -> Reconstructor<P, B> {
        Reconstructor::new(self, projection)
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Of this projection on this log. Nothing is folded yet, and there are no snapshots.
    pub fn new(store: &EventStore<P::Event, B>, projection: P) -> Self {
        let query = projection.query();
        Self {
            store: store.clone(),
            projection,
            query,
            unknown: UnknownEvents::default(),
            repository: None,
            current: None,
        }
    }

    /// What to do with events of unknown types: by default they are an error.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.unknown = unknown;
        self.current = None;
        self
    }

    /// Keeps snapshots in the backend's own place, in memory if it has none, and begins at them. By default there are
    /// no snapshots.
    pub fn snapshots(self, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let own = self.store.backend().snapshots();
        self.snapshots_in(own.unwrap_or_else(|| Arc::new(MemorySnapshots::new())), policy)
    }

    /// Keeps snapshots in `place`, and begins at them.
    pub fn snapshots_in(mut self, place: Arc<dyn SnapshotStore>, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let store = self.store.backend().store_id();
        let projection = &self.projection;
        let binding = Binding::new(store, &projection.name(), projection.version(), &self.query);
        self.repository = Some(SnapshotRepository::new(place, policy, binding));
        self
    }

    /// The state as it is now: all that is in the log when this is called.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read; what was folded before it is kept, so that the next call goes
    /// on from there.
    pub fn now(&mut self) -> Result<&P::State, ReadError> {
        let end = self.store.len();
        // Taken out, so that a panic of the projection leaves nothing half-folded behind.
        let mut folded = match self.current.take() {
            Some(current) => current,
            None => self.begin(0, end),
        };
        let mut pending = self.repository.as_ref().map(|repository| repository.pending(end));
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

    /// The log's head when [`now`](Self::now) was last called: everything below it is in that state. 0 before.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.head)
    }

    /// How many events of unknown types were passed over on the way to the state of [`now`](Self::now).
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.passed_over)
    }

    /// The state as it was once the event at `offset` was recorded, that event included; beyond the head, as it is
    /// now.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn at(&self, offset: u64) -> Result<P::State, ReadError> {
        Ok(self.folded_to(offset.saturating_add(1))?.state)
    }

    /// The state as it was at this time, in ms since 1970 UTC: with all events recorded until then, and at it.
    ///
    /// # Errors
    /// [`ReadError`] for an event that cannot be read.
    pub fn at_time(&self, time_ms: u64) -> Result<P::State, ReadError> {
        Ok(self.folded_to(self.head_at(time_ms)?)?.state)
    }

    /// The projection.
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// The log.
    pub fn store(&self) -> &EventStore<P::Event, B> {
        &self.store
    }

    /// The events that it folds.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// The state of `now`, as it was when that was last called.
    pub(crate) fn state(&self) -> Option<&P::State> {
        self.current.as_ref().map(|current| &current.state)
    }

    /// The offset of the last event in the state of `now`.
    pub(crate) fn last(&self) -> Option<u64> {
        self.current.as_ref().and_then(|current| current.last)
    }

    /// The state of everything below `head`.
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

    /// The newest snapshot after `from` and at most at `end`, or else the beginning.
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

    /// The state before anything happened.
    pub(super) fn beginning(&self) -> Folded<P::State> {
        let state = self.projection.initial();
        Folded { state, head: 0, last: None, since: 0, passed_over: 0 }
    }

    /// Folds what lies between. With an error it stands where it came to.
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
            self.projection.apply(&mut folded.state, &event);
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

    /// The events that the projection reads of these offsets, which are below the head.
    pub(super) fn events(&self, range: Range<u64>) -> Events<'_, P::Event, B> {
        let events = self.store.query(&self.query).from(range.start).to(range.end);
        events.unknown_events(self.unknown)
    }

    /// The log's head at this time: the offset of the first event recorded after it. Only times are read, whatever
    /// the events: what matters of them is for the fold to say.
    fn head_at(&self, time_ms: u64) -> Result<u64, ReadError> {
        let (mut low, mut high) = (0, self.store.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.store.time_ms(middle)? {
                Some(time) if time <= time_ms => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
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
