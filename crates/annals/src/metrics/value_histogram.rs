//! A histogram that any number of threads add to without a lock, and from which quantiles are computed.
//!
//! ```text
//!   value    0 1 2 … 31 │ 32 34 36 … 62 │ 64 68 … 124 │ 128 136 … │ … │ 2^40 and more
//!   bucket   0 1 2 … 31 │ 32 33 34 … 47 │ 48 49 …  63 │  64  65 … │ … │ the last
//!            one value  │ 16 buckets for each power of two, each 1/16 of it wide
//! ```
//! A quantile is the middle of a bucket, so it differs from a measured value by at most 1/32 (3.2%). All values of 2^40
//! and more (18 minutes, in nanoseconds) share one bucket. The largest value and the sum are exact. Buckets that are
//! linear within powers of two come from Gil Tene's `HdrHistogram`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stats::Distribution;

/// The binary logarithm of [`STEPS`].
const STEPS_LOG2: u32 = 4;
/// The number of buckets for each power of two.
const STEPS: usize = 1 << STEPS_LOG2;
/// All values of 2^`BITS` and more share the last bucket.
const BITS: u32 = 40;
const BUCKETS: usize = (BITS - STEPS_LOG2) as usize * STEPS + STEPS + 1;

/// A histogram of recorded values. It takes 5 KiB.
#[derive(Debug)]
pub(crate) struct ValueHistogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

// All atomic operations are Relaxed: the values are statistics, and order no other memory access. A distribution that
// is computed while another thread records may include its value in one field and not yet in another.
impl ValueHistogram {
    pub(crate) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }

    /// Records `value`.
    pub(crate) fn record(&self, value: u64) {
        // Relaxed, four times: statistics, which order nothing.
        self.buckets[bucket(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Records `value`. The caller makes sure that no other thread records at the same time; so this needs no locked
    /// instructions.
    pub(crate) fn record_alone(&self, value: u64) {
        let add = |number: &AtomicU64, more: u64| {
            // Relaxed: a statistic, which orders nothing.
            number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.buckets[bucket(value)], 1);
        add(&self.sum, value);
        // Relaxed, twice: a statistic, which orders nothing.
        if value > self.max.load(Ordering::Relaxed) {
            self.max.store(value, Ordering::Relaxed);
        }
    }

    /// Returns the distribution of all values that were recorded.
    pub(crate) fn distribution(&self) -> Distribution {
        // Relaxed, here and below: statistics, which order nothing.
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let (count, max) = (counts.iter().sum(), self.max.load(Ordering::Relaxed));
        let quantile = |percent: u64| {
            // The smallest value that at least `percent` of all values do not exceed.
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

/// Returns the index of the bucket of a value.
fn bucket(value: u64) -> usize {
    let value = value.min(1 << BITS);
    // Values less than `2 * STEPS` have a bucket each.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS_LOG2 + 1);
    // The step is less than `2 * STEPS`.
    let step = usize::try_from(value >> shift).unwrap_or(usize::MAX);
    shift as usize * STEPS + step
}

/// Returns the middle of a bucket, which represents all its values.
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
    fn buckets_have_no_gaps_and_each_contains_its_middle() {
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

    /// Returns the value that `percent` of the sorted values do not exceed.
    fn exact(sorted: &[u64], percent: usize) -> u64 {
        sorted[(sorted.len() * percent).div_ceil(100) - 1]
    }

    proptest! {
        #[test]
        fn quantiles_differ_from_those_of_the_sorted_values_by_at_most_a_32nd(
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
