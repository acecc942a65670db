//! A simulated engine behind the seam, with faults by a seed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::engine::SimRecord;
use super::faults::Faults;
use crate::chain::slot::Slot;
use crate::log::commit_log::{
    AppendAnswer, AppendOutcome, Cause, CheckError, CommitLog, Done, Fitness, LogError, LogLimits,
    NewEntry, Page, ReadLimit,
};
use crate::random::Random;

/// An engine in memory. Clones are connections to the same record. A hint of one reaches the others.
///
/// ```
/// use annals_replicated::sim::{Faults, SimLog};
/// use annals_replicated::{CommitLog as _, ReadLimit, Slot};
///
/// let log = SimLog::new(Faults { lost_answers: 10, ..Faults::none() }, 7);
/// let page = log.read(Slot(0), ReadLimit::default())?;
/// assert_eq!(page.entries.len(), 1, "the genesis");
/// # Ok::<(), annals_replicated::LogError>(())
/// ```
pub struct SimLog {
    shared: Arc<Shared>,
    /// The number of this connection.
    connection: u64,
}

impl Clone for SimLog {
    /// Returns another connection to the same record.
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        let connection = {
            let mut state = shared.state.lock();
            state.connections += 1;
            state.connections
        };
        Self { shared, connection }
    }
}

struct Shared {
    state: Mutex<State>,
    grown: Condvar,
}

struct State {
    record: SimRecord,
    faults: Faults,
    random: Random,
    /// Entries that are on their way, and the number of calls until they arrive.
    late: Vec<(u64, Slot, Bytes)>,
    limits: LogLimits,
    /// What is called for a hint of another connection than this one.
    hints: Vec<(u64, Arc<dyn Fn() + Send + Sync>)>,
    /// The number of the last connection.
    connections: u64,
    /// How far the engine's clock is behind this machine's, in ms, if the engine has one.
    clock_behind_ms: Option<u64>,
}

impl SimLog {
    /// Returns an engine whose record has a genesis. The same seed and calls give the same faults.
    #[must_use]
    pub fn new(faults: Faults, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let store_id = Uuid::from_u128(u128::from(random.number()) << 64 | 1);
        Self::with_record(SimRecord::new(store_id), faults, seed)
    }

    /// Returns an engine with this record.
    #[must_use]
    pub fn with_record(record: SimRecord, faults: Faults, seed: u64) -> Self {
        let limits = LogLimits { entry_bytes: 1 << 20, under_way: 8 };
        let (random, late, hints) = (Random::new(seed), Vec::new(), Vec::new());
        let state = Mutex::new(State {
            record,
            faults,
            random,
            late,
            limits,
            hints,
            connections: 0,
            clock_behind_ms: None,
        });
        Self { shared: Arc::new(Shared { state, grown: Condvar::new() }), connection: 0 }
    }

    /// Returns the same engine with other limits.
    #[must_use]
    pub fn with_limits(self, limits: LogLimits) -> Self {
        self.shared.state.lock().limits = limits;
        self
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.state.lock().faults = faults;
    }

    /// Gives the engine a clock that is this far behind the machine's, in ms; with `None`, no clock, as at first.
    pub fn set_clock(&self, behind_ms: Option<u64>) {
        self.shared.state.lock().clock_behind_ms = behind_ms;
    }

    /// Calls `change` with the record. Other calls wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut SimRecord) -> T) -> T {
        let changed = change(&mut self.shared.state.lock().record);
        self.shared.grown.notify_all();
        changed
    }
}

impl State {
    /// Returns the engine's clock.
    fn time_ms(&self) -> Option<u64> {
        let behind_ms = self.clock_behind_ms?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(u64::try_from(now.as_millis()).ok()?.saturating_sub(behind_ms))
    }

    /// Lets what is late arrive, once its time has come.
    fn call(&mut self) {
        let mut late = std::mem::take(&mut self.late);
        late.retain_mut(|(calls, after, entry)| {
            *calls -= 1;
            if *calls == 0 {
                self.record.arrive(*after, entry, self.faults.accepts_everything);
            }
            *calls > 0
        });
        self.late.append(&mut late);
        if self.random.chance(self.faults.strangers) {
            let stranger = Bytes::copy_from_slice(&self.random.number().to_le_bytes());
            self.record.arrive(self.record.last(), &stranger, true);
        }
    }

    fn append(&mut self, after: Slot, entry: &NewEntry) -> AppendOutcome {
        self.call();
        let Faults { accepts_everything, .. } = self.faults;
        if self.random.chance(self.faults.not_sent) {
            return AppendOutcome::NotSent(Cause::new("the engine is away"));
        }
        if entry.bytes.len() > self.limits.entry_bytes {
            return AppendOutcome::TooLarge;
        }
        if self.random.chance(self.faults.full) {
            return AppendOutcome::Full;
        }
        let unknown = || AppendOutcome::Unknown(Cause::new("the answer was lost"));
        if self.random.chance(self.faults.doubled) {
            self.late.push((1 + self.random.below(9), after, entry.bytes.clone()));
        }
        if self.random.chance(self.faults.delayed) {
            self.late.push((1 + self.random.below(30), after, entry.bytes.clone()));
            return unknown();
        }
        if self.random.chance(self.faults.lost_entries) {
            return unknown();
        }
        let outcome = self.record.arrive(after, &entry.bytes, accepts_everything);
        if self.random.chance(self.faults.lost_answers) {
            return unknown();
        }
        if self.random.chance(self.faults.wrong_refusals) {
            return AppendOutcome::Refused;
        }
        match outcome {
            AppendOutcome::At(slot) if self.random.chance(self.faults.other_slots) => {
                AppendOutcome::At(self.record.other_slot(slot, after, &mut self.random))
            }
            outcome => outcome,
        }
    }
}

impl CommitLog for SimLog {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        let (outcome, time_ms) = {
            let mut state = self.shared.state.lock();
            (state.append(after, &entry), state.time_ms())
        };
        self.shared.grown.notify_all();
        done(AppendAnswer { outcome, time_ms });
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        let mut state = self.shared.state.lock();
        state.call();
        let faults = state.faults;
        if state.random.chance(faults.failed_reads) {
            return Err(LogError::Unavailable(Cause::new("the engine is away")));
        }
        let is_old = state.random.chance(faults.stale_reads);
        let missing = if is_old { state.random.index(4) } else { 0 };
        let entries = state.record.read(after, limit, missing)?;
        let entries = (after.0 + 1..).map(Slot).zip(entries).collect();
        Ok(Page { entries, time_ms: state.time_ms() })
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        let state = self.shared.state.lock();
        Ok((state.record.first(), state.record.last()))
    }

    fn wait(&self, after: Slot, until: Instant) {
        let mut state = self.shared.state.lock();
        while state.record.last() <= after {
            // What is late must not wait for a call that does not come.
            let step = Instant::now() + Duration::from_millis(20);
            self.shared.grown.wait_until(&mut state, until.min(step));
            state.call();
            if Instant::now() >= until {
                return;
            }
        }
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        let warnings = vec!["it keeps its record in memory".into()];
        Ok(Fitness { engine: "a simulated engine".into(), warnings })
    }

    fn limits(&self) -> LogLimits {
        self.shared.state.lock().limits
    }

    fn hint(&self) {
        let hints = self.shared.state.lock().hints.clone();
        for (connection, hint) in hints {
            if connection != self.connection {
                hint();
            }
        }
    }

    fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        self.shared.state.lock().hints.push((self.connection, see.into()));
    }
}

impl std::fmt::Debug for SimLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimLog").finish_non_exhaustive()
    }
}
