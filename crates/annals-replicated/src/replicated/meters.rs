//! The metrics of a replicated log, for the recorder of the crate `metrics`. docs/METRICS.md lists them.

use metrics::{Unit, describe_counter, describe_gauge};

use super::status::RecordStatus;
use crate::core::state::Counts;

const LAG: &str = "annals_record_lag_slots";
const DOUBTS: &str = "annals_record_doubts";
const DIVERGED: &str = "annals_record_diverged";
const VOIDS: &str = "annals_record_voids_total";
const LOST_RACES: &str = "annals_record_lost_races_total";
const ANCHOR_CHECKS: &str = "annals_record_anchor_checks_total";

/// The meters of one replica.
pub(super) struct Meters {
    lag: Gauge,
    doubts: Gauge,
    diverged: Gauge,
    voids: metrics::Counter,
    lost_races: metrics::Counter,
    anchors_found: metrics::Counter,
    anchors_failed: metrics::Counter,
    counted: Counts,
}

impl Meters {
    pub(super) fn new(backend: &'static str) -> Self {
        describe();
        let gauge = |name: &'static str| Gauge(metrics::gauge!(name, "backend" => backend), 0);
        let checks = |result: &'static str| metrics::counter!(ANCHOR_CHECKS, "backend" => backend, "result" => result);
        Self {
            lag: gauge(LAG),
            doubts: gauge(DOUBTS),
            diverged: gauge(DIVERGED),
            voids: metrics::counter!(VOIDS, "backend" => backend),
            lost_races: metrics::counter!(LOST_RACES, "backend" => backend),
            anchors_found: checks("found"),
            anchors_failed: checks("failed"),
            counted: Counts::default(),
        }
    }

    /// Reports what changed.
    pub(super) fn report(&mut self, status: &RecordStatus, lag_slots: u64) {
        self.lag.set(lag_slots);
        self.doubts.set(status.doubts as u64);
        self.diverged.set(u64::from(status.divergence.is_some()));
        let (now, before) = (status.counts, self.counted);
        self.voids.increment(now.voids - before.voids);
        self.lost_races.increment(now.lost_races - before.lost_races);
        self.anchors_found.increment(now.anchors_found - before.anchors_found);
        self.anchors_failed.increment(now.anchors_failed - before.anchors_failed);
        self.counted = now;
    }
}

/// A value that goes up and down. It reports differences, so that stores with the same label add up.
struct Gauge(metrics::Gauge, u64);

impl Gauge {
    fn set(&mut self, now: u64) {
        // The crate `metrics` has floating-point values, which are exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if now >= self.1 {
            self.0.increment((now - self.1) as f64);
        } else {
            self.0.decrement((self.1 - now) as f64);
        }
        self.1 = now;
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn describe() {
    describe_gauge!(LAG, "slots of the record behind the last commit that the replica has");
    describe_gauge!(DOUBTS, "commits that were sent and whose outcome is not known");
    describe_gauge!(DIVERGED, "replicas that have diverged from their record");
    describe_counter!(VOIDS, Unit::Count, "void entries that were read");
    describe_counter!(LOST_RACES, Unit::Count, "own commits that lost their race");
    describe_counter!(ANCHOR_CHECKS, Unit::Count, "checks that the record has what was read");
}
