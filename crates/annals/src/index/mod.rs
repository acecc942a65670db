//! Indexes: they find the events that have a type, a tag or an id.
//!
//! ```text
//!   Query ──hashed once──▶ Search ──plan(index)──▶ Plan ──next / previous──▶ offsets
//!                                     │
//!                  Lookup: a MemIndex (grows in memory) or a sealed index (a memory-mapped file)
//! ```
//! ```text
//!   lookup   the trait `Lookup`, and `Posting`, the offsets of a name
//!   memory   `MemIndex`, the in-memory index
//!   names    a table of names and their postings, the parts of a `MemIndex`
//!   plan     finds the events that match a query
//! ```
//! Offsets in an index take 4 bytes and are relative to the first event that the index covers. All lists of offsets
//! ("postings") ascend. Reading takes no lock.

pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod plan;
