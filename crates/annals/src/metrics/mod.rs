//! Measurements of a log while it is used: for `EventStore::stats`, and for the recorder of the crate `metrics`.
//!
//! ```text
//!   stats             the types that `EventStore::stats` and `segments` return
//!   meters            the measurements of one log
//!   cursors           the positions of a log's cursors, from which their lag follows
//!   cursor_position   the registered position of one cursor
//!   instruments       a counter, a gauge and a histogram that report to the recorder
//!   recorder          the recorder, or nothing without the feature `metrics`
//!   value_histogram   counts values for their quantiles, without a lock
//!   names             the names, units and descriptions of all metrics
//! ```

pub(crate) mod cursor_position;
pub(crate) mod cursors;
pub(crate) mod instruments;
pub(crate) mod meters;
pub(crate) mod names;
mod recorder;
pub(crate) mod stats;
pub(crate) mod value_histogram;
