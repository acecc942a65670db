//! Numbers that are kept here and told to the facade: counts that only grow, levels that go up and down, and how
//! values are spread.
//!
//! A recorder adds up what several stores of a process tell of one name and label. So each tells by how much it changed
//! since it last did, and takes its levels back when it goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::value_histogram::ValueHistogram;

/// A count that only grows.
pub(super) struct Counter {
    now: AtomicU64,
    told: AtomicU64,
    recorded: metrics::Counter,
}

// The numbers of this file are all Relaxed: they are looked at, and order nothing.
impl Counter {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        let recorded = metrics::counter!(name, "backend" => backend);
        Self { now: AtomicU64::new(0), told: AtomicU64::new(0), recorded }
    }

    /// How much was counted.
    pub(super) fn get(&self) -> u64 {
        // Relaxed: see above.
        self.now.load(Ordering::Relaxed)
    }

    /// Counts one more, and tells it.
    pub(super) fn count(&self) {
        // Relaxed: see above.
        self.now.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    /// Counts `more` without telling, for who sees to it that nobody else counts meanwhile; answers how many there were.
    #[inline]
    pub(super) fn add_alone(&self, more: u64) -> u64 {
        let before = self.get();
        // Relaxed: see above.
        self.now.store(before + more, Ordering::Relaxed);
        before
    }

    /// Tells what was not told yet.
    pub(super) fn tell(&self) {
        let now = self.get();
        // Relaxed: see above. The larger one stays, so whoever tells at the same time tells another part of it.
        let told = self.told.fetch_max(now, Ordering::Relaxed);
        if now > told {
            self.recorded.increment(now - told);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.tell();
    }
}

/// A level that goes up and down.
pub(super) struct Gauge {
    told: AtomicU64,
    gauge: metrics::Gauge,
}

impl Gauge {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        Self { told: AtomicU64::new(0), gauge: metrics::gauge!(name, "backend" => backend) }
    }

    /// Tells that it is `now`.
    pub(super) fn tell(&self, now: u64) {
        // Relaxed: see above.
        let told = self.told.swap(now, Ordering::Relaxed);
        // The facade's numbers are floating: exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if now >= told {
            self.gauge.increment((now - told) as f64);
        } else {
            self.gauge.decrement((told - now) as f64);
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.tell(0);
    }
}

/// How values are spread.
pub(super) struct Histogram {
    pub(super) histogram: ValueHistogram,
    told: metrics::Histogram,
}

impl Histogram {
    pub(super) fn new(name: &'static str, backend: &'static str) -> Self {
        let told = metrics::histogram!(name, "backend" => backend);
        Self { histogram: ValueHistogram::new(), told }
    }

    /// Records how long something took.
    pub(super) fn record_time(&self, time: Duration) {
        self.histogram.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.told.record(time);
    }

    /// Records how many there were of something.
    pub(super) fn record_count(&self, count: u64) {
        self.histogram.record(count);
        self.tell_count(count);
    }

    /// Only tells it.
    pub(super) fn tell_count(&self, count: u64) {
        // The facade's numbers are floating: exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        self.told.record(count as f64);
    }
}
