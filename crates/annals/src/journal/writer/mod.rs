//! The writing side of a Journal: frames are built in memory, written one behind the other, synced, and only then
//! published.
//!
//! ```text
//!   target    the commit path's calls
//!   segments  seals a full segment and begins the next
//!   staged    builds frames, writes them, and erases them when writing fails
//!   allocation  allocates room ahead of the frames
//!   ahead     the thread beside the log that makes this room between commits
//!   state     what the writer holds
//!
//!   active segment   │ head │ frame │ frame │ … │▒▒ being written ▒▒│ zeroes, allocated room │ a hole … │
//!                                               ▲ end               ▲                        ▲ ready
//! ```
//! Room is allocated ahead of the frames, so that a full disk shows before anything is written. For small commits it is
//! filled with zeroes: a sync then has only data to write, no allocation. When half of it is used, a thread beside the
//! log makes more, so that a commit seldom waits for room.

mod ahead;
mod allocation;
mod segments;
mod staged;
pub(crate) mod state;
mod target;
