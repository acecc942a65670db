//! The arguments of `annals read`, `annals tail` and `annals get`.

use std::str::FromStr;

use clap::Args;

use super::values::{event_type, tag, whole_number};
use crate::store_path::StorePath;

/// Print events, oldest first
///
/// Each line has "offset" and "time", then the fields that `annals append` takes. Data that is not JSON is printed as
/// `data_base64`. Events that are appended after this command started are not printed; use `annals tail` to follow the
/// store.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals read my.store
  annals read my.store --tag book:17 --type book-lent --type book-returned
  annals read my.store --reverse --limit 10
  annals read my.store --from 1000 --to 2000 > events.jsonl"#)]
pub(crate) struct Read {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,

    /// The first offset
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) from: u64,

    /// The end: only events before this offset [default: the end of the log]
    #[arg(long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) to: Option<u64>,

    #[command(flatten)]
    pub(crate) filter: Filter,

    /// Print the newest event first
    #[arg(long)]
    pub(crate) reverse: bool,

    /// The maximum number of events
    #[arg(long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
}

/// Which events are printed.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only events of this type; if repeated, events of any of these types
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    pub(crate) types: Vec<String>,

    /// Only events with this tag; if repeated, events with all of these tags
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    pub(crate) tags: Vec<String>,
}

/// Print the last events, then each new event as it is appended
///
/// It follows the store while another process appends to it. An event may be printed shortly before it is safe from a
/// power failure. Ctrl-C or SIGTERM ends the command with exit code 0. If the reader of the events closes the pipe, the
/// command ends quietly at the next event that it would print, not at once.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals tail my.store
  annals tail my.store --from end --tag book:17
  annals tail my.store --from 0 | my-program"#)]
pub(crate) struct Tail {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,

    /// The first offset; `end` prints only events appended from now on [default: the last 10 events]
    #[arg(long, value_name = "N|end", allow_negative_numbers = true)]
    pub(crate) from: Option<From>,

    #[command(flatten)]
    pub(crate) filter: Filter,
}

/// The first event that `annals tail` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Offset(u64),
    End,
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "end" {
            return Ok(Self::End);
        }
        whole_number(text).map(Self::Offset).map_err(|expected| format!("{expected}, or `end`"))
    }
}

/// Print one event, as indented JSON
///
/// If the store has no event at this offset, the exit code is 1. With --format jsonl the event is printed on one line.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals get my.store 7")]
pub(crate) struct Get {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,

    /// The event's offset
    #[arg(value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) offset: u64,
}
