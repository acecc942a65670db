//! One event as one line of JSON.
//!
//! ```text
//!   parse   a line to an event           fields  the line's fields, for serde
//!   write   an event to a line           data    an event's data: absent, JSON or bytes
//!   error   what is wrong with a line    json    removes and adds white space in JSON text
//!   time    times as text
//! ```

pub(crate) mod data;
pub(crate) mod error;
mod fields;
mod json;
pub(crate) mod parse;
pub(crate) mod time;
pub(crate) mod write;
