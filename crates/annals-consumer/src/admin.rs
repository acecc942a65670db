//! All consumers and groups beside a log, and what an operator does with one that is not running.

use std::fmt;

use annals::{Backend, Event, EventStore, UnknownEvents};

use crate::binding::store_id;
use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::engine::answer::ParkedEvents;
use crate::engine::core::{Core, Record, reset_to};
use crate::engine::event::GroupEvent;
use crate::engine::log::StateLog;
use crate::engine::reader::Reader;
use crate::engine::settings::GroupSettings;
use crate::engine::state::GroupState;
use crate::error::ConsumerError;
use crate::group::{GroupStatus, ParkedEvent};
use crate::group_builder::check_bound;
use crate::storage::lock::Noted;
use crate::storage::storage::{Storage, check_name};

/// The consumers and groups beside a log: lists them, replays or drops parked events, resets and deletes.
///
/// Listing works beside a process that runs them. The other functions take the lock of the name, so they fail with
/// [`ConsumerError::Running`] while it is running; the program that runs a group calls the functions of
/// [`Group`](crate::Group) instead. The store may be open read-only.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{ConsumerAdmin, Consumers as _};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// drop(store.consumer("mailer").from(1).start()?);
///
/// let admin = ConsumerAdmin::of(&store)?;
/// assert_eq!(admin.list()?[0].lag, 0);
/// admin.reset("mailer", 0)?;
/// assert_eq!(admin.list()?[0].lag, 1);
/// admin.delete("mailer")?;
/// assert!(admin.list()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ConsumerAdmin<'a, E: Event, B: Backend<E>> {
    store: &'a EventStore<E, B>,
    storage: Storage,
}

impl<E: Event, B: Backend<E>> fmt::Debug for ConsumerAdmin<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerAdmin").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// A consumer or group in a list.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{ConsumerAdmin, ConsumerInfo, ConsumerKind, Consumers as _};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// store.group("billing").open()?;
/// let info: ConsumerInfo = ConsumerAdmin::of(&store)?.get("billing")?;
/// assert_eq!((info.kind, info.lag), (ConsumerKind::Group, 1));
/// if let Some(problem) = info.problem {
///     eprintln!("{}: {problem}", info.name); // what is wrong, and what to do
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// The name.
    pub name: String,
    /// Whether it is a consumer or a group.
    pub kind: ConsumerKind,
    /// Every event below it is handled, parked, or not part of the query. 0 if that is not known.
    pub position: u64,
    /// The number of events between the position and the head, whether or not they match the query.
    pub lag: u64,
    /// The number of events that are with the workers of a group.
    pub in_flight: u64,
    /// The number of events of a group that wait for their next attempt after a failed one.
    pub retrying: u64,
    /// The number of parked events of a group.
    pub parked: u64,
    /// Why it would not start on this log.
    pub problem: Option<ConsumerError>,
    /// The settings of a group; `None` if they cannot be read, and for a consumer.
    pub settings: Option<GroupSettings>,
}

/// The kind of a name. [`ConsumerInfo`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerKind {
    /// A [`Consumer`](crate::Consumer).
    Consumer,
    /// A [`Group`](crate::Group).
    Group,
}

impl fmt::Display for ConsumerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Consumer => "consumer",
            Self::Group => "group",
        })
    }
}

impl<'a, E: Event, B: Backend<E>> ConsumerAdmin<'a, E, B> {
    /// Returns the consumers and groups beside the log of a store.
    ///
    /// # Errors
    /// [`ConsumerError::NoStorage`] if the backend has no storage beside its log.
    pub fn of(store: &'a EventStore<E, B>) -> Result<Self, ConsumerError> {
        Ok(Self { store, storage: Storage::of(store)? })
    }

    /// Returns all consumers and groups, in the order of their names. One that would not start has a
    /// [`problem`](ConsumerInfo::problem).
    ///
    /// # Errors
    /// [`ConsumerError::Io`] or [`ConsumerError::Position`] if they cannot be listed.
    pub fn list(&self) -> Result<Vec<ConsumerInfo>, ConsumerError> {
        let checkpoints = self.storage.checkpoints();
        let names = checkpoints.names().map_err(ConsumerError::io("list", "the positions"))?;
        let mut list: Vec<ConsumerInfo> =
            names.into_iter().map(|name| self.consumer(name)).collect();
        list.extend(self.storage.groups()?.into_iter().filter_map(|name| self.group(name)));
        list.extend(self.storage.lost()?.into_iter().filter_map(|(name, state)| match state {
            Noted::Group => self.group(name),
            _ => Some(self.consumer(name)),
        }));
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// Returns the consumer or group of this name, as [`list`](Self::list) does, and reads no other.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::BadName`]. An error that keeps the consumer or group from starting
    /// is not returned: it is in [`ConsumerInfo::problem`].
    pub fn get(&self, name: &str) -> Result<ConsumerInfo, ConsumerError> {
        check_name(name)?;
        let noted = self.storage.noted(name);
        let is_group = self.storage.has_group(name) || noted == Noted::Group;
        if let Some(info) = is_group.then(|| self.group(name.to_owned())).flatten() {
            return Ok(info);
        }
        match Checkpoint::of(self.store, name)?.exists() {
            Ok(false) if noted != Noted::Position => Err(not_found(name)),
            // A position that was removed or cannot be read is a problem of the consumer.
            _ => Ok(self.consumer(name.to_owned())),
        }
    }

    /// Returns the parked events of a group in order, at most `limit`, from offset `from` on.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`] if the group does not exist, or its state log cannot be read.
    pub fn parked(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, ConsumerError> {
        check_name(name)?;
        let peeked = StateLog::peek(&self.storage, name)?.ok_or_else(|| not_found(name))?;
        Ok(ParkedEvent::list(&peeked.whole(name)?, from, limit))
    }

    /// Lets the group deliver parked events again when it is next opened, with all their attempts. Returns their
    /// number.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Running`], [`ConsumerError::NotParked`], those of a state that
    /// does not belong to the log, or a failure of the system.
    pub fn replay_parked(&self, name: &str, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(name, which, true)
    }

    /// Drops parked events: they count as handled. Returns their number.
    ///
    /// # Errors
    /// As [`replay_parked`](Self::replay_parked).
    pub fn drop_parked(&self, name: &str, which: ParkedEvents<'_>) -> Result<u64, ConsumerError> {
        self.unpark(name, which, false)
    }

    /// Lets the consumer or group go on at offset `to`, whatever its position was: of this log, of another one, beyond
    /// the head, or damaged. Every lease of a group is lost, and its parked events from `to` on are not parked any
    /// more. Those below `to` stay parked: a copy of the log has the same events there. Drop them if the log is not a
    /// copy.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Running`], [`ConsumerError::ResetBeyondHead`],
    /// [`ConsumerError::DamagedState`], or a failure of the system.
    pub fn reset(&self, name: &str, to: u64) -> Result<(), ConsumerError> {
        let head = self.store.len();
        if to > head {
            return Err(ConsumerError::ResetBeyondHead { to, head });
        }
        let kind = self.kind(name)?;
        let lock = self.storage.lock(name)?;
        if kind == ConsumerKind::Consumer {
            Checkpoint::of(self.store, name)?.save(self.store, to)?;
            lock.note(Noted::Position);
            return Ok(());
        }
        let opened = StateLog::open(&self.storage, name, &lock)?;
        let (mut log, state) = opened.ok_or_else(|| not_found(name))?;
        let (settings, source) = (state.settings, store_id(self.store));
        let configured = GroupEvent::GroupConfigured { settings, source };
        let now_ms = Clock::new(log.last_ms()).now_ms();
        log.append(&[configured, reset_to(self.store, to)?], now_ms)?;
        log.sync()
    }

    /// Deletes a consumer or group: its position, and its parked events. Its events are not touched.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Running`], or a failure of the system.
    pub fn delete(&self, name: &str) -> Result<(), ConsumerError> {
        let kind = self.kind(name)?;
        let lock = self.storage.lock(name)?;
        match kind {
            ConsumerKind::Consumer => {
                lock.note(Noted::Nothing);
                Checkpoint::of(self.store, name)?.remove()
            }
            ConsumerKind::Group => StateLog::delete(&self.storage, name, &lock),
        }
    }

    fn kind(&self, name: &str) -> Result<ConsumerKind, ConsumerError> {
        check_name(name)?;
        let noted = self.storage.noted(name);
        if self.storage.has_group(name) || noted == Noted::Group {
            Ok(ConsumerKind::Group)
        } else if noted == Noted::Position || Checkpoint::of(self.store, name)?.exists()? {
            Ok(ConsumerKind::Consumer)
        } else {
            Err(not_found(name))
        }
    }

    fn consumer(&self, name: String) -> ConsumerInfo {
        let checkpoint = Checkpoint::of(self.store, name.as_str());
        let loaded = checkpoint.and_then(|checkpoint| {
            self.storage.check_position(&name, self.storage.noted(&name))?;
            let position = checkpoint.peek()?.unwrap_or(0);
            Ok((position, checkpoint.load(self.store).err()))
        });
        let (position, problem) = loaded.unwrap_or_else(|error| (0, Some(error)));
        let lag = self.store.len().saturating_sub(position);
        let (kind, in_flight, retrying, parked) = (ConsumerKind::Consumer, 0, 0, 0);
        let settings = None;
        ConsumerInfo { name, kind, position, lag, in_flight, retrying, parked, problem, settings }
    }

    fn group(&self, name: String) -> Option<ConsumerInfo> {
        let (state, problem, settings) = match StateLog::peek(&self.storage, &name) {
            // A group whose creation was interrupted.
            Ok(None) => return None,
            Ok(Some(peeked)) => {
                let (state, is_bound) = (peeked.state.clone(), |state: &GroupState| {
                    check_bound(&name, state, self.store)
                });
                let problem = peeked.whole(&name).and_then(|state| is_bound(&state)).err();
                let settings = state.settings.clone();
                (state, problem, Some(settings))
            }
            Err(error) => (GroupState::default(), Some(error), None),
        };
        let status = GroupStatus::of(&state, self.store.len());
        let GroupStatus { position, lag, in_flight, retrying, parked } = status;
        let kind = ConsumerKind::Group;
        let info = ConsumerInfo {
            name,
            kind,
            position,
            lag,
            in_flight,
            retrying,
            parked,
            problem,
            settings,
        };
        Some(info)
    }

    fn unpark(
        &self,
        name: &str,
        which: ParkedEvents<'_>,
        replays: bool,
    ) -> Result<u64, ConsumerError> {
        if self.kind(name)? != ConsumerKind::Group {
            return Err(not_found(name));
        }
        let lock = self.storage.lock(name)?;
        let opened = StateLog::open(&self.storage, name, &lock)?;
        let (log, state) = opened.ok_or_else(|| not_found(name))?;
        check_bound(name, &state, self.store)?;
        let (query, key) = (state.settings.query(), state.settings.key.clone());
        let reader = Reader::new(query, key, UnknownEvents::default());
        let now_ms = Clock::new(log.last_ms()).now_ms();
        let mut core = Core::new(state, Record::Log(log), reader, lock, self.store)?;
        let count = core.unpark(self.store, which, replays, now_ms)?;
        core.save(self.store, now_ms)?;
        Ok(count)
    }
}

fn not_found(name: &str) -> ConsumerError {
    ConsumerError::NotFound { name: name.to_owned() }
}
