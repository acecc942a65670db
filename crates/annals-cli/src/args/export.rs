//! The arguments of `annals export`.

use clap::Args;

use super::filter::Filter;
use super::values::whole_number;
use crate::store_path::StorePath;

/// Print events so that `annals import` restores them exactly
///
/// As JSON lines, an event has "time", "type", "tags", "data", "id" and "metadata". Data that is not JSON, or that has
/// white space between its tokens, is printed as `data_base64`, so that every byte is kept.
///
/// With --format csv, an event is a row. The columns are time, type, tags, id, metadata, and one for each field of the
/// data, with a JSON pointer as its title, such as /amount. Text that would read as a number, and text in quotes, keeps
/// its quotes, so that "7" and 7 stay different. Tags are separated by spaces. Data that does not fit columns (data
/// that is not an object, or has its fields in another order) is in a column data. The store is read twice, because the
/// columns must be known first.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals export my.store > events.jsonl
  annals export my.store --format csv > events.csv
  annals export my.store --since 2026-11-01 -t 'book:*' \
    | annals import other.store --keep-times"#)]
pub(crate) struct Export {
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

    #[command(flatten)]
    pub(crate) filter: Filter,
}
