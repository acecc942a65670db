//! Instruments: a counter, a gauge and a histogram that store their values and report them to the recorder of the crate
//! `metrics`.
//!
//! A recorder adds up the reports of all stores in a process that have the same name and label. So each instrument
//! reports by how much its value changed since the last report, and a gauge subtracts its value when it is dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::recorder;
use super::value_histogram::ValueHistogram;

/// A count that only grows.
pub(super) struct Counter {
    now: AtomicU64,
    reported: AtomicU64,
    recorder: recorder::Counter,
}

// All atomic operations of this file are Relaxed: the values are statistics, and order no other memory access.
impl Counter {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        let recorder = recorder::counter(name, backend);
        Self { now: AtomicU64::new(0), reported: AtomicU64::new(0), recorder }
    }

    /// Returns the count.
    pub(super) fn get(&self) -> u64 {
        // Relaxed: a statistic, which orders nothing.
        self.now.load(Ordering::Relaxed)
    }

    /// Adds 1 and reports it.
    pub(super) fn count(&self) {
        // Relaxed: a statistic, which orders nothing.
        self.now.fetch_add(1, Ordering::Relaxed);
        self.report();
    }

    /// Adds `more` without reporting it, and returns the count before. The caller makes sure that no other thread
    /// counts at the same time; so this needs no locked instruction.
    #[inline]
    pub(super) fn add_alone(&self, more: u64) -> u64 {
        let before = self.get();
        // Relaxed: a statistic, which orders nothing.
        self.now.store(before + more, Ordering::Relaxed);
        before
    }

    /// Reports the part of the count that was not reported yet.
    pub(super) fn report(&self) {
        let now = self.get();
        // Relaxed: a statistic, which orders nothing. `fetch_max` keeps the larger value, so two threads that report at
        // the same time report different parts of the count.
        let reported = self.reported.fetch_max(now, Ordering::Relaxed);
        if now > reported {
            self.recorder.increment(now - reported);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.report();
    }
}

/// A value that goes up and down.
pub(super) struct Gauge {
    reported: AtomicU64,
    recorder: recorder::Gauge,
}

impl Gauge {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        let recorder = recorder::gauge(name, backend);
        Self { reported: AtomicU64::new(0), recorder }
    }

    /// Reports the value `now`.
    pub(super) fn report(&self, now: u64) {
        // Relaxed: a statistic, which orders nothing.
        let reported = self.reported.swap(now, Ordering::Relaxed);
        // The crate `metrics` has floating-point values, which are exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if now >= reported {
            self.recorder.increment((now - reported) as f64);
        } else {
            self.recorder.decrement((reported - now) as f64);
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.report(0);
    }
}

/// The distribution of measured values.
pub(super) struct Histogram {
    pub(super) histogram: ValueHistogram,
    recorder: recorder::Histogram,
}

impl Histogram {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        let recorder = recorder::histogram(name, backend);
        Self { histogram: ValueHistogram::new(), recorder }
    }

    /// Records a duration, and reports it.
    pub(super) fn record_time(&self, time: Duration) {
        self.histogram.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.recorder.record(time);
    }

    /// Records a count, and reports it.
    pub(super) fn record_count(&self, count: u64) {
        self.histogram.record(count);
        self.report_count(count);
    }

    /// Reports a count without recording it.
    pub(super) fn report_count(&self, count: u64) {
        // The crate `metrics` has floating-point values, which are exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        self.recorder.record(count as f64);
    }
}
