//! The state log of a group: an annals store of its own, of bounded size.
//!
//! ```text
//!   billing.group/
//!     00000006/      the state log before, for looking back
//!     00000007/      the state log: it begins with the whole state, and has at most 100,000 events
//!     00000008.new/  the next one, while it begins
//! ```
//! An append to it survives the end of the process. It is not synced, so a loss of power may take the last changes,
//! which costs redeliveries. A state log gets its number when the whole state is in it and synced. So one that has a
//! number and not a whole state is damaged.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{
    AppendError, Backend, Batch, Durability, EventStore, Journal, Memory, OpenError, ReadError,
};

use super::event::GroupEvent;
use super::state::GroupState;
use crate::error::ConsumerError;
use crate::storage::lock::{NameLock, Noted};
use crate::storage::position_files::{
    DELETED, create_directory, left_behind, remove_left_behind, sync_directory,
};
use crate::storage::storage::{MemoryStorage, Storage, group_directory};

/// The number of events at which a state log ends and the next begins.
const MOST_EVENTS: u64 = 100_000;

/// The number of events after which a failed begin of the next state log is tried again.
const TRY_AGAIN_AFTER: u64 = 10_000;

/// The size in bytes of a state log's segments.
const SEGMENT_BYTES: u64 = 4 << 20;

type Store = EventStore<GroupEvent, Box<dyn Backend<GroupEvent>>>;

/// Where the state logs of a group are.
#[derive(Debug)]
enum Logs {
    Directory(PathBuf),
    Memory(Arc<MemoryStorage>),
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
    /// Opens the state log of a group, and returns it with the state. Returns `None` if the group does not exist. The
    /// caller holds the group's lock.
    pub(crate) fn open(
        storage: &Storage,
        name: &str,
        lock: &NameLock,
    ) -> Result<Option<(Self, GroupState)>, ConsumerError> {
        let logs = Logs::of(storage, name);
        let (number, store) = match &logs {
            Logs::Memory(storage) => match in_memory(storage, name) {
                Some(store) => (1, store),
                None => return Ok(None),
            },
            Logs::Directory(directory) => match numbers(directory)?.last() {
                Some(&number) => {
                    let path = log_directory(directory, number);
                    (number, open_log(&path).map_err(not_opened(name))?)
                }
                None if lock.noted() == Noted::Group => return Err(removed(directory, name)),
                None => return Ok(None),
            },
        };
        let (state, last_ms) = fold(&store, name);
        let state = state.whole(name)?;
        lock.note(Noted::Group);
        let (name, ends_at) = (name.to_owned(), MOST_EVENTS);
        Ok(Some((Self { name, logs, number, store, ends_at, last_ms }, state)))
    }

    /// Creates the first state log of a group. The caller holds the group's lock.
    pub(crate) fn create(
        storage: &Storage,
        name: &str,
        state: &GroupState,
        now_ms: u64,
        lock: &NameLock,
    ) -> Result<Self, ConsumerError> {
        let logs = Logs::of(storage, name);
        if let Logs::Directory(directory) = &logs {
            create_directory(directory).map_err(ConsumerError::io("create", directory))?;
        }
        let store = logs.begin(name, 1, state, now_ms)?;
        lock.note(Noted::Group);
        let (name, number, ends_at) = (name.to_owned(), 1, MOST_EVENTS);
        Ok(Self { name, logs, number, store, ends_at, last_ms: now_ms })
    }

    /// Returns the state of a group, whether or not the group is running. Returns `None` if the group does not exist.
    pub(crate) fn peek(storage: &Storage, name: &str) -> Result<Option<Peeked>, ConsumerError> {
        let directory = match Logs::of(storage, name) {
            Logs::Memory(storage) => {
                return Ok(in_memory(&storage, name).map(|store| fold(&store, name).0));
            }
            Logs::Directory(directory) => directory,
        };
        loop {
            let Some(&number) = numbers(&directory)?.last() else {
                let is_lost = storage.noted(name) == Noted::Group;
                return if is_lost { Err(removed(&directory, name)) } else { Ok(None) };
            };
            let path = log_directory(&directory, number);
            let journal = match options().open_read_only::<GroupEvent>(&path) {
                // The process that runs the group has begun the next one, and has just removed this one.
                Err(OpenError::NotFound { .. }) if !path.exists() => continue,
                opened => opened.map_err(not_opened(name))?,
            };
            let (mut peeked, _) = fold(&on(journal), name);
            let report = match annals::verify(&path) {
                Err(_) if !path.exists() => continue,
                report => report.map_err(not_opened(name))?,
            };
            if let Some(damage) = report.problems.first() {
                peeked.problem = Some(damaged(name, damage.offset, damage.to_string()));
            }
            return Ok(Some(peeked));
        }
    }

    /// Removes the state logs of a group. The caller holds the group's lock.
    pub(crate) fn delete(
        storage: &Storage,
        name: &str,
        lock: &NameLock,
    ) -> Result<(), ConsumerError> {
        lock.note(Noted::Nothing);
        match Logs::of(storage, name) {
            Logs::Memory(storage) => drop(storage.groups.lock().remove(name)),
            Logs::Directory(directory) => {
                // First the name, at once: an interruption never leaves a part of the state logs under it.
                let Storage::Directory(parent) = storage else { return Ok(()) };
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
    fn of(storage: &Storage, name: &str) -> Self {
        match storage {
            Storage::Directory(directory) => Self::Directory(group_directory(directory, name)),
            Storage::Memory(storage) => Self::Memory(Arc::clone(storage)),
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
        let fill = |store: &Store| -> Result<(), AppendError> {
            // One event at a time: all of them may be too large for one batch.
            for event in state.carried() {
                store.append_as(Batch::new(vec![event]).time_ms(last_ms).allow_future_time())?;
            }
            store.sync()
        };
        let not_written =
            |source| ConsumerError::StateLogNotWritten { name: name.to_owned(), source };
        match self {
            Self::Directory(directory) => {
                let path = log_directory(directory, number);
                let new = path.with_extension("new");
                if new.exists() {
                    fs::remove_dir_all(&new).map_err(ConsumerError::io("remove", &new))?;
                }
                fill(&open_log(&new).map_err(not_opened(name))?).map_err(not_written)?;
                fs::rename(&new, &path).map_err(ConsumerError::io("rename", &new))?;
                sync_directory(directory).map_err(ConsumerError::io("sync", directory))?;
                open_log(&path).map_err(not_opened(name))
            }
            Self::Memory(storage) => {
                let memory = Arc::new(Memory::<GroupEvent>::new());
                let store = on(Arc::clone(&memory));
                fill(&store).map_err(not_written)?;
                storage.groups.lock().insert(name.to_owned(), memory);
                Ok(store)
            }
        }
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

/// Returns the state log of a group in memory, if the group exists.
fn in_memory(storage: &MemoryStorage, name: &str) -> Option<Store> {
    let log = Arc::clone(storage.groups.lock().get(name)?);
    log.downcast::<Memory<GroupEvent>>().ok().map(on)
}

fn not_opened(name: &str) -> impl FnOnce(OpenError) -> ConsumerError {
    let name = name.to_owned();
    |source| match source {
        OpenError::Corrupt(damage) => damaged(&name, damage.offset, damage.to_string()),
        source => ConsumerError::StateLogNotOpened { name, source: Arc::new(source) },
    }
}

fn damaged(name: &str, offset: u64, problem: String) -> ConsumerError {
    ConsumerError::DamagedState { name: name.to_owned(), offset, problem }
}

fn removed(directory: &Path, name: &str) -> ConsumerError {
    ConsumerError::StateRemoved { name: name.to_owned(), path: directory.to_owned() }
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

/// The state of a group, as far as its state log can be read.
pub(crate) struct Peeked {
    pub(crate) state: GroupState,
    pub(crate) problem: Option<ConsumerError>,
}

impl Peeked {
    /// Returns the state if nothing is wrong with it.
    pub(crate) fn whole(self, name: &str) -> Result<GroupState, ConsumerError> {
        match self.problem {
            Some(problem) => Err(problem),
            None if !self.state.complete => {
                Err(damaged(name, 0, "the state at its beginning is missing".to_owned()))
            }
            None => Ok(self.state),
        }
    }
}

/// Computes the state that a state log ends with, or that it has at the first event that is not valid. Returns it with
/// the time of the last event.
fn fold(store: &Store, name: &str) -> (Peeked, u64) {
    let (mut state, mut last_ms, mut next) = (GroupState::default(), 0, 0);
    for event in store.read(..) {
        let problem = match event {
            Ok(event) => {
                (last_ms, next) = (event.time_ms, event.offset);
                state.apply(&event.event).err().map(|misfit| damaged(name, next, misfit.0))
            }
            Err(error @ ReadError::Io { .. }) => Some(error.into()),
            Err(error) => Some(damaged(name, next + 1, error.to_string())),
        };
        if problem.is_some() {
            return (Peeked { state, problem }, last_ms);
        }
    }
    (Peeked { state, problem: None }, last_ms)
}
