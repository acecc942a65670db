//! Counting values by their size, from any number of threads and without a lock: for the quantiles of what is measured.
//!
//! ```text
//!   value    0 1 2 … 31 │ 32 34 36 … 62 │ 64 68 … 124 │ 128 136 … │ … │ 2^40 and more
//!   bucket   0 1 2 … 31 │ 32 33 34 … 47 │ 48 49 …  63 │  64  65 … │ … │ the last
//!             each alone │ 16 buckets for each power of two, each a 16th of it wide
//! ```
//! What is answered of a value is the middle of its bucket, at most a 32nd (3.2%) beside it; of one from 2^40 on
//! (18 minutes, in ns) only that it is as large. The largest value and the sum are exact. (Buckets that are linear
//! within powers of two are Gil Tene's: `HdrHistogram`.)

use std::sync::atomic::{AtomicU64, Ordering};

use super::stats::Distribution;

/// Buckets for each power of two, as a power of two.
const STEPS_LOG2: u32 = 4;
const STEPS: usize = 1 << STEPS_LOG2;
/// Values of so many bits and more are counted together.
const BITS: u32 = 40;
const BUCKETS: usize = (BITS - STEPS_LOG2) as usize * STEPS + STEPS + 1;

/// How often values of each size were recorded. Takes 5 KiB.
#[derive(Debug)]
pub(crate) struct ValueHistogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

// All of this is Relaxed: numbers to look at, which order nothing. A distribution that is made while others record may
// have some of their values in the one number and not yet in the other.
impl ValueHistogram {
    pub(crate) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }

    /// Counts `value`.
    pub(crate) fn record(&self, value: u64) {
        // Relaxed, three times: see above.
        self.buckets[bucket(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// As [`record`](Self::record), for who sees to it that nobody else records meanwhile: that saves the processor
    /// from locking anything.
    pub(crate) fn record_alone(&self, value: u64) {
        let add = |number: &AtomicU64, more: u64| {
            // Relaxed: see above.
            number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.buckets[bucket(value)], 1);
        add(&self.sum, value);
        if value > self.max.load(Ordering::Relaxed) {
            self.max.store(value, Ordering::Relaxed);
        }
    }

    /// What was recorded so far.
    pub(crate) fn distribution(&self) -> Distribution {
        // Relaxed, here and below: see above.
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let (count, max) = (counts.iter().sum(), self.max.load(Ordering::Relaxed));
        let quantile = |percent: u64| {
            // The smallest value that is not below `percent` of all.
            let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
            let mut below = 0_u128;
            let found = counts.iter().position(|&count| {
                below += u128::from(count);
                below >= rank
            });
            if count == 0 { 0 } else { found.map_or(max, middle).min(max) }
        };
        let (p50, p95, p99) = (quantile(50), quantile(95), quantile(99));
        Distribution { count, sum: self.sum.load(Ordering::Relaxed), p50, p95, p99, max }
    }
}

/// Which bucket a value is counted in.
fn bucket(value: u64) -> usize {
    let value = value.min(1 << BITS);
    // Below two times `STEPS` a power of two has no more than `STEPS` values.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS_LOG2 + 1);
    // At most 2^40 >> 36, so it is small.
    let step = usize::try_from(value >> shift).unwrap_or(usize::MAX);
    shift as usize * STEPS + step
}

/// What stands for the values of a bucket.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = ((bucket - shift * STEPS) as u64) << shift;
    first + ((1_u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_are_dense_and_in_order_and_their_middles_are_theirs() {
        assert_eq!(
            (bucket(0), bucket(31), bucket(32), bucket(33), bucket(34)),
            (0, 31, 32, 32, 33)
        );
        for index in 0..BUCKETS {
            assert_eq!(bucket(middle(index)), index);
        }
        assert_eq!((bucket(1 << BITS), bucket(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
        assert_eq!(bucket((1 << BITS) - 1), BUCKETS - 2);
    }

    #[test]
    fn nothing_recorded_is_all_zeroes() {
        assert_eq!(ValueHistogram::new().distribution(), Distribution::default());
    }

    #[test]
    fn threads_lose_nothing() {
        let histogram = ValueHistogram::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let histogram = &histogram;
                scope.spawn(move || (0..10_000).for_each(|n| histogram.record(n * 4 + thread)));
            }
        });
        let found = histogram.distribution();
        assert_eq!((found.count, found.sum, found.max), (40_000, 39_999 * 20_000, 39_999));
    }

    /// The value that `percent` of the sorted ones do not exceed.
    fn exact(sorted: &[u64], percent: usize) -> u64 {
        sorted[(sorted.len() * percent).div_ceil(100) - 1]
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values_but_for_a_32nd(
            values in prop::collection::vec((0..40_u32).prop_flat_map(|bits| 0..1_u64 << bits), 1..400),
            alone in any::<bool>(),
        ) {
            let histogram = ValueHistogram::new();
            for &value in &values {
                if alone { histogram.record_alone(value) } else { histogram.record(value) }
            }
            let mut sorted = values;
            sorted.sort_unstable();
            let found = histogram.distribution();
            prop_assert_eq!(found.count, sorted.len() as u64);
            prop_assert_eq!(found.sum, sorted.iter().sum::<u64>());
            prop_assert_eq!(Some(&found.max), sorted.last());
            for (percent, found) in [(50, found.p50), (95, found.p95), (99, found.p99)] {
                let exact = exact(&sorted, percent);
                prop_assert!(
                    found.abs_diff(exact) <= exact / 32,
                    "p{}: {} for {}", percent, found, exact
                );
            }
        }
    }
}
