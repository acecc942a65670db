//! Every number's name in the facade, with its unit and meaning: the table of docs/METRICS.md.
//!
//! Names follow Prometheus: the library, what it is, the unit, and `total` behind a count that only grows. Each has one
//! label, `backend`.

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

/// Tells the recorder, if there is one, what each name means.
pub(super) fn describe() {
    for (name, meaning) in [
        (COMMITS, "Commits: what a backend made durable at once"),
        (EVENTS, "Events appended"),
        (CONFLICTS, "Appends refused since their condition no longer held"),
        (APPEND_ERRORS, "Appends that failed or were refused for any other reason"),
        (READ_ERRORS, "Reads that failed"),
    ] {
        describe_counter!(name, Unit::Count, meaning);
    }
    for (name, unit, meaning) in [
        (APPEND, Unit::Seconds, "Appends, until the caller is answered"),
        (SYNC, Unit::Seconds, "Making a commit durable: the backend's write and sync in one"),
        (CONDITION, Unit::Seconds, "Conditions checked"),
        (SUBSCRIBER, Unit::Seconds, "Calls of callback subscribers"),
        (READ, Unit::Seconds, "Reads of one event by its offset"),
        (PAGE, Unit::Seconds, "Reads of a page of events, by an iterator or a cursor"),
        (COMMIT_EVENTS, Unit::Count, "Events a commit"),
        (LAG, Unit::Count, "Events in front of a cursor each time it fetched some"),
    ] {
        describe_histogram!(name, unit, meaning);
    }
    for (name, unit, meaning) in [
        (LOG_EVENTS, Unit::Count, "Events in the log"),
        (EVENT_BYTES, Unit::Bytes, "Bytes of the log's events in its backend"),
        (INDEX_BYTES, Unit::Bytes, "Bytes of indexes on disk"),
        (MEMORY_BYTES, Unit::Bytes, "Bytes of memory held for the log and its index"),
        (SEGMENTS, Unit::Count, "Segments of the log"),
        (SUBSCRIBERS, Unit::Count, "Callback subscribers"),
        (LARGEST_LAG, Unit::Count, "Events in front of the cursor that is the furthest behind"),
        (POISONED, Unit::Count, "Stores that take no appends since a write failed"),
        (FULL, Unit::Count, "Stores whose last append found no room"),
    ] {
        describe_gauge!(name, unit, meaning);
    }
}
