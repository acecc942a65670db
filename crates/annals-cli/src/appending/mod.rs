//! Appends batches of lines, and reports them.
//!
//! ```text
//!   pending   the events of the next batch, without those that repeat an id
//!   writer    appends a batch; what the store has already is told apart from what is new
//! ```

pub(crate) mod pending;
pub(crate) mod writer;
