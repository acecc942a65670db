//! The ground floor of *annals*: a list whose items never move, a number that tasks and threads wait for, the
//! line of a group commit, and a read-only mapping of a file.
//! Everything in the project that needs `unsafe` is here; whatever stands on it forbids it.
//!
//! ```text
//!   list, iter        the face: safe code only
//!   writer, shared    the publication protocol: who may write where, and when readers may look
//!   segment, place    memory for the items, and which item is where in it
//!   watched           a number that only grows, and what sleeps until it does
//!   line              requests that one thread at a time leads
//!   mapped            the mapped file, on its own
//!   process_id        the number of this process, also after a fork
//! ```
//!
//! # Examples
//!
//! ```
//! let (mut writer, list) = annals_base::segmented_list();
//! writer.push("opened");
//! let first = list.get(0).expect("published");
//!
//! // A reference stays good while the list grows, and readers may be in other threads.
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         for _ in 0..10_000 {
//!             writer.push("signed");
//!         }
//!     });
//!     // Whatever the length says, everything below it is there.
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

mod iter;
mod line;
mod list;
mod mapped;
mod place;
mod process_id;
mod segment;
mod shared;
mod sync;
mod watched;
mod writeback;
mod writer;

pub use iter::{Iter, Slices};
pub use line::{Line, LineGuard, LineState, Ticket, Told};
pub use list::SegmentedList;
pub use mapped::MappedFile;
pub use process_id::process_id;
pub use watched::{Sleeper, Watched};
pub use writeback::start_writeback;
pub use writer::{ListWriter, segmented_list};
