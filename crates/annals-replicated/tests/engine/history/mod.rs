//! Histories of several processes that write to one record, while servers and processes are killed and paused. The
//! history checker of `annals-replicated` judges them. The tests of all engines use these files. A test program that
//! does has a function `connect` at its root, which connects to the record at a URL, with a time limit of 3 s.
//!
//! ```text
//!   notes     what a process writes down about its calls, and the history that comes of it
//!   process   a process that appends
//!   world     the processes, and what befalls them
//!   report    what came of a run
//! ```

mod notes;
mod process;
pub(crate) mod report;
pub(crate) mod world;
