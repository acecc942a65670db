//! The backend: the place where a log lives, behind one trait. And the parts from which the author of a backend builds
//! it.
//!
//! ```text
//!   Backend::append ─▶ Encoded::records ─▶ Committer ─▶ CommitTarget::{find_id, conflict, stage, commit}
//!                                                  └──▶ HeadPublisher::publish
//!   Backend::read   ─▶ Search::new ─▶ a plan over a MemIndex, or over the backend's own Lookup ─▶ offsets
//! ```
//! Memory, the Journal and RocksDB are built from these parts. A program that only uses a log needs none of them. A
//! backend that stores encoded events, and that one process writes while others follow it, begins with a [`LogAccess`]:
//! it has the `Committer` of the writer and the `Follower` of the others. A backend that other processes write to as
//! well does not use the commit path: it assigns offsets and checks conditions itself. Such a backend may keep a copy
//! of the log in a [`JournalReplica`](crate::JournalReplica), and read from it.
//!
//! ```text
//!   backend   the trait                             memory    the backend in memory
//!   head/     the published head, callbacks         commit/   the commit path
//!   encode    checks and encodes a batch            decode    decodes a stored event
//!   follower  the thread of a reading process      process   detects a forked process
//!   access    the role of a process: it writes the log, or follows it
//!   batch     a batch, and what its append returns   pointer   a pointer to a backend is a backend
//!   memory_target  its side that commits write to
//!   one_event the labels of an event that is appended without a batch
//!   beside    where other crates store what belongs to a log
//!   example.md  a backend made of these parts, for the documentation
//! ```
#![doc = include_str!("example.md")]

pub(crate) mod access;
#[expect(clippy::module_inception, reason = "the file of the trait that the folder is named after")]
pub(crate) mod backend;
pub(crate) mod batch;
pub(crate) mod beside;
pub(crate) mod commit;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod follower;
pub(crate) mod head;
pub(crate) mod health;
pub(crate) mod memory;
mod memory_target;
mod one_event;
mod pointer;
pub(crate) mod process;

pub use crate::event::labels::EventNames;
pub use crate::event::name::{Hasher, Name};
pub use crate::index::lookup::{Kind, Lookup, Posting};
pub use crate::index::memory::{MemIndex, MemIndexWriter};
pub use crate::index::names::MemPosting;
pub use crate::index::plan::{Plan, Search, SearchItem};
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use crate::snapshot::series_name::check_series;
pub use access::LogAccess;
pub use beside::{Beside, BesideValues};
pub use commit::committer::Committer;
pub use commit::target::CommitTarget;
pub use encode::Encoded;
pub use follower::{FollowStep, FollowStop, Follower};
pub use head::callbacks::Published;
pub use head::publisher::{AppendTimer, HeadPublisher};
pub use process::Opener;
