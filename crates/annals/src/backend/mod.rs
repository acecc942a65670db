//! The seam between the face of the log and where the log lives, and what a backend to which one process writes is made
//! of: the commit path, the published head, the index in memory.
//!
//! ```text
//!   Backend::append ─▶ Encoded::records ─▶ Committer ─▶ CommitTarget::{find_id, conflict, stage, commit} ─▶ HeadPublisher
//!   Backend::read   ─▶ Search::new ─▶ plan on a MemIndex, or on what a Lookup of yours finds ─▶ offsets
//! ```
//! Memory, the Journal and RocksDB are made of these. A program that only uses a log needs none of them; neither does
//! a backend to which other processes write too, which decides offsets and conditions itself.

#[expect(clippy::module_inception, reason = "the file of the trait that the folder is named after")]
pub(crate) mod backend;
pub(crate) mod commit;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod head;
pub(crate) mod memory;
pub(crate) mod process;

pub use crate::event::labels::EventNames;
pub use crate::event::name::{Hasher, Name};
pub use crate::index::lookup::{Kind, Lookup, Posting};
pub use crate::index::memory::{MemIndex, MemIndexWriter};
pub use crate::index::names::MemPosting;
pub use crate::index::plan::{Plan, Search, SearchItem};
pub use crate::snapshot::series::check_series;
pub use commit::committer::Committer;
pub use commit::target::CommitTarget;
pub use encode::Encoded;
pub use head::callbacks::Published;
pub use head::publisher::HeadPublisher;
pub use process::Opener;
