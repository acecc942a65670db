//! The arguments of `annals read`, `annals tail` and `annals get`.

use std::str::FromStr;

use clap::Args;

use super::filter::Filter;
use super::values::{id, whole_number};
use crate::store_path::{self, StorePath};

/// Print events, oldest first
///
/// Each line has "offset" and "time", then the fields that `annals append` takes. Data that is not JSON is printed as
/// `data_base64`. Events that are appended after this command started are not printed; use `annals tail` to follow the
/// store. `annals export` prints lines that `annals import` takes.
///
/// The table for people has a line for each day, the times of that day, and the columns that fit the terminal. With
/// --wide nothing is cut; with --vertical every field has a line of its own. If no event matches, a note on standard
/// error says so, and the exit code is 0.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals read my.store
  annals read my.store -t book:17 -T book-lent -T book-returned
  annals read my.store --reverse -n 10
  annals read my.store --since 1h --not-tag 'test:*'
  annals read my.store --where '/days>14' --vertical
  annals read my.store --from 1000 --to 2000 > events.jsonl"#)]
pub(crate) struct Read {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The first offset
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) from: u64,

    /// The end: only events before this offset [default: the end of the log]
    #[arg(long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) to: Option<u64>,

    /// Print the newest event first
    #[arg(short, long)]
    pub(crate) reverse: bool,

    /// The maximum number of events
    #[arg(short = 'n', long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,

    #[command(flatten)]
    pub(crate) view: View,

    #[command(flatten)]
    pub(crate) filter: Filter,
}

/// The form of the table.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct View {
    /// Print the table with whole times, ids, and values that are not cut
    #[arg(short, long, conflicts_with = "vertical")]
    pub(crate) wide: bool,

    /// Print every field of an event on a line of its own
    #[arg(long)]
    pub(crate) vertical: bool,
}

/// Print the last events, then each new event as it is appended
///
/// It follows the store while another process appends to it. An event may be printed shortly before it is safe from a
/// power failure. Ctrl-C or SIGTERM ends the command with exit code 0, and so does the time of --until. If the reader
/// of the events closes the pipe, the command ends quietly at the next event that it would print, not at once.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals tail my.store
  annals tail my.store -n 50 -t 'book:*'
  annals tail my.store --from end --tag book:17
  annals tail my.store --since 1h
  annals tail my.store --from 0 | my-program"#)]
pub(crate) struct Tail {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The number of events to begin with, before the new ones [default: 10]
    #[arg(short = 'n', long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["from", "since"])]
    pub(crate) limit: Option<u64>,

    /// The first offset; `end` prints only events appended from now on [default: the last 10 events]
    #[arg(long, value_name = "N|end", allow_negative_numbers = true)]
    pub(crate) from: Option<From>,

    #[command(flatten)]
    pub(crate) view: View,

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

/// Print some events, as indented JSON
///
/// If the store does not have one of them, nothing is printed and the exit code is 1. With --format jsonl each event is
/// printed on one line.
#[derive(Debug, Args)]
#[command(
    override_usage = "annals get [OPTIONS] <STORE> <OFFSET>...\n       annals get [OPTIONS] <STORE> --id <ID>"
)]
#[command(after_help = r#"Examples:
  annals get my.store 7
  annals get my.store 3 4 -f jsonl
  annals get my.store --id order-17"#)]
pub(crate) struct Get {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://… [env: `ANNALS_STORE`]
    ///
    /// If the variable `ANNALS_STORE` names the store, a number is an offset. A store whose name is a number is then
    /// given as ./NUMBER.
    pub(crate) store: Option<String>,

    /// The events' offsets
    #[arg(value_name = "OFFSET", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) offsets: Vec<u64>,

    /// The id of an event; can be repeated
    #[arg(long = "id", value_name = "ID", value_parser = id)]
    pub(crate) ids: Vec<String>,

    /// The store and the offsets, once they are resolved.
    #[arg(skip)]
    pub(crate) resolved: Option<(StorePath, Vec<u64>)>,
}

impl Get {
    /// Finds the store and the offsets. A number in the place of the store is an offset if the environment names the
    /// store.
    pub(super) fn resolve(&mut self) -> Result<(), String> {
        let from_environment = store_path::from_environment()?;
        let (store, offsets) = match (&self.store, from_environment) {
            (None, Some(store)) => (store, Vec::new()),
            (Some(text), Some(store)) if text.parse::<u64>().is_ok() => {
                (store, text.parse().into_iter().collect())
            }
            (Some(text), _) => (StorePath::parse(text.as_ref())?, Vec::new()),
            (None, None) => {
                return Err("no store was given; give its path, or set ANNALS_STORE".to_owned());
            }
        };
        let offsets = [offsets, self.offsets.clone()].concat();
        if offsets.is_empty() && self.ids.is_empty() {
            return Err("no event was given; give its OFFSET, or --id ID".to_owned());
        }
        self.resolved = Some((store, offsets));
        Ok(())
    }
}
