//! The values of options that select events.
//!
//! ```text
//!   name_pattern   bike:17, or bike:* for all names with this beginning
//!   where_clause   /amount>100, a comparison of a value in the data
//!   moment         1h, 2026-11-01 or RFC 3339, a moment in time
//! ```

pub(crate) mod moment;
pub(crate) mod name_pattern;
pub(crate) mod where_clause;
