//! The metrics of consumers and groups, for the recorder of the crate `metrics`. docs/METRICS.md lists them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Unit, describe_counter, describe_gauge};

const DELIVERIES: &str = "annals_consumer_deliveries_total";
const REDELIVERIES: &str = "annals_consumer_redeliveries_total";
const PARKED_TOTAL: &str = "annals_consumer_parked_total";
const LAG: &str = "annals_consumer_lag_events";
const IN_FLIGHT: &str = "annals_consumer_in_flight_events";
const PARKED: &str = "annals_consumer_parked_events";

/// The meters of one consumer or group. Its name is the label `consumer`.
pub(crate) struct Meters {
    deliveries: metrics::Counter,
    redeliveries: metrics::Counter,
    parked_total: metrics::Counter,
    pub(crate) lag: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) parked: Gauge,
}

/// A value that goes up and down. It reports differences, so consumers of one name on several logs add up.
pub(crate) struct Gauge {
    reported: AtomicU64,
    recorder: metrics::Gauge,
}

impl Meters {
    pub(crate) fn new(consumer: &str) -> Self {
        describe();
        let counter =
            |name: &'static str| metrics::counter!(name, "consumer" => consumer.to_owned());
        let gauge = |name: &'static str| Gauge {
            reported: AtomicU64::new(0),
            recorder: metrics::gauge!(name, "consumer" => consumer.to_owned()),
        };
        Self {
            deliveries: counter(DELIVERIES),
            redeliveries: counter(REDELIVERIES),
            parked_total: counter(PARKED_TOTAL),
            lag: gauge(LAG),
            in_flight: gauge(IN_FLIGHT),
            parked: gauge(PARKED),
        }
    }

    /// Counts a delivery.
    pub(crate) fn delivered(&self, attempt: u32) {
        self.deliveries.increment(1);
        if attempt > 1 {
            self.redeliveries.increment(1);
        }
    }

    /// Counts events that were parked.
    pub(crate) fn parked(&self, count: u64) {
        self.parked_total.increment(count);
    }
}

impl Gauge {
    /// Reports the value `now`. One thread at a time calls it: the one that has the lock of the engine.
    pub(crate) fn report(&self, now: u64) {
        // Relaxed: the lock of the engine orders the calls.
        let reported = self.reported.load(Ordering::Relaxed);
        self.reported.store(now, Ordering::Relaxed);
        // The crate `metrics` has floating-point values, which are exact up to 2^53.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if now > reported {
            self.recorder.increment((now - reported) as f64);
        } else if now < reported {
            self.recorder.decrement((reported - now) as f64);
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.report(0);
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn describe() {
    for (name, meaning) in [
        (DELIVERIES, "Number of deliveries, the repeated ones among them"),
        (REDELIVERIES, "Number of deliveries of events that were delivered before"),
        (PARKED_TOTAL, "Number of events that were parked"),
    ] {
        describe_counter!(name, Unit::Count, meaning);
    }
    for (name, meaning) in [
        (LAG, "Number of events between the position and the head"),
        (IN_FLIGHT, "Number of events that were delivered and not answered"),
        (PARKED, "Number of parked events"),
    ] {
        describe_gauge!(name, Unit::Count, meaning);
    }
}
