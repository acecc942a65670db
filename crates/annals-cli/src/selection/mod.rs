//! Which events a command is about: the filters of `read`, `tail`, `export` and `count`.
//!
//! ```text
//!   name_pattern   bike:17, or bike:* for all names with this beginning
//!   where_clause   /amount>100, a comparison of a value in the data
//!   moment         1h, 2026-11-01 or RFC 3339, a moment in time
//!   selected       all filters of a command line: a query for the index, and a check of each event that it finds
//!   lookup         reads by query, time and id
//!   no_match       why nothing was found
//! ```

pub(crate) mod lookup;
pub(crate) mod moment;
pub(crate) mod name_pattern;
pub(crate) mod no_match;
pub(crate) mod selected;
pub(crate) mod where_clause;
