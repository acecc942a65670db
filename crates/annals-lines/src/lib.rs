//! Events as lines of JSON, one event per line, as the command `annals` and the server read and write them.
//!
//! ```text
//!   {"type":"seat-sold","tags":["seat:12A"],"data":{"price":90}}  ──parse_line──▶  RawEvent
//!   {"offset":0,"time":"2026-01-05T09:30:00.000Z","type":…}       ◀──write_line──  Recorded<RawEvent>
//!   {"time":"2026-01-05T09:30:00.000Z","type":…}      ◀──write_exported──  ──parse_exported──▶  RawEvent and its time
//! ```
//! `data` holds the data of an event in a line, `fields` the fields that a line may have, `json` finds tokens, `error`
//! says what is wrong, and `time` is about times as text.

#![forbid(unsafe_code)]

mod data;
mod error;
mod fields;
mod json;
mod parse;
mod time;
mod write;

pub use data::Data;
pub use error::{LineError, LineReason};
pub use parse::{parse_exported, parse_line};
pub use time::{TimeError, parse_time, time_of_number};
pub use write::{write_exported, write_line, write_pretty};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
