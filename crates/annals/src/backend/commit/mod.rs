//! The commit path: the way of an append through a backend that one process writes to.
//!
//! ```text
//!   append ─┐
//!   append ─┼▶ queue ─▶ the leader, one of the callers, takes the waiting batches
//!   submit ─┘              │
//!     └ no room: waits     └▶ admit each ─▶ CommitTarget::commit ─▶ publish ─▶ deliver the results
//!       outside the queue     id, condition,    one write,         callbacks,
//!                             offset            one sync           subscriptions
//! ```
//! While one commit is made durable, the next batches gather in the queue. No timer delays a commit, so a single writer
//! never waits for others. When a commit is done, its callers are woken by one call of the system, a bell that they
//! share, and one of those that wait becomes the leader. A caller of `submit` must not block, so a helper thread leads
//! in its place. (`LevelDB` and `RocksDB` use the same group commit with a leader.)
//!
//! ```text
//!   append      the two ways into the queue               group       one leadership: commits, completes, passes on
//!   committer   the queue, and whether appends are taken  admit       admits one batch to a commit
//!   target      the trait that the leader writes to       closing     closes the log
//!   room        the bound on asynchronous batches         submission  the future of a batch that found no room
//!   request     a batch in the queue                      completion  delivers the result to the caller
//!   host        the commit path for a handle of another type of events
//!   alone       the short way of one event for which no thread leads
//!   helper      the thread that leads for callers that must not block      clock   the time of a commit
//! ```

pub(crate) mod admit;
pub(crate) mod alone;
pub(crate) mod append;
pub(crate) mod clock;
pub(crate) mod closing;
pub(crate) mod committer;
pub(crate) mod completion;
pub(crate) mod group;
pub(crate) mod helper;
pub(crate) mod host;
pub(crate) mod request;
pub(crate) mod room;
pub(crate) mod submission;
pub(crate) mod target;
#[cfg(test)]
mod tests;
