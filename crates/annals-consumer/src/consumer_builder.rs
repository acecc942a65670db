//! The settings of a consumer, and its start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Event, EventStore, Query, UnknownEvents};
use parking_lot::Mutex;

use super::consumer::Consumer;
use super::tracker::{Shared, Tracker};
use crate::checkpoint::Checkpoint;
use crate::error::ConsumerError;
use crate::meters::Meters;
use crate::place::checkpoints::CheckpointStore;
use crate::place::files::remove_unfinished;
use crate::place::lock::NameLock;
use crate::place::place::{Place, check_name};

/// The settings of a [`Consumer`]. [`Consumers::consumer`](crate::Consumers::consumer) returns it.
#[must_use = "a consumer does nothing until it is started"]
pub struct ConsumerBuilder<'a, E: Event, B: Backend<E>> {
    store: &'a EventStore<E, B>,
    name: String,
    query: Query,
    from: u64,
    save_every: u32,
    retry_after: Duration,
    unknown: UnknownEvents,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
}

impl<E: Event, B: Backend<E>> fmt::Debug for ConsumerBuilder<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a, E: Event, B: Backend<E>> ConsumerBuilder<'a, E, B> {
    pub(crate) fn new(store: &'a EventStore<E, B>, name: String) -> Self {
        Self {
            store,
            name,
            query: Query::all(),
            from: 0,
            save_every: 100,
            retry_after: Duration::from_secs(1),
            unknown: UnknownEvents::default(),
            checkpoints: None,
        }
    }

    /// Sets the events that are delivered: all by default. A consumer whose query changes goes on at its position with
    /// the new query.
    pub fn query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    /// Sets the offset at which a new consumer begins: 0 by default. A consumer that has a position ignores it. Pass
    /// [`store.len()`](EventStore::len) for new events only.
    pub fn from(self, offset: u64) -> Self {
        Self { from: offset, ..self }
    }

    /// Sets the number of acknowledged events after which the position is saved: 100 by default, at least 1. A crash
    /// costs at most as many redeliveries. For a log in files, a save is two syncs of the disk.
    ///
    /// The position is also saved if the last save is a second ago, before the consumer waits for new events, and when
    /// it is dropped.
    pub fn save_every(self, events: u32) -> Self {
        Self { save_every: events, ..self }
    }

    /// Sets the pause before an event that was not acknowledged is delivered again, and before a position that could
    /// not be saved is saved again: 1 s by default.
    pub fn retry_after(self, pause: Duration) -> Self {
        Self { retry_after: pause, ..self }
    }

    /// Sets what to do with events of unknown types. By default each is an error.
    pub fn unknown_events(self, unknown: UnknownEvents) -> Self {
        Self { unknown, ..self }
    }

    /// Sets the place where the position is stored: beside the log by default. A place of the program's own has no
    /// lock: the program runs one consumer of a name at a time.
    pub fn checkpoints(self, checkpoints: Arc<dyn CheckpointStore>) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// Starts the consumer at its position.
    ///
    /// # Errors
    /// * [`ConsumerError::Running`]: it is running, in this process or another.
    /// * [`ConsumerError::OtherStore`], [`ConsumerError::BeyondHead`], [`ConsumerError::OtherHistory`],
    ///   [`ConsumerError::DamagedPosition`]: the position is not valid for this log.
    /// * [`ConsumerError::BadName`], [`ConsumerError::BadOption`], [`ConsumerError::OtherKind`],
    ///   [`ConsumerError::NoPlace`], or a failure of the system.
    pub fn start(self) -> Result<Consumer<'a, E, B>, ConsumerError> {
        let Self { store, name, .. } = self;
        check_name(&name)?;
        if self.save_every == 0 {
            let (name, value) = ("save_every", "0".to_owned());
            return Err(ConsumerError::BadOption { name, value, expected: "at least 1" });
        }
        let (checkpoints, lock) = match self.checkpoints {
            Some(checkpoints) => (checkpoints, NameLock::None),
            None => locked(store, &name)?,
        };
        let checkpoint = Checkpoint::in_store(checkpoints, &name)?;
        let (saved, start) = match checkpoint.load(store)? {
            Some(position) => (position, position),
            None if self.from <= store.len() => (0, self.from),
            None => {
                return Err(ConsumerError::ResetBeyondHead { to: self.from, head: store.len() });
            }
        };
        let subscription = store.subscription(self.query, start).unknown_events(self.unknown);
        let shared = Shared {
            store,
            checkpoint,
            save_every: self.save_every,
            retry_after: self.retry_after,
            tracker: Mutex::new(Tracker::new(start)),
            saved: Mutex::new(saved),
            waker: Mutex::new(None),
            meters: Meters::new(&name),
            lock,
        };
        let waiter = store.backend().head().waiter();
        let (shared, ended, save_failed) = (Arc::new(shared), false, None);
        Ok(Consumer { shared, subscription, waiter, ended, save_failed })
    }
}

/// Returns the positions beside the log and the lock of a name.
fn locked<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    name: &str,
) -> Result<(Arc<dyn CheckpointStore>, NameLock), ConsumerError> {
    let place = Place::of(store)?;
    let lock = place.lock(name)?;
    if place.has_group(name) {
        return Err(ConsumerError::OtherKind { name: name.to_owned(), found: "group" });
    }
    if let Place::Directory(directory) = &place {
        remove_unfinished(directory, name);
    }
    Ok((place.checkpoints(), lock))
}
