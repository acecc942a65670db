//! For who writes a home of the log that one process writes to: the way of an append, and the index in memory.
//!
//! ```text
//!   Backend::append ─▶ Encoded::records ─▶ Committer ─▶ Home::{find_id, conflict, stage, commit} ─▶ HeadPublisher
//!   Backend::read   ─▶ Search::new ─▶ plan on a LiveIndex, or on what a Lookup of yours finds ─▶ offsets
//! ```
//! Memory, the Journal and RocksDB are made of these. A program that only uses a log needs none of them; neither does
//! a home that other processes write to as well, which settles offsets and conditions by itself.

pub use crate::commit::{Committer, Home};
pub use crate::encode::Encoded;
pub use crate::head::{HeadPublisher, Published};
pub use crate::index::{
    Kind, LiveIndex, LiveIndexWriter, LivePosting, Lookup, Plan, Posting, Search, SearchItem,
};
pub use crate::labels::EventNames;
pub use crate::name::{Hasher, Name};
pub use crate::process::Opener;
pub use crate::snapshot::check_series;
