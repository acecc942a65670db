//! The index: from a type, a tag or an id to the events that bear it.
//!
//! ```text
//!   Query ──hashed once──▶ Search ──plan(index)──▶ Plan ──next / previous──▶ offsets
//!                                     │
//!                  Lookup: LiveIndex (growing, in memory) or a sealed one (mapped file)
//! ```
//! Offsets in here are relative to the first event that the index covers and take 4 bytes. All lists of offsets
//! ("postings") ascend. Reading takes no lock.

mod live;
mod lookup;
mod names;
mod plan;

pub use live::{LiveIndex, LiveIndexWriter};
pub use lookup::{Kind, Lookup, Posting};
pub use names::LivePosting;
pub(crate) use names::{Names, Totals};
pub use plan::{Plan, Search, SearchItem};
