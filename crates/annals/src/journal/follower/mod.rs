//! Following a log that another process writes: a thread finds new whole frames, indexes them and moves the head.
//!
//! ```text
//!   steps        starts to follow, and takes one step (the thread is in `backend/follower`)
//!   watch        notices that the store was replaced or damaged
//!   segments     goes on in the next segment
//!   frames       takes new frames and publishes their events
//!   copied_tail  copies what the mapping must not be used for
//!   state        what a step works on
//! ```
//! The bytes of a segment and where readers get them from:
//!
//! ```text
//!   segment    │ frame, frame, … durable │ frame, … not known to be durable │ zeroes, or a frame that is being written
//!   lent from  │ the mapping             │ copies: the tail                 │
//! ```
//! New bytes are read through the file, never through the mapping. A writer that seals a segment cuts its file behind
//! the last frame, and a process must not touch mapped memory beyond a file's end. The writer may also withdraw a
//! commit whose sync failed. The mapping is therefore used only for frames that a later frame reports as durable, and
//! only once their bytes were seen there. All other frames are lent from copies.

mod copied_tail;
mod frames;
mod segments;
mod state;
pub(crate) mod steps;
mod watch;
