//! Timed calls.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The durations of calls, and their totals.
#[derive(Default)]
pub(super) struct Timed {
    pub(super) samples: Vec<Duration>,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Timed {
    /// Calls `work` and measures its time. `work` returns the numbers of events and bytes of the call.
    pub(super) fn call(
        &mut self,
        work: impl FnOnce() -> Result<(u64, u64), Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let (events, bytes) = work()?;
        let took = start.elapsed();
        self.samples.push(took);
        self.took += took;
        self.events += events;
        self.bytes += bytes;
        Ok(())
    }

    /// Adds calls that ran before or after these.
    pub(super) fn add(&mut self, others: Self) {
        self.samples.extend(others.samples);
        self.took += others.took;
        self.events += others.events;
        self.bytes += others.bytes;
    }

    /// Returns the number of events per second.
    pub(super) fn rate(&self) -> f64 {
        per_second(self.events, self.took)
    }
}

/// Returns the rate per second of a count in this time.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// Returns the median, or `None` for no figures.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some(f64::midpoint(figures[last / 2], figures[last.div_ceil(2)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_move_the_median() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7.0]), Some(7.0));
        assert_eq!(median(vec![3.0, 1.0]), Some(2.0));
        assert_eq!(median(vec![0.5, 900.0, 0.4, 0.6, 0.5]), Some(0.5));
    }
}
