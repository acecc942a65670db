//! The name, unit and description of each metric, as in the table of docs/METRICS.md.
//!
//! Names follow the conventions of Prometheus: the library, the measured thing, the unit, and `total` at the end of a
//! counter. Each metric has one label, `backend`.

#[cfg(feature = "metrics")]
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const COMMITS: &str = "annals_commits_total";
pub(super) const EVENTS: &str = "annals_events_total";
pub(super) const CONFLICTS: &str = "annals_conflicts_total";
pub(super) const APPEND_ERRORS: &str = "annals_append_errors_total";
pub(super) const READ_ERRORS: &str = "annals_read_errors_total";

pub(super) const APPEND: &str = "annals_append_duration_seconds";
pub(super) const SYNC: &str = "annals_sync_duration_seconds";
pub(super) const CONDITION: &str = "annals_condition_duration_seconds";
pub(super) const SUBSCRIBER: &str = "annals_subscriber_duration_seconds";
pub(super) const READ: &str = "annals_read_duration_seconds";
pub(super) const PAGE: &str = "annals_page_duration_seconds";
pub(super) const COMMIT_EVENTS: &str = "annals_commit_events";
pub(super) const LAG: &str = "annals_subscriber_lag_events";

pub(super) const LOG_EVENTS: &str = "annals_log_events";
pub(super) const EVENT_BYTES: &str = "annals_event_bytes";
pub(super) const INDEX_BYTES: &str = "annals_index_bytes";
pub(super) const MEMORY_BYTES: &str = "annals_memory_bytes";
pub(super) const SEGMENTS: &str = "annals_segments";
pub(super) const SUBSCRIBERS: &str = "annals_subscribers";
pub(super) const LARGEST_LAG: &str = "annals_largest_subscriber_lag_events";
pub(super) const POISONED: &str = "annals_poisoned_stores";
pub(super) const FULL: &str = "annals_full_stores";
pub(super) const CLOSED: &str = "annals_closed_stores";
pub(super) const READ_ONLY: &str = "annals_read_only_stores";

/// Reports the unit and description of each metric to the recorder, if there is one.
#[cfg(feature = "metrics")]
pub(super) fn describe() {
    for (name, meaning) in [
        (COMMITS, "Number of commits; a backend makes all events of a commit durable at once"),
        (EVENTS, "Number of appended events"),
        (CONFLICTS, "Number of appends that failed because an event matched their condition"),
        (APPEND_ERRORS, "Number of appends that failed for another reason than a conflict"),
        (READ_ERRORS, "Number of reads that failed"),
    ] {
        describe_counter!(name, Unit::Count, meaning);
    }
    for (name, unit, meaning) in [
        (APPEND, Unit::Seconds, "Duration of appends, from encoding the batch to the result"),
        (
            SYNC,
            Unit::Seconds,
            "Duration of commits in the backend, its write and its sync together",
        ),
        (CONDITION, Unit::Seconds, "Duration of condition checks"),
        (SUBSCRIBER, Unit::Seconds, "Duration of calls of callback subscribers"),
        (READ, Unit::Seconds, "Duration of reads of one event by its offset"),
        (PAGE, Unit::Seconds, "Duration of reads of a page of events, by an iterator or a cursor"),
        (COMMIT_EVENTS, Unit::Count, "Number of events in a commit"),
        (LAG, Unit::Count, "Number of events between a cursor and the head, at each of its reads"),
    ] {
        describe_histogram!(name, unit, meaning);
    }
    for (name, unit, meaning) in [
        (LOG_EVENTS, Unit::Count, "Number of events in the log"),
        (EVENT_BYTES, Unit::Bytes, "Size of the log's events in the backend"),
        (INDEX_BYTES, Unit::Bytes, "Size of the indexes on disk"),
        (MEMORY_BYTES, Unit::Bytes, "Memory allocated for the log and its index"),
        (SEGMENTS, Unit::Count, "Number of segments of the log"),
        (SUBSCRIBERS, Unit::Count, "Number of callback subscribers"),
        (LARGEST_LAG, Unit::Count, "Number of events between the slowest cursor and the head"),
        (POISONED, Unit::Count, "Number of stores that refuse appends because a write failed"),
        (FULL, Unit::Count, "Number of stores whose last append found no space"),
        (CLOSED, Unit::Count, "Number of stores that were closed and still have handles"),
        (READ_ONLY, Unit::Count, "Number of stores that were opened read-only"),
    ] {
        describe_gauge!(name, unit, meaning);
    }
}
