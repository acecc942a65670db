//! Numbers of a log that one can watch.

/// Numbers of a log, as they are now, or as they have come together since the store was opened.
///
/// A name that ends in a unit is of that unit; the others count. Which calls are timed each time, and which now and
/// then, stands with each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events in the log: its head.
    pub events: u64,
    /// Bytes of the log's events in its backend, with all that frames them; in memory, what is allocated.
    pub event_bytes: u64,
    /// Bytes of indexes on disk, of segments and over many of them.
    pub index_bytes: u64,
    /// Segments: of the list in memory, or files.
    pub segments: u64,
    /// Bytes of memory held for the log and its index; mapped files do not count, nor what events in memory point to.
    pub memory_bytes: u64,
    /// Callback subscribers.
    pub subscribers: u64,

    /// Commits since the store was opened.
    pub commits: u64,
    /// Events a commit.
    pub commit_events: Distribution,
    /// Appends, in nanoseconds: from when a batch is encoded until its caller is answered, callbacks included; of
    /// asynchronous ones, until their future can answer. In memory, one in 61 is timed.
    pub append_ns: Distribution,
    /// Making a commit as durable as was asked, in nanoseconds: the backend's write and its sync in one; and each call of
    /// [`EventStore::sync`](crate::EventStore::sync). Not what ending a segment and beginning the next takes, which is in
    /// the append's. None in memory.
    pub sync_ns: Distribution,
    /// Conditions checked, in nanoseconds each. In memory, one in 61 is timed.
    pub condition_ns: Distribution,
    /// Calls of callback subscribers, in nanoseconds each. In memory, one in 61 is timed.
    pub subscriber_ns: Distribution,
    /// Reads of one event by its offset, in nanoseconds. One in 61 is timed, in memory about one in 450.
    pub read_ns: Distribution,
    /// Reads of a page, in nanoseconds: what an iterator or a cursor fetches at once, at most 256 events. In memory,
    /// one in 61 is timed.
    pub page_ns: Distribution,
    /// How many events were in front of a cursor each time it fetched some.
    pub subscriber_lag_events: Distribution,
    /// How many events are in front of the cursor that is the furthest behind now, whether or not they match its query.
    pub largest_subscriber_lag_events: u64,
    /// Appends refused since something had happened that their condition forbids.
    pub conflicts: u64,
    /// Appends that failed or were refused for any other reason.
    pub append_errors: u64,
    /// Reads of events, names or times that failed.
    pub read_errors: u64,
}

/// How the values of something that was measured since the store was opened are spread.
///
/// Quantiles are at most 3.2% beside a value that was measured (of one beyond 2^40, only that it was larger); `max` and
/// `sum` are exact. All are 0 if nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution {
    /// How many values were measured.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// Half of them are at most this.
    pub p50: u64,
    /// 95% of them are at most this.
    pub p95: u64,
    /// 99% of them are at most this.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Distribution {
    /// The mean, 0 if nothing was measured.
    #[must_use]
    pub fn mean(&self) -> f64 {
        // Beyond 2^53 the last digits go, which nobody looks at.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// How much there is of one segment of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// The offset of its first event.
    pub first: u64,
    /// Bytes of its events, with all that frames them; in memory, what is allocated.
    pub event_bytes: u64,
    /// Bytes of its index on disk.
    pub index_bytes: u64,
    /// Bytes of memory held for it; mapped files do not count, nor what events in memory point to, nor what all
    /// segments share: in memory, the index.
    pub memory_bytes: u64,
}

impl SegmentStats {
    /// Those of a segment that begins with the event at `first`: for authors of backends.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }
}
