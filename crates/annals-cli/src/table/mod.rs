//! Events as tables, for people.
//!
//! ```text
//!   rows      a row for each event
//!   layout    the widths of a row's columns
//!   vertical  a line for each field of an event
//!   text      what of a text fits a column
//! ```

mod layout;
pub(crate) mod rows;
pub(crate) mod text;
pub(crate) mod vertical;
