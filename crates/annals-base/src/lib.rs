//! The lowest layer of *annals*: a list whose items never move, a number that tasks and threads wait for, the queue of
//! a group commit, and a read-only mapping of a file.
//!
//! Except for one file of `annals`, all `unsafe` code of the project is here. The other crates forbid it.
//!
//! ```text
//!   list, iter        the public list: safe code only
//!   writer, shared    the publication protocol between the writer and the readers
//!   shared_ref        references that keep their owner alive
//!   segment, slot     memory for the items, and the position of an item in it
//!   prefault          memory for a large segment ahead of the writer, by a thread
//!   prefetch          hints to the processor that memory is used soon
//!   watched           a number that only grows, and the tasks and threads that wait for it
//!   leader_queue      the queue of a group commit, and its target: one thread at a time leads
//!   waiter            the wait of one of its requests for the result
//!   mapped            the mapped file
//!   writeback         an early start of the write of a file to the disk
//!   process_id        the id of this process, also after a fork
//!   sha256            the hashes of two or sixteen messages at once
//!   locks             the locks of std without poisoning
//!   sync              atomics, locks and threads: the real ones, or loom's
//! ```
//!
//! # Examples
//!
//! ```
//! let (mut writer, list) = annals_base::segmented_list();
//! writer.push("opened");
//! let first = list.get(0).expect("published");
//!
//! // A reference stays valid while the list grows, and readers may be in other threads.
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         for _ in 0..10_000 {
//!             writer.push("signed");
//!         }
//!     });
//!     // All items below the length are published.
//!     let len = list.len();
//!     assert_eq!(list.iter().take(len).count(), len);
//! });
//! assert_eq!(*first, "opened");
//! assert_eq!(list.len(), 10_001);
//!
//! // A batch becomes visible at once, or never.
//! writer.stage("closing");
//! writer.stage("closed");
//! assert_eq!(list.last(), Some(&"signed"));
//! writer.publish();
//! assert_eq!(list.range(10_001..).copied().collect::<Vec<_>>(), ["closing", "closed"]);
//! ```

mod bell;
mod iter;
mod leader_queue;
mod list;
mod locks;
#[cfg(feature = "mapped")]
mod mapped;
mod ms_clock;
mod prefault;
mod prefetch;
mod process_id;
mod segment;
mod sha256;
mod shared;
mod shared_ref;
mod slot;
mod sync;
mod waiter;
mod watched;
mod writeback;
mod writer;

pub use bell::Bell;
pub use iter::{Iter, Slices};
pub use leader_queue::{LeaderQueue, LeaderQueueGuard, LeaderQueueState, TargetGuard};
pub use list::SegmentedList;
pub use locks::{Condvar, Mutex};
#[cfg(feature = "mapped")]
pub use mapped::MappedFile;
pub use ms_clock::MsClock;
pub use prefetch::prefetch;
pub use process_id::process_id;
pub use sha256::{SHA256_INITIAL, SHA256_LANES, sha256_compress_sixteen, sha256_compress_two};
pub use shared_ref::{Keeper, SharedRef, keep};
pub use sync::this_thread;
pub use waiter::Waiter;
pub use watched::{Sleeper, Watched};
pub use writeback::start_writeback;
pub use writer::{ListWriter, segmented_list};
