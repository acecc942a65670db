//! The way of an append, shared by all backends to which one process writes.
//!
//! ```text
//!   append ─┐
//!   append ─┼▶ queue ─▶ the leader takes all that wait ─▶ admit each ─▶ CommitTarget::commit ─▶ head published ─▶ answers
//!   submit ─┘            (one of the callers)             id, condition,  one write,      callbacks,
//!     └ no room: waits outside of the queue               offset          one sync        cursors
//! ```
//! While a commit is being made durable the next one gathers in the queue. There is no timer: a lone writer never waits
//! for company. The lead passes to the caller that has waited longest; for `submit`, whose caller must not block, to a
//! thread of the committer's own. (Group commit by a leader is how `LevelDB` and `RocksDB` do it.)
//!
//! ```text
//!   append      the ways into the queue                  group       one leadership: commits, answers, passes on
//!   committer   the queue, and whether appends are taken  admit       one batch before its commit
//!   target      the trait that the leader writes to       closing     the end
//!   room        asynchronous batches that find no room    submission  the future of such a batch
//!   request     a batch in the queue                      ticket      how its caller waits
//!   helper      the thread that leads for callers that must not block      clock   the time of a commit
//! ```

pub(crate) mod admit;
pub(crate) mod append;
pub(crate) mod clock;
pub(crate) mod closing;
pub(crate) mod committer;
pub(crate) mod group;
pub(crate) mod helper;
pub(crate) mod request;
pub(crate) mod room;
pub(crate) mod submission;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod ticket;
