//! Calls that were timed, each.

use std::time::{Duration, Instant};

use super::row::Row;
use crate::failure::Failure;

#[derive(Default)]
pub(super) struct Timed {
    pub(super) samples: Vec<Duration>,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Timed {
    /// Does it, which answers its events and bytes.
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

    /// These and others, one after another.
    pub(super) fn add(&mut self, others: Self) {
        self.samples.extend(others.samples);
        self.took += others.took;
        self.events += others.events;
        self.bytes += others.bytes;
    }

    /// Events a second.
    pub(super) fn rate(&self) -> f64 {
        per_second(self.events, self.took)
    }

    pub(super) fn row(
        mut self,
        target: &'static str,
        test: &'static str,
        ratio: Option<f64>,
    ) -> Row {
        self.samples.sort_unstable();
        let Self { samples, events, bytes, took } = self;
        Row { target, test, writers: 1, events, bytes, took, samples, ratio }
    }
}

/// So many of something in this time, in a second.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// The one in the middle, or half-way between the two that are; `None` of none.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some(f64::midpoint(figures[last / 2], figures[last.div_ceil(2)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_that_is_far_off_does_not_move_the_median() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7.0]), Some(7.0));
        assert_eq!(median(vec![3.0, 1.0]), Some(2.0));
        assert_eq!(median(vec![0.5, 900.0, 0.4, 0.6, 0.5]), Some(0.5));
    }
}
