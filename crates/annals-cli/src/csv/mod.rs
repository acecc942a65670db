//! Comma-separated values: RFC 4180, read strictly.
//!
//! ```text
//!   reader    rows of cells, with the line and column of each; broken quotes are errors
//!   writer    quotes cells where they need it
//!   cell      a JSON value as a cell           fields  the fields of an event's data
//!   titles    the columns of an export        rows    an event as a row
//!   template  'bike:{bike}', filled from a row's cells
//! ```
//! The crate `csv` accepts broken quotes and does not tell where a cell began, so reading is done here.

pub(crate) mod cell;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod reader;
pub(crate) mod rows;
pub(crate) mod template;
pub(crate) mod titles;
pub(crate) mod writer;
