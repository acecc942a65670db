//! Histories of several processes that write to one record on three servers, while servers and processes are killed and
//! paused. The history checker of `annals-replicated` judges them.
//!
//! ```text
//!   notes     what a process writes down about its calls, and the history that comes of it
//!   process   a process that appends
//!   world     the servers and the processes, and what befalls them
//!   tests     the tests
//! ```

mod notes;
mod process;
mod tests;
mod world;
