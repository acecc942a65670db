//! Which events a command is about: the filters of `read`, `tail`, `export` and `count`.
//!
//! ```text
//!   selected       all filters of a command line: a query for the index, and a check of each event that it finds
//!   lookup         reads by query, time and id
//!   no_match       why nothing was found
//! ```

pub(crate) mod lookup;
pub(crate) mod no_match;
pub(crate) mod selected;
