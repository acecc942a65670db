//! What is measured of a log while it is used: for `EventStore::stats`, and for the recorder of the crate `metrics`.
//!
//! ```text
//!   stats             what `EventStore::stats` and `segments` return
//!   meters            the numbers of one log, and how they are counted
//!   cursors           how far the cursors of a log lag behind its head; cursor_position is one of them
//!   instruments       a counter, a gauge and a histogram that also tell the recorder
//!   value_histogram   counts values for their quantiles, without a lock
//!   names             the names, units and descriptions that the recorder gets
//! ```

pub(crate) mod cursor_position;
pub(crate) mod cursors;
pub(crate) mod instruments;
pub(crate) mod meters;
pub(crate) mod names;
pub(crate) mod stats;
pub(crate) mod value_histogram;
