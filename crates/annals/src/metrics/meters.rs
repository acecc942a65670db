//! What is measured of a log as it is used: kept here for [`Stats`], and told to the recorder of the crate `metrics`,
//! if one was installed before the store was made.
//!
//! ```text
//!   commit path, callbacks, reads, cursors ─▶ Meters ─┬▶ own counts and histograms ─▶ EventStore::stats
//!                                                     └▶ handles of the facade ─▶ recorder, if there is one
//! ```
//! Where an operation may take less time than two looks at the clock (50 ns), one in [`PERIOD`] is timed: so it is with
//! reads of one event, and in memory with everything. What a durable backend does takes so long that all of it is timed.

use std::cell::Cell;
use std::time::Instant;

use super::cursors::Cursors;
use super::instruments::{Counter, Gauge, Histogram};
use super::names;
use super::stats::Stats;
use crate::error::{AppendError, ReadError};

/// Of so many operations one is timed, where not each is. A prime: a program's own rhythm falls in step with it seldom.
const PERIOD: u32 = 61;

/// The same, of the reads of an offset that was picked out.
const SHORT_PERIOD: u32 = 7;

/// A factor that spreads numbers over all of 64 bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    Append,
    Sync,
    Condition,
    Subscriber,
    Read,
    Page,
}

const TIMED: usize = 6;

/// The numbers of one log.
pub(crate) struct Meters {
    /// Whether its backend makes events durable: beside that, a look at the clock costs nothing.
    durable: bool,
    times: [Histogram; TIMED],
    commits: Counter,
    events: Counter,
    commit_events: Histogram,
    conflicts: Counter,
    append_errors: Counter,
    read_errors: Counter,
    pub(super) lag: Histogram,
    pub(super) cursors: Cursors,
    levels: Levels,
}

/// What is told to the recorder when somebody asks for [`Stats`].
struct Levels {
    log_events: Gauge,
    event_bytes: Gauge,
    index_bytes: Gauge,
    memory_bytes: Gauge,
    segments: Gauge,
    subscribers: Gauge,
    largest_lag: Gauge,
    poisoned: Gauge,
    full: Gauge,
}

thread_local! {
    /// How many more operations of each kind this thread does before one is timed, on whatever log. A thread's own:
    /// readers share nothing that any of them writes.
    static UNTIL: [Cell<u32>; TIMED] = const { [const { Cell::new(0) }; TIMED] };
}

impl Meters {
    /// The numbers of a log in a backend of this name, which is the label that they have in the facade; and whether it
    /// makes events durable.
    pub(crate) fn new(backend: &'static str, durable: bool) -> Self {
        use Timed::{Append, Condition, Page, Read, Subscriber, Sync};
        names::describe();
        let time = |timed| {
            let name = match timed {
                Timed::Append => names::APPEND,
                Timed::Sync => names::SYNC,
                Timed::Condition => names::CONDITION,
                Timed::Subscriber => names::SUBSCRIBER,
                Timed::Read => names::READ,
                Timed::Page => names::PAGE,
            };
            Histogram::new(name, backend)
        };
        let total = |name| Counter::new(name, backend);
        let level = |name| Gauge::new(name, backend);
        Self {
            durable,
            times: [Append, Sync, Condition, Subscriber, Read, Page].map(time),
            commits: total(names::COMMITS),
            events: total(names::EVENTS),
            commit_events: Histogram::new(names::COMMIT_EVENTS, backend),
            conflicts: total(names::CONFLICTS),
            append_errors: total(names::APPEND_ERRORS),
            read_errors: total(names::READ_ERRORS),
            lag: Histogram::new(names::LAG, backend),
            cursors: Cursors::default(),
            levels: Levels {
                log_events: level(names::LOG_EVENTS),
                event_bytes: level(names::EVENT_BYTES),
                index_bytes: level(names::INDEX_BYTES),
                memory_bytes: level(names::MEMORY_BYTES),
                segments: level(names::SEGMENTS),
                subscribers: level(names::SUBSCRIBERS),
                largest_lag: level(names::LARGEST_LAG),
                poisoned: level(names::POISONED),
                full: level(names::FULL),
            },
        }
    }

    /// Whether its backend makes events durable.
    pub(crate) fn durable(&self) -> bool {
        self.durable
    }

    /// The time, if what begins now is to be timed.
    #[inline]
    pub(crate) fn start(&self, timed: Timed) -> Option<Instant> {
        let due = match timed {
            Timed::Sync => self.durable,
            _ => self.durable || is_due(timed, PERIOD),
        };
        due.then(Instant::now)
    }

    /// Records how long what began then took.
    #[inline]
    pub(crate) fn stop(&self, timed: Timed, started: Option<Instant>) {
        if let Some(started) = started {
            self.record(timed, started);
        }
    }

    #[cold]
    fn record(&self, timed: Timed, started: Instant) {
        self.times[timed as usize].record_time(started.elapsed());
    }

    /// Does this, and times it if that is due.
    #[inline]
    pub(crate) fn time<T>(&self, timed: Timed, work: impl FnOnce() -> T) -> T {
        let started = self.start(timed);
        let done = work();
        self.stop(timed, started);
        done
    }

    /// Reads the event at `offset`, and counts a failure.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        offset: u64,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        // A read in memory takes no longer than to count it. So only a 64th of the offsets are looked at, all over the
        // log; and not each read of one of those, for the same offset may be read again and again.
        let due = if self.durable {
            is_due(Timed::Read, PERIOD)
        } else {
            offset.wrapping_mul(SPREAD) >> 58 == 0 && is_due(Timed::Read, SHORT_PERIOD)
        };
        if due { self.read_timed(read) } else { self.counted(read()) }
    }

    /// Apart, so that what is not timed is answered where it is read.
    #[cold]
    fn read_timed<T>(&self, read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
        let started = Instant::now();
        let read = read();
        self.record(Timed::Read, started);
        self.counted(read)
    }

    /// Reads a page, and counts a failure.
    pub(crate) fn read_page<T>(
        &self,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let read = self.time(Timed::Page, read);
        self.counted(read)
    }

    /// The same, and counts it if it is a failure.
    #[inline]
    pub(crate) fn counted<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if read.is_err() {
            self.read_errors.count();
        }
        read
    }

    /// Counts an append that is answered, and records how long it took if that was timed.
    #[inline]
    pub(crate) fn appended<T>(&self, started: Option<Instant>, answer: &Result<T, AppendError>) {
        self.stop(Timed::Append, started);
        if let Err(error) = answer {
            self.refused(error);
        }
    }

    /// Counts an append that is refused.
    #[cold]
    pub(crate) fn refused(&self, error: &AppendError) {
        match error {
            AppendError::Conflict { .. } => self.conflicts.count(),
            _ => self.append_errors.count(),
        }
    }

    /// Counts a commit of so many events. One thread at a time.
    #[inline]
    pub(crate) fn committed(&self, events: u64) {
        let before = self.commits.add_alone(1);
        self.events.add_alone(events);
        self.commit_events.histogram.record_alone(events);
        // To tell takes some time, too.
        if self.durable || before.is_multiple_of(u64::from(PERIOD)) {
            self.tell_commit(events);
        }
    }

    #[cold]
    fn tell_commit(&self, events: u64) {
        self.commit_events.tell_count(events);
        self.commits.tell();
        self.events.tell();
    }

    /// Commits so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.get()
    }

    /// Adds what was measured to what the backend knows, and tells the recorder how much there is.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        let times = |timed: Timed| self.times[timed as usize].histogram.distribution();
        stats.commits = self.commits();
        stats.commit_events = self.commit_events.histogram.distribution();
        stats.append_ns = times(Timed::Append);
        stats.sync_ns = times(Timed::Sync);
        stats.condition_ns = times(Timed::Condition);
        stats.subscriber_ns = times(Timed::Subscriber);
        stats.read_ns = times(Timed::Read);
        stats.page_ns = times(Timed::Page);
        stats.subscriber_lag_events = self.lag.histogram.distribution();
        let last = self.cursors.last();
        stats.largest_subscriber_lag_events =
            last.map_or(0, |last| stats.events.saturating_sub(last));
        stats.conflicts = self.conflicts.get();
        stats.append_errors = self.append_errors.get();
        stats.read_errors = self.read_errors.get();
        self.commits.tell();
        self.events.tell();
        let levels = &self.levels;
        levels.log_events.tell(stats.events);
        levels.event_bytes.tell(stats.event_bytes);
        levels.index_bytes.tell(stats.index_bytes);
        levels.memory_bytes.tell(stats.memory_bytes);
        levels.segments.tell(stats.segments);
        levels.subscribers.tell(stats.subscribers);
        levels.largest_lag.tell(stats.largest_subscriber_lag_events);
    }
}

impl Meters {
    /// Tells the recorder whether a write failed, and whether the last append found no room.
    pub(crate) fn tell_health(&self, poisoned: bool, full: bool) {
        self.levels.poisoned.tell(u64::from(poisoned));
        self.levels.full.tell(u64::from(full));
    }
}

/// Whether this thread's next operation of this kind is to be timed, as one in `period` is.
#[inline]
fn is_due(timed: Timed, period: u32) -> bool {
    UNTIL.with(|until| {
        let until = &until[timed as usize];
        let left = until.get();
        until.set(if left == 0 { period - 1 } else { left - 1 });
        left == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_times_one_in_a_period_of_each_kind() {
        let meters = Meters::new("memory", false);
        for offset in 0..u64::from(PERIOD) * 80 {
            assert!(meters.start(Timed::Sync).is_none());
            meters.time(Timed::Condition, || {});
            assert!(meters.read(offset, || Ok(())).is_ok());
        }
        let mut stats = Stats::default();
        meters.add_to(&mut stats);
        assert_eq!((stats.condition_ns.count, stats.page_ns.count), (80, 0));
        assert!((10..=12).contains(&stats.read_ns.count), "{:?}", stats.read_ns);
    }

    #[test]
    fn what_is_made_durable_is_timed_each_time() {
        let meters = Meters::new("journal", true);
        (0..5).for_each(|_| {
            meters.time(Timed::Sync, || meters.appended(meters.start(Timed::Append), &Ok(())));
        });
        let mut stats = Stats::default();
        meters.add_to(&mut stats);
        assert_eq!((stats.sync_ns.count, stats.append_ns.count), (5, 5));
        assert!(stats.sync_ns.max >= stats.append_ns.p50);
    }
}
