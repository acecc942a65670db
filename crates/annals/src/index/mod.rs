//! The index: from a type, a tag or an id to the events that bear it.
//!
//! ```text
//!   Query ──hashed once──▶ Search ──plan(index)──▶ Plan ──next / previous──▶ offsets
//!                                     │
//!                  Lookup: MemIndex (growing, in memory) or a sealed one (mapped file)
//! ```
//! Offsets in here are relative to the first event that the index covers and take 4 bytes. All lists of offsets
//! ("postings") ascend. Reading takes no lock.

pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod plan;
