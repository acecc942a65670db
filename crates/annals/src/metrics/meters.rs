//! The meters of one log. They store measurements for [`Stats`], and report them to the recorder of the crate `metrics`
//! if one was installed before the store was opened.
//!
//! ```text
//!   commit path, callbacks, reads, cursors ─▶ Meters ─┬▶ own counts and histograms ─▶ EventStore::stats
//!                                                     └▶ handles of the crate `metrics` ─▶ recorder, if there is one
//! ```
//! Reading the clock twice takes 50 to 90 ns, depending on the machine. A read of one event in memory takes less
//! than that, and an append in memory not much more. So operations in memory are sampled, and so are reads of one event on
//! every backend: one in [`PERIOD`] operations of a thread is timed ([`Meters::read`] is rarer in memory). All other
//! operations of a durable backend belong to an append, which writes to a file, or read a page. Each of them is timed.

use std::cell::Cell;
use std::time::Instant;

use super::cursors::Cursors;
use super::instruments::{Counter, Gauge, Histogram};
use super::names;
use super::stats::Stats;
use crate::error::{AppendError, ReadError};

/// The sampling period: one of this many operations is timed. A prime, so that it rarely coincides with a period in the
/// program's own sequence of operations.
const PERIOD: u32 = 61;

/// The sampling period of reads in memory, among the reads of the sampled offsets.
const SHORT_PERIOD: u32 = 7;

/// A factor that spreads numbers over all of 64 bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The kinds of operation that are timed.
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

/// The meters of one log.
pub(crate) struct Meters {
    /// Whether the backend makes events durable. If it does, the cost of reading the clock does not matter.
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
    gauges: Gauges,
}

/// The values that are reported to the recorder when a caller requests [`Stats`].
struct Gauges {
    log_events: Gauge,
    event_bytes: Gauge,
    index_bytes: Gauge,
    memory_bytes: Gauge,
    segments: Gauge,
    subscribers: Gauge,
    largest_lag: Gauge,
    poisoned: Gauge,
    full: Gauge,
    closed: Gauge,
    read_only: Gauge,
}

/// The state of a store. `Open` has no gauge, and neither has `Diverged`: a replicated log reports it with its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Full,
    ReadOnly,
    Closed,
    Poisoned,
    Diverged,
}

thread_local! {
    /// For each kind, the number of operations of this thread, on any log, until the next one is timed. It is a thread
    /// local so that readers do not write to shared memory.
    static UNTIL: [Cell<u32>; TIMED] = const { [const { Cell::new(0) }; TIMED] };
}

impl Meters {
    /// Returns the meters of a log. `backend` is the value of their label, `durable` says whether the backend makes
    /// events durable.
    pub(crate) fn new(backend: &'static str, durable: bool) -> Self {
        use Timed::{Append, Condition, Page, Read, Subscriber, Sync};
        #[cfg(feature = "metrics")]
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
        let gauge = |name| Gauge::new(name, backend);
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
            gauges: Gauges {
                log_events: gauge(names::LOG_EVENTS),
                event_bytes: gauge(names::EVENT_BYTES),
                index_bytes: gauge(names::INDEX_BYTES),
                memory_bytes: gauge(names::MEMORY_BYTES),
                segments: gauge(names::SEGMENTS),
                subscribers: gauge(names::SUBSCRIBERS),
                largest_lag: gauge(names::LARGEST_LAG),
                poisoned: gauge(names::POISONED),
                full: gauge(names::FULL),
                closed: gauge(names::CLOSED),
                read_only: gauge(names::READ_ONLY),
            },
        }
    }

    /// Returns whether the backend makes events durable.
    pub(crate) fn durable(&self) -> bool {
        self.durable
    }

    /// Returns the time if the operation that begins now is timed, `None` if it is not.
    #[inline]
    pub(crate) fn start(&self, timed: Timed) -> Option<Instant> {
        let due = match timed {
            Timed::Sync => self.durable,
            _ => self.durable || is_due(timed, PERIOD),
        };
        due.then(Instant::now)
    }

    /// Records the duration of an operation that began at `started`, if it is timed.
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

    /// Runs `work`, and times it if it is sampled.
    #[inline]
    pub(crate) fn time<T>(&self, timed: Timed, work: impl FnOnce() -> T) -> T {
        let started = self.start(timed);
        let done = work();
        self.stop(timed, started);
        done
    }

    /// Runs `read`, a read of the event at `offset`. Times it if it is sampled, and counts a failure.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        offset: u64,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        // Counting a read in memory would take as long as the read itself. So only reads of one in 64 offsets are
        // counted. Among those, one in `SHORT_PERIOD` is timed, because a program may read the same offset repeatedly.
        let due = if self.durable {
            is_due(Timed::Read, PERIOD)
        } else {
            offset.wrapping_mul(SPREAD) >> 58 == 0 && is_due(Timed::Read, SHORT_PERIOD)
        };
        // `read` is called in one place, so that its result need not be in memory: a caller in memory gets a pointer in a
        // register instead of copies of an `EventRef`, which has room for a whole event.
        let started = due.then(Instant::now);
        let read = read();
        self.stop(Timed::Read, started);
        self.counted(read)
    }

    /// Runs `read`, a read of a page. Times it if it is sampled, and counts a failure.
    pub(crate) fn read_page<T>(
        &self,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let read = self.time(Timed::Page, read);
        self.counted(read)
    }

    /// Returns `read`, and counts it if it is a failure.
    #[inline]
    pub(crate) fn counted<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if read.is_err() {
            self.read_errors.count();
        }
        read
    }

    /// Records the duration of an append if it is timed, and counts a failure.
    #[inline]
    pub(crate) fn appended<T>(&self, started: Option<Instant>, result: &Result<T, AppendError>) {
        self.stop(Timed::Append, started);
        if let Err(error) = result {
            self.refused(error);
        }
    }

    /// Counts an append that failed or was refused.
    #[cold]
    pub(crate) fn refused(&self, error: &AppendError) {
        match error {
            AppendError::Conflict { .. } => self.conflicts.count(),
            _ => self.append_errors.count(),
        }
    }

    /// Counts a commit of `events` events. The caller makes sure that no other thread calls it at the same time.
    #[inline]
    pub(crate) fn committed(&self, events: u64) {
        let before = self.commits.add_alone(1);
        self.events.add_alone(events);
        self.commit_events.histogram.record_alone(events);
        // A report takes time that would count in memory.
        if self.durable || before.is_multiple_of(u64::from(PERIOD)) {
            self.report_commit(events);
        }
    }

    #[cold]
    fn report_commit(&self, events: u64) {
        self.commit_events.report_count(events);
        self.commits.report();
        self.events.report();
    }

    /// Returns the number of commits since the store was opened.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.get()
    }

    /// Adds the measurements to `stats`, which the backend has filled in, and reports the gauges to the recorder.
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
        self.commits.report();
        self.events.report();
        let gauges = &self.gauges;
        gauges.log_events.report(stats.events);
        gauges.event_bytes.report(stats.event_bytes);
        gauges.index_bytes.report(stats.index_bytes);
        gauges.memory_bytes.report(stats.memory_bytes);
        gauges.segments.report(stats.segments);
        gauges.subscribers.report(stats.subscribers);
        gauges.largest_lag.report(stats.largest_subscriber_lag_events);
    }

    /// Reports the state of the store: the gauge of the state is 1, the others are 0.
    pub(crate) fn report_state(&self, state: State) {
        let gauges = &self.gauges;
        for (gauge, of) in [
            (&gauges.full, State::Full),
            (&gauges.read_only, State::ReadOnly),
            (&gauges.closed, State::Closed),
            (&gauges.poisoned, State::Poisoned),
        ] {
            gauge.report(u64::from(state == of));
        }
    }
}

/// Counts an operation of this thread, and returns whether it is timed. One in `period` operations of a kind is.
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
    fn a_thread_times_one_operation_of_each_kind_in_a_period() {
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
    fn all_operations_of_a_durable_backend_are_timed() {
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
