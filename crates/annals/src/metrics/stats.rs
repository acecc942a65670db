//! The statistics of a log: the types that `EventStore::stats` and `EventStore::segments` return.

/// The statistics of a log: sizes as they are now, and counts and durations since the store was opened.
///
/// A name that ends in `_ns` or `_bytes` is in nanoseconds or bytes; all others are counts. Counts are exact. Durations
/// are of all operations, or of a sample, as each field says.
///
/// ```
/// use annals::{EventStore, RawEvent};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// let stats = store.stats();
/// assert_eq!((stats.events, stats.commits, stats.conflicts), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of events in the log, which is its head.
    pub events: u64,
    /// The size of the log's events in the backend, with their frames, in bytes. In memory, the allocated bytes.
    pub event_bytes: u64,
    /// The size of all indexes on disk, in bytes: of those for one segment, and of those for many segments.
    pub index_bytes: u64,
    /// The number of segments: files, or segments of the list in memory.
    pub segments: u64,
    /// The memory allocated for the log and its index, in bytes. Memory-mapped files do not count, nor does memory that
    /// events in memory point to.
    pub memory_bytes: u64,
    /// The number of callback subscribers.
    pub subscribers: u64,

    /// The number of commits since the store was opened.
    pub commits: u64,
    /// The number of events in a commit.
    pub commit_events: Distribution,
    /// The duration of appends, in nanoseconds: from encoding the batch until the append returns, with the calls of
    /// callbacks. For an asynchronous append, until its future is ready. In memory, one append in 61 is timed.
    pub append_ns: Distribution,
    /// The duration of commits in the backend, in nanoseconds: its write and its sync together, with the durability
    /// that was requested. Also the duration of each call of [`EventStore::sync`](crate::EventStore::sync). The time
    /// for ending a segment and beginning the next is part of `append_ns` instead. Empty for a log in memory.
    pub sync_ns: Distribution,
    /// The duration of condition checks, in nanoseconds. In memory, one check in 61 is timed.
    pub condition_ns: Distribution,
    /// The duration of calls of callback subscribers, in nanoseconds. In memory, one call in 61 is timed.
    pub subscriber_ns: Distribution,
    /// The duration of reads of one event by its offset, in nanoseconds. One read in 61 is timed, in memory about one
    /// in 450.
    pub read_ns: Distribution,
    /// The duration of reads of a page, in nanoseconds. A page is the events that an iterator or a cursor reads at
    /// once, at most 256. In memory, one read in 61 is timed.
    pub page_ns: Distribution,
    /// The number of events between a cursor and the head, measured at each read of the cursor.
    pub subscriber_lag_events: Distribution,
    /// The number of events between the slowest cursor and the head now, whether or not they match its query.
    pub largest_subscriber_lag_events: u64,
    /// The number of appends that failed because an event matched their condition.
    pub conflicts: u64,
    /// The number of appends that failed for any other reason.
    pub append_errors: u64,
    /// The number of failed reads of events, names or times.
    pub read_errors: u64,
}

/// The distribution of the values that were measured since the store was opened.
///
/// `count`, `sum` and `max` are exact. A quantile differs from a measured value by at most 3.2%. For a value of 2^40 or
/// more (18 minutes, in nanoseconds), a quantile shows only that it is that large. All fields are 0 if nothing was
/// measured.
///
/// ```
/// use annals::{EventStore, RawEvent};
///
/// let store = EventStore::in_memory();
/// store.append_batch([RawEvent::builder("opened").build()?, RawEvent::builder("closed").build()?])?;
/// let events = store.stats().commit_events;
/// assert_eq!((events.count, events.sum, events.p50, events.max), (1, 2, 2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution {
    /// The number of measured values.
    pub count: u64,
    /// The sum of the values.
    pub sum: u64,
    /// The median: half of the values are at most this.
    pub p50: u64,
    /// The 95th percentile: 95% of the values are at most this.
    pub p95: u64,
    /// The 99th percentile: 99% of the values are at most this.
    pub p99: u64,
    /// The largest value.
    pub max: u64,
}

impl Distribution {
    /// Returns the mean of the values, or 0 if nothing was measured.
    ///
    /// ```
    /// let mut sizes = annals::Distribution::default();
    /// assert_eq!(sizes.mean(), 0.0);
    /// (sizes.count, sizes.sum) = (4, 10);
    /// assert_eq!(sizes.mean(), 2.5);
    /// ```
    #[must_use]
    pub fn mean(&self) -> f64 {
        // A double rounds integers beyond 2^53, which is precise enough for a mean.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// The sizes of one segment of a log.
///
/// ```
/// use annals::{EventStore, RawEvent};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// let segments = store.segments();
/// assert_eq!(segments[0].first, 0);
/// assert_eq!(segments[0].index_bytes, 0); // on disk: none in memory
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// The offset of the segment's first event.
    pub first: u64,
    /// The size of the segment's events with their frames, in bytes. In memory, the allocated bytes.
    pub event_bytes: u64,
    /// The size of the segment's index on disk, in bytes.
    pub index_bytes: u64,
    /// The memory allocated for the segment, in bytes. Memory-mapped files do not count, nor does memory that events in
    /// memory point to, nor memory that all segments share, such as the index of a log in memory.
    pub memory_bytes: u64,
}

impl SegmentStats {
    /// Returns empty statistics of a segment that begins with the event at `first`. A backend fills in the other
    /// fields.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }
}
