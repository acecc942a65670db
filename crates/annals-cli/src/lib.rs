//! The lines of JSON that the `annals` command reads and writes, one event per line.
//!
//! ```text
//!   {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}  ──parse_line──▶  RawEvent
//!   {"offset":0,"time":"2026-01-05T09:30:00.000Z","type":…}       ◀──write_line──  Recorded<RawEvent>
//!   {"time":"2026-01-05T09:30:00.000Z","type":…}      ◀──write_exported──  ──parse_exported──▶  RawEvent and its time
//! ```
//! They are in the crate `annals-lines`, which the server uses too. This library has them under their old path, for
//! tests and fuzz targets.

#![forbid(unsafe_code)]

pub use annals_lines::{
    Data, LineError, LineReason, TimeError, parse_exported, parse_line, parse_time, time_of_number,
    write_exported, write_line, write_pretty,
};
