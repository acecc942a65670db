//! The settings of a consumer, and its start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Event, EventStore, Query, ReadError, UnknownEvents};

use crate::checkpoint::Checkpoint;
use crate::clock::{Clock, ms};
use crate::consumer::Consumer;
use crate::engine::core::{Core, Record};
use crate::engine::position::Position;
use crate::engine::reader::Reader;
use crate::engine::settings::GroupSettings;
use crate::engine::shared::Shared;
use crate::engine::state::GroupState;
use crate::error::ConsumerError;
use crate::storage::checkpoint_store::CheckpointStore;
use crate::storage::lock::{NameLock, Noted};
use crate::storage::position_files::remove_left_behind;
use crate::storage::storage::{Storage, check_name};
use crate::worker::Worker;

/// The settings of a [`Consumer`]. [`Consumers::consumer`](crate::Consumers::consumer) returns it.
///
/// ```
/// use std::time::Duration;
///
/// use annals::{EventStore, Query, RawEvent, UnknownEvents};
/// use annals_consumer::Consumers as _;
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let consumer = store
///     .consumer("mailer")
///     .query(Query::event_type("order-placed"))
///     .from(store.len()) // new events only
///     .save_every(1) // a crash costs at most one redelivery
///     .retry_after(Duration::from_secs(10))
///     .unknown_events(UnknownEvents::PassOver)
///     .start()?;
/// assert_eq!(consumer.position(), 0);
/// # Ok::<(), annals_consumer::ConsumerError>(())
/// ```
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
    /// The position is also saved with an acknowledgement a second or more after the last save, before the consumer
    /// waits for new events, and when it is dropped. Events that do not match the query cost a save only after 65,536 of
    /// them.
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

    /// Sets the storage of the position: beside the log by default. The program's own storage has no
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
    /// * [`ConsumerError::PositionRemoved`]: it had a position, whose file was removed.
    /// * [`ConsumerError::BadName`], [`ConsumerError::BadOption`], [`ConsumerError::OtherKind`],
    ///   [`ConsumerError::NoStorage`], or a failure of the system.
    pub fn start(self) -> Result<Consumer<E, B>, ConsumerError> {
        let Self { store, name, .. } = self;
        check_name(&name)?;
        if self.save_every == 0 {
            let (name, value) = ("save_every", "0".to_owned());
            return Err(ConsumerError::BadOption { name, value, expected: "at least 1" });
        }
        check_query(store, &self.query)?;
        let (checkpoints, lock) = match self.checkpoints {
            Some(checkpoints) => (checkpoints, NameLock::None),
            None => locked(store, &name)?,
        };
        let checkpoint = Checkpoint::in_store(checkpoints, &name)?;
        let position = checkpoint.load(store)?;
        // Before anything is delivered: after a crash, the consumer begins here and not at a later head.
        if position.is_none() && self.from > 0 {
            checkpoint.save(store, self.from)?;
        }
        if position.is_some() || self.from > 0 {
            lock.note(Noted::Position);
        }
        let position = position.unwrap_or(self.from);
        let (clock, pause_ms) = (Clock::new(0), ms(self.retry_after));
        let record = Position {
            checkpoint,
            save_every: self.save_every,
            pause_ms,
            saved: position,
            handled: 0,
            saved_ms: clock.now_ms(),
            retry_ms: None,
        };
        // A delivery has no deadline, and an event is delivered until it is handled.
        let settings = GroupSettings {
            max_in_flight: u32::MAX,
            deadline_ms: u64::MAX,
            max_attempts: u32::MAX,
            first_pause_ms: pause_ms,
            max_pause_ms: pause_ms,
            read_ahead: u32::MAX,
            ..GroupSettings::default()
        };
        let (read, stored_read) = (position, position);
        let state = GroupState { settings, read, stored_read, ..GroupState::default() };
        let reader = Reader::new(self.query, None, self.unknown);
        let core = Core::new(state, Record::Position(record), reader, lock, store)?;
        let shared = Arc::new(Shared::new(store, name, core, clock));
        Ok(Consumer { worker: Worker::new(&shared, "") })
    }
}

/// Checks that an event of the store can match a query.
pub(crate) fn check_query<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    query: &Query,
) -> Result<(), ConsumerError> {
    query.check().map_err(ReadError::from)?;
    match store.query(query).range(0..0).next() {
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Returns the positions beside the log and the lock of a name.
fn locked<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    name: &str,
) -> Result<(Arc<dyn CheckpointStore>, NameLock), ConsumerError> {
    let storage = Storage::of(store)?;
    let lock = storage.lock(name)?;
    if storage.has_group(name) || lock.noted() == Noted::Group {
        return Err(ConsumerError::OtherKind { name: name.to_owned(), found: "group" });
    }
    if let Storage::Directory(directory) = &storage {
        remove_left_behind(directory, name);
    }
    storage.check_position(name, lock.noted())?;
    Ok((storage.checkpoints(), lock))
}
