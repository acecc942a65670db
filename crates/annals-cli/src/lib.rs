//! Events as lines of JSON: what the `annals` command takes and gives, one event a line.
//!
//! ```text
//!   {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}  ──parse_line──▶  RawEvent
//!   {"offset":0,"time":"2026-01-05T09:30:00.000Z","type":…}       ◀──write_line──  Recorded<RawEvent>
//! ```
//! It is a library so that tests and fuzzing reach it without the command.

#![forbid(unsafe_code)]

mod data;
mod fields;
mod input;
mod json;
mod line_error;
mod output;

pub use data::Data;
pub use input::parse_line;
pub use line_error::{LineError, LineReason};
pub use output::{write_line, write_pretty};
