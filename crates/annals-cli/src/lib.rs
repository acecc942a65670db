//! The lines of JSON that the `annals` command reads and writes, one event per line.
//!
//! ```text
//!   {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}  ──parse_line──▶  RawEvent
//!   {"offset":0,"time":"2026-01-05T09:30:00.000Z","type":…}       ◀──write_line──  Recorded<RawEvent>
//!   {"time":"2026-01-05T09:30:00.000Z","type":…}      ◀──write_exported──  ──parse_exported──▶  RawEvent and its time
//! ```
//! They are a library so that tests and fuzz targets can call them directly.

#![forbid(unsafe_code)]

mod event_line;

pub use event_line::data::Data;
pub use event_line::error::{LineError, LineReason};
pub use event_line::parse::{parse_exported, parse_line};
pub use event_line::time::parse_time;
pub use event_line::write::{write_exported, write_line, write_pretty};
