//! The settings of a group, and its opening.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Event, EventStore, Query, UnknownEvents};

use crate::binding::{Bound, digest_before, store_id};
use crate::checkpoint::Checkpoint;
use crate::clock::{Clock, ms};
use crate::consumer_builder::check_query;
use crate::engine::core::{Core, Record};
use crate::engine::event::GroupEvent;
use crate::engine::log::StateLog;
use crate::engine::reader::Reader;
use crate::engine::settings::GroupSettings;
use crate::engine::shared::Shared;
use crate::engine::state::GroupState;
use crate::error::ConsumerError;
use crate::group::Group;
use crate::storage::lock::{NameLock, Noted};
use crate::storage::position_files::remove_left_behind;
use crate::storage::storage::{Storage, check_name};

/// The settings of a [`Group`]. [`Consumers::group`](crate::Consumers::group) returns it.
///
/// The query and the key of an existing group cannot change, since the state depends on them. The other settings can:
/// they are those of the last [`open`](Self::open).
///
/// ```
/// use std::time::Duration;
///
/// use annals::{EventStore, Query, RawEvent};
/// use annals_consumer::Consumers as _;
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let group = store
///     .group("billing")
///     .query(Query::event_type("order-changed"))
///     .key("order:") // events of one order in order, one at a time
///     .park_key(true) // a parked event parks the later events of its order
///     .max_in_flight(8) // of each worker
///     .read_ahead(10_000) // so that one order with many events does not keep the others waiting
///     .deadline(Duration::from_secs(60))
///     .max_attempts(10)
///     .pauses(Duration::from_millis(100), Duration::from_secs(600))
///     .keep_leases() // its workers outlive this process
///     .open()?;
/// assert_eq!(group.settings().max_attempts, 10);
/// # Ok::<(), annals_consumer::ConsumerError>(())
/// ```
#[must_use = "a group does nothing until it is opened"]
pub struct GroupBuilder<'a, E: Event, B: Backend<E>> {
    store: &'a EventStore<E, B>,
    name: String,
    settings: GroupSettings,
    from: u64,
    keeps_leases: bool,
    unknown: UnknownEvents,
}

impl<E: Event, B: Backend<E>> fmt::Debug for GroupBuilder<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a, E: Event, B: Backend<E>> GroupBuilder<'a, E, B> {
    pub(crate) fn new(store: &'a EventStore<E, B>, name: String) -> Self {
        let (settings, unknown) = (GroupSettings::default(), UnknownEvents::default());
        Self { store, name, settings, from: 0, keeps_leases: false, unknown }
    }

    /// Sets all settings that the group's state log has at once: those of an existing group, or of a program's own
    /// configuration.
    pub fn settings(self, settings: GroupSettings) -> Self {
        Self { settings, ..self }
    }

    /// Sets the events that the group delivers: all by default.
    #[expect(clippy::needless_pass_by_value, reason = "as a consumer takes it")]
    pub fn query(mut self, query: Query) -> Self {
        self.settings.set_query(&query);
        self
    }

    /// Sets the prefix of the tags that are an event's keys, such as `order:`. By default each event is its own key,
    /// and all events are delivered in parallel.
    ///
    /// An event with several such tags waits for the earlier events of each. An event without one waits for none. The
    /// keys are the tags that are stored with the event. If a later version of the event type derives other tags, the
    /// keys of stored events stay the same.
    pub fn key(mut self, prefix: impl Into<String>) -> Self {
        self.settings.key = Some(prefix.into());
        self
    }

    /// Sets the offset at which a new group begins: 0 by default. An existing group ignores it.
    pub fn from(self, offset: u64) -> Self {
        Self { from: offset, ..self }
    }

    /// Sets the most events that one worker has at a time: 32 by default, at least 1.
    pub fn max_in_flight(mut self, events: u32) -> Self {
        self.settings.max_in_flight = events;
        self
    }

    /// Sets the time after which a delivery that was not answered is made again: 30 s by default, 1 ms at least.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline_ms = ms(deadline);
        self
    }

    /// Sets the number of deliveries after which an event is parked: 5 by default, at least 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    /// Sets the pause before the second delivery of an event, 1 s by default, and the longest pause, 1 min by default.
    /// Each pause is twice as long as the one before. None, not even the first, is longer than the longest.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        (self.settings.first_pause_ms, self.settings.max_pause_ms) = (ms(first), ms(longest));
        self
    }

    /// Sets the most events that are read ahead and not finished: 4,096 by default, 1 to 1,000,000. Each takes about
    /// 300 bytes of memory. Of the events themselves, at most 3 MiB and three events more are in memory; the others are
    /// read again when they are delivered. If one key has more waiting events than that, events of other keys behind
    /// them wait too.
    pub fn read_ahead(mut self, events: u32) -> Self {
        self.settings.read_ahead = events;
        self
    }

    /// Sets what happens to the later events of a key when an event is parked. By default they are delivered: a parked
    /// event stops nothing. With `true` they are parked as well, so that a replay delivers all of them in order.
    ///
    /// An existing group that is opened with another value uses it for the events that it reads from then on. With
    /// `true` it parks them behind the events that are parked already. Events that it has read ahead are delivered.
    pub fn park_key(mut self, parks: bool) -> Self {
        self.settings.parks_key = parks;
        self
    }

    /// Keeps the leases of the process that had the group open before, for workers that outlive it: the clients of a
    /// server. By default these workers were threads or tasks of that process, and their events are delivered again at
    /// once.
    pub fn keep_leases(self) -> Self {
        Self { keeps_leases: true, ..self }
    }

    /// Sets what to do with events of unknown types. By default they are parked, as all events that cannot be decoded.
    pub fn unknown_events(self, unknown: UnknownEvents) -> Self {
        Self { unknown, ..self }
    }

    /// Opens the group, and creates it if it does not exist.
    ///
    /// # Errors
    /// * [`ConsumerError::Running`]: it is open, in this process or another.
    /// * [`ConsumerError::OtherSettings`]: it exists with another query or key.
    /// * [`ConsumerError::OtherStore`], [`ConsumerError::BeyondHead`], [`ConsumerError::OtherHistory`]: its state does
    ///   not belong to the log as it is now.
    /// * [`ConsumerError::BadName`], [`ConsumerError::BadOption`], [`ConsumerError::OtherKind`],
    ///   [`ConsumerError::NoStorage`], [`ConsumerError::DamagedState`], [`ConsumerError::StateRemoved`], or a failure of
    ///   the system.
    pub fn open(self) -> Result<Group<E, B>, ConsumerError> {
        let Self { store, name, settings, .. } = self;
        check_name(&name)?;
        check(&settings)?;
        let query = settings.query();
        check_query(store, &query)?;
        let storage = Storage::of(store)?;
        let lock = storage.lock(&name)?;
        if let Storage::Directory(directory) = &storage {
            remove_left_behind(directory, &name);
        }
        let had_position = lock.noted() == Noted::Position;
        if had_position || Checkpoint::of(store, name.as_str())?.exists()? {
            return Err(ConsumerError::OtherKind { name, found: "consumer" });
        }
        let (log, mut state) = match StateLog::open(&storage, &name, &lock)? {
            Some((log, state)) => {
                check_bound(&name, &state, store)?;
                check_settings(&name, &state, &settings)?;
                (log, state)
            }
            None => begin(store, &storage, &lock, &name, &settings, self.from)?,
        };
        let clock = Clock::new(log.last_ms());
        let now_ms = clock.now_ms();
        let reader = Reader::new(query, settings.key.clone(), self.unknown);
        // The machine begins with the new settings: what it knows of the parked events depends on them.
        let stored = std::mem::replace(&mut state.settings, settings.clone());
        let mut core = Core::new(state, Record::Log(log), reader, lock, store)?;
        if stored != settings {
            let source = store_id(store);
            core.commit(&[GroupEvent::GroupConfigured { settings, source }], [], now_ms)?;
        }
        if !self.keeps_leases {
            let events = core.machine.release(now_ms);
            core.commit(&events, [], now_ms)?;
        }
        let events = core.machine.shorten(now_ms);
        core.commit(&events, [], now_ms)?;
        Ok(Group { shared: Arc::new(Shared::new(store, name, core, clock)) })
    }
}

/// Checks that the state of a group belongs to the log as it is now.
pub(crate) fn check_bound<E: Event, B: Backend<E>>(
    name: &str,
    state: &GroupState,
    store: &EventStore<E, B>,
) -> Result<(), ConsumerError> {
    let (position, read) = (state.position(), state.read);
    let before = state.before.as_deref();
    Bound { name, source: state.source, position, read, before }.check(store)
}

/// Creates a group.
fn begin<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    storage: &Storage,
    lock: &NameLock,
    name: &str,
    settings: &GroupSettings,
    from: u64,
) -> Result<(StateLog, GroupState), ConsumerError> {
    let head = store.len();
    if from > head {
        return Err(ConsumerError::ResetBeyondHead { to: from, head });
    }
    let state = GroupState {
        settings: settings.clone(),
        source: store_id(store),
        read: from,
        stored_read: from,
        before: digest_before(store, from),
        complete: true,
        ..GroupState::default()
    };
    let now_ms = Clock::new(0).now_ms();
    Ok((StateLog::create(storage, name, &state, now_ms, lock)?, state))
}

/// Checks that the group has this query and key.
fn check_settings(
    name: &str,
    state: &GroupState,
    settings: &GroupSettings,
) -> Result<(), ConsumerError> {
    let differs = |what, found: String, given: String| {
        Err(ConsumerError::OtherSettings { name: name.to_owned(), what, found, given })
    };
    let json = |settings: &GroupSettings| {
        serde_json::to_string(&settings.query).unwrap_or_else(|error| error.to_string())
    };
    if state.settings.query != settings.query {
        return differs("query", json(&state.settings), json(settings));
    }
    if state.settings.key != settings.key {
        let text = |key: &Option<String>| format!("{:?}", key.as_deref().unwrap_or("each event"));
        return differs("key", text(&state.settings.key), text(&settings.key));
    }
    Ok(())
}

fn check(settings: &GroupSettings) -> Result<(), ConsumerError> {
    let bounds = [
        ("max_in_flight", u64::from(settings.max_in_flight), u64::MAX, "at least 1"),
        ("deadline", settings.deadline_ms, u64::MAX, "at least 1 ms"),
        ("max_attempts", u64::from(settings.max_attempts), u64::MAX, "at least 1"),
        ("read_ahead", u64::from(settings.read_ahead), 1_000_000, "1 to 1,000,000"),
    ];
    for (name, value, most, expected) in bounds {
        if !(1..=most).contains(&value) {
            return Err(ConsumerError::BadOption { name, value: value.to_string(), expected });
        }
    }
    if settings.key.as_deref() == Some("") {
        let (name, value) = ("key", "\"\"".to_owned());
        return Err(ConsumerError::BadOption { name, value, expected: "the beginning of a tag" });
    }
    Ok(())
}
