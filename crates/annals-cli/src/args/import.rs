//! The arguments of `annals import`.

use std::path::PathBuf;

use clap::Args;

use super::creation::Creation;
use super::values::{event_type, template};
use crate::store_path::StorePath;

/// Append the events that `annals export` or `annals read` printed, or the rows of a CSV file
///
/// The whole input is checked before anything is appended: if a line is wrong, nothing is imported. (Two events of
/// different types with one id are found among the first 1,800,000 ids. Beyond them, the lines before the second event
/// are imported.) Input from a pipe is kept in a temporary file meanwhile. An event whose id is in the store already is
/// not appended again, so an import of events with ids can be repeated. Input without events creates no store.
///
/// Without --keep-times the events are recorded now. With it they keep their times, which must not go back.
///
/// With --csv the first row has the titles of the columns. A file that `annals export --format csv` wrote needs no more
/// options. For other files, --type gives all rows a type, and every column becomes a text in the data, unless --number
/// names it; an empty cell gives no field. In --tag and --id, a column's title in braces stands for the row's value.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals import my.store events.jsonl --keep-times
  zcat events.jsonl.gz | annals import my.store
  annals import my.store events.csv --csv --keep-times
  annals import my.store trips.csv --csv --type trip-ended \
    --tag 'bike:{bike}' --id '{trip}' --number minutes --time ended_at"#)]
pub(crate) struct Import {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…; a path is created if nothing exists there
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The file to read [default: standard input]
    pub(crate) file: Option<PathBuf>,

    /// Record the events at the times that the input gives, instead of now
    #[arg(long)]
    pub(crate) keep_times: bool,

    /// Accept times that are more than a day ahead of the clock
    ///
    /// Later events then get no earlier time, until the clock has reached it.
    #[arg(long)]
    pub(crate) allow_future_times: bool,

    #[command(flatten)]
    pub(crate) creation: Creation,

    #[command(flatten)]
    pub(crate) csv: CsvOptions,
}

/// How a CSV file is read.
#[derive(Debug, Args)]
#[command(next_help_heading = "CSV")]
pub(crate) struct CsvOptions {
    /// The input is CSV in UTF-8
    #[arg(long)]
    pub(crate) csv: bool,

    /// The type of the events; every column is then a field of the data
    #[arg(short = 'T', long = "type", value_name = "TYPE", value_parser = event_type, requires = "csv")]
    pub(crate) event_type: Option<String>,

    /// A tag of the events, such as 'bike:{bike}'; can be repeated. A row without the value does not get the tag
    #[arg(short = 't', long = "tag", value_name = "TAG", value_parser = template, requires = "event_type")]
    pub(crate) tags: Vec<String>,

    /// The id of the events, such as '{trip}'
    #[arg(long = "id", value_name = "ID", value_parser = template, requires = "event_type")]
    pub(crate) id: Option<String>,

    /// The column with the events' times: dates, or times of RFC 3339, not numbers; implies --keep-times
    #[arg(long = "time", value_name = "COLUMN", requires = "event_type")]
    pub(crate) time: Option<String>,

    /// A column of numbers, which are stored as numbers and not as text; can be repeated
    #[arg(long = "number", value_name = "COLUMN", requires = "event_type")]
    pub(crate) numbers: Vec<String>,

    /// The character between cells, or `tab`
    #[arg(long, value_name = "CHARACTER", default_value = ",", requires = "csv")]
    #[arg(value_parser = super::values::delimiter)]
    pub(crate) delimiter: u8,
}
