//! The state log of a group: an annals store of its own, of bounded size.
//!
//! ```text
//!   billing.group/
//!     00000006/      the state log before, for looking back
//!     00000007/      the state log: it begins with the whole state, and has at most 100,000 events
//! ```
//! An append to it survives the end of the process. It is not synced, so a loss of power may take the last changes,
//! which costs redeliveries. A state log that does not contain a whole state is the rest of an interrupted begin, and
//! the one before it is current.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{AppendError, Backend, Batch, Durability, EventStore, Journal, Memory, OpenError};
use parking_lot::Mutex;

use super::event::GroupEvent;
use super::state::GroupState;
use crate::error::ConsumerError;
use crate::place::place::{Place, group_directory};
use crate::place::position_files::{
    DELETED, create_directory, left_behind, remove_left_behind, sync_directory,
};

/// The number of events at which a state log ends and the next begins.
const MOST_EVENTS: u64 = 100_000;

/// The number of events after which a failed begin of the next state log is tried again.
const TRY_AGAIN_AFTER: u64 = 10_000;

/// The size in bytes of a state log's segments.
const SEGMENT_BYTES: u64 = 4 << 20;

type Store = EventStore<GroupEvent, Box<dyn Backend<GroupEvent>>>;

/// The state logs in memory.
#[derive(Debug, Default)]
struct MemoryLogs(Mutex<BTreeMap<String, Arc<Memory<GroupEvent>>>>);

/// Where the state logs of a group are.
#[derive(Debug, Clone)]
enum Logs {
    Directory(PathBuf),
    Memory { logs: Arc<MemoryLogs>, place: Place },
}

/// The open state log of a group.
#[derive(Debug)]
pub(crate) struct StateLog {
    name: String,
    logs: Logs,
    number: u64,
    store: Store,
    ends_at: u64,
    /// The time of the last event, by the clock of the group.
    last_ms: u64,
}

impl StateLog {
    /// Opens the state log of a group, and returns it with the state. Returns `None` if there is no such group. The
    /// caller holds the group's lock.
    pub(crate) fn open(
        place: &Place,
        name: &str,
    ) -> Result<Option<(Self, GroupState)>, ConsumerError> {
        let logs = Logs::of(place, name);
        let log = |number, store: Store, last_ms| Self {
            name: name.to_owned(),
            logs: logs.clone(),
            number,
            store,
            ends_at: MOST_EVENTS,
            last_ms,
        };
        let directory = match &logs {
            Logs::Memory { logs, .. } => {
                let Some(memory) = logs.0.lock().get(name).cloned() else { return Ok(None) };
                let store = on(memory);
                let (state, last_ms) = fold(&store, name)?;
                return Ok(Some((log(1, store, last_ms), state)));
            }
            Logs::Directory(directory) => directory,
        };
        for number in numbers(directory)?.into_iter().rev() {
            let path = log_directory(directory, number);
            let store = open_log(&path).map_err(not_opened(name))?;
            let (state, last_ms) = fold(&store, name)?;
            if state.complete {
                return Ok(Some((log(number, store, last_ms), state)));
            }
            drop(store);
            fs::remove_dir_all(&path).map_err(ConsumerError::io("remove", &path))?;
        }
        Ok(None)
    }

    /// Creates the first state log of a group. The caller holds the group's lock.
    pub(crate) fn create(
        place: &Place,
        name: &str,
        state: &GroupState,
        now_ms: u64,
    ) -> Result<Self, ConsumerError> {
        let logs = Logs::of(place, name);
        if let Logs::Directory(directory) = &logs {
            create_directory(directory).map_err(ConsumerError::io("create", directory))?;
        }
        let store = logs.begin(name, 1, state, now_ms)?;
        let (name, number, ends_at) = (name.to_owned(), 1, MOST_EVENTS);
        Ok(Self { name, logs, number, store, ends_at, last_ms: now_ms })
    }

    /// Returns the state of a group, whether or not the group is running. Returns `None` if there is no such group.
    pub(crate) fn peek(place: &Place, name: &str) -> Result<Option<GroupState>, ConsumerError> {
        let directory = match Logs::of(place, name) {
            Logs::Memory { logs, .. } => {
                let memory = logs.0.lock().get(name).cloned();
                return memory.map(|memory| Ok(fold(&on(memory), name)?.0)).transpose();
            }
            Logs::Directory(directory) => directory,
        };
        for number in numbers(&directory)?.into_iter().rev() {
            let path = log_directory(&directory, number);
            let journal = match options().open_read_only::<GroupEvent>(&path) {
                // The process that runs the group is beginning it, or has just removed it.
                Err(OpenError::NotFound { .. }) => continue,
                opened => opened.map_err(not_opened(name))?,
            };
            let (state, _) = fold(&on(journal), name)?;
            if state.complete {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Removes the state logs of a group. The caller holds the group's lock.
    pub(crate) fn delete(place: &Place, name: &str) -> Result<(), ConsumerError> {
        match Logs::of(place, name) {
            Logs::Memory { logs, place } => {
                logs.0.lock().remove(name);
                note_group(&place, name, false);
            }
            Logs::Directory(directory) => {
                // First the name, at once: an interruption never leaves a part of the state logs under it.
                let Place::Directory(parent) = place else { return Ok(()) };
                let left = parent.join(left_behind(name, DELETED));
                match fs::rename(&directory, &left) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                    renamed => renamed.map_err(ConsumerError::io("rename", &directory))?,
                }
                sync_directory(parent).map_err(ConsumerError::io("sync", parent))?;
                remove_left_behind(parent, name);
            }
        }
        Ok(())
    }

    /// Appends events. When this returns, they survive the end of the process.
    /// Their time is that of the group's clock, so the clock of the next process does not go back behind it.
    pub(crate) fn append(
        &mut self,
        events: &[GroupEvent],
        now_ms: u64,
    ) -> Result<(), ConsumerError> {
        self.last_ms = self.last_ms.max(now_ms);
        let batch = Batch::new(events.to_vec()).time_ms(self.last_ms).allow_future_time();
        self.store.append_as(batch).map(drop).map_err(|source| self.not_written(source))
    }

    /// Returns the time of the last event, in ms since 1970 UTC.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// Returns whether the next state log is to begin.
    pub(crate) fn is_full(&self) -> bool {
        self.store.len() >= self.ends_at
    }

    /// Begins the next state log. If that fails, goes on with this one.
    pub(crate) fn renew(&mut self, state: &GroupState) {
        let number = self.number + 1;
        match self.logs.begin(&self.name, number, state, self.last_ms) {
            Ok(store) => {
                (self.store, self.number, self.ends_at) = (store, number, MOST_EVENTS);
                self.logs.remove_before(number - 1);
            }
            Err(error) => {
                let name = self.name.as_str();
                tracing::warn!(%error, name, "cannot begin the next state log of a group; the old one grows");
                self.ends_at = self.store.len() + TRY_AGAIN_AFTER;
            }
        }
    }

    /// Makes the state log durable.
    pub(crate) fn sync(&self) -> Result<(), ConsumerError> {
        self.store.sync().map_err(|source| self.not_written(source))
    }

    fn not_written(&self, source: AppendError) -> ConsumerError {
        ConsumerError::StateLogNotWritten { name: self.name.clone(), source }
    }
}

impl Logs {
    fn of(place: &Place, name: &str) -> Self {
        match place {
            Place::Directory(directory) => Self::Directory(group_directory(directory, name)),
            Place::Memory { values, .. } => {
                Self::Memory { logs: values.get_or_default(), place: place.clone() }
            }
        }
    }

    /// Begins a state log with this state.
    fn begin(
        &self,
        name: &str,
        number: u64,
        state: &GroupState,
        last_ms: u64,
    ) -> Result<Store, ConsumerError> {
        let (store, memory) = match self {
            Self::Directory(directory) => {
                let path = log_directory(directory, number);
                if path.exists() {
                    fs::remove_dir_all(&path).map_err(ConsumerError::io("remove", &path))?;
                }
                (open_log(&path).map_err(not_opened(name))?, None)
            }
            Self::Memory { .. } => {
                let memory = Arc::new(Memory::new());
                (on(Arc::clone(&memory)), Some(memory))
            }
        };
        let not_written =
            |source| ConsumerError::StateLogNotWritten { name: name.to_owned(), source };
        // One event at a time: all of them may be too large for one batch.
        for event in state.carried() {
            let batch = Batch::new(vec![event]).time_ms(last_ms).allow_future_time();
            store.append_as(batch).map_err(not_written)?;
        }
        store.sync().map_err(not_written)?;
        if let (Self::Memory { logs, place }, Some(memory)) = (self, memory) {
            logs.0.lock().insert(name.to_owned(), memory);
            note_group(place, name, true);
        }
        Ok(store)
    }

    /// Removes the state logs with lower numbers.
    fn remove_before(&self, number: u64) {
        let Self::Directory(directory) = self else { return };
        for old in numbers(directory).unwrap_or_default() {
            let path = log_directory(directory, old);
            if old < number
                && let Err(error) = fs::remove_dir_all(&path)
            {
                tracing::warn!(%error, path = %path.display(), "cannot remove an old state log");
            }
        }
    }
}

fn options() -> annals::JournalOptions {
    Journal::options().durability(Durability::Buffered).segment_bytes(SEGMENT_BYTES)
}

fn open_log(path: &Path) -> Result<Store, OpenError> {
    let journal: Journal<GroupEvent> = options().open(path)?;
    Ok(on(journal))
}

fn on(backend: impl Backend<GroupEvent> + 'static) -> Store {
    EventStore::<GroupEvent, _>::on(Box::new(backend))
}

fn not_opened(name: &str) -> impl FnOnce(OpenError) -> ConsumerError {
    let name = name.to_owned();
    |source| ConsumerError::StateLogNotOpened { name, source: Arc::new(source) }
}

fn log_directory(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}"))
}

/// Returns the numbers of the state logs, in order.
fn numbers(directory: &Path) -> Result<Vec<u64>, ConsumerError> {
    let failed = || ConsumerError::io("list", directory);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed())?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Computes the state that a state log ends with. Returns it with the time of the last event.
fn fold(store: &Store, name: &str) -> Result<(GroupState, u64), ConsumerError> {
    let (mut state, mut last_ms) = (GroupState::default(), 0);
    for event in store.read(..) {
        let event = event?;
        let damaged = |misfit: super::state::Misfit| ConsumerError::DamagedState {
            name: name.to_owned(),
            offset: event.offset,
            problem: misfit.0,
        };
        state.apply(&event.event).map_err(damaged)?;
        last_ms = event.time_ms;
    }
    Ok((state, last_ms))
}

fn note_group(place: &Place, name: &str, exists: bool) {
    if let Place::Memory { place, .. } = place {
        let mut groups = place.groups.lock();
        if exists {
            groups.insert(name.to_owned())
        } else {
            groups.remove(name)
        };
    }
}
