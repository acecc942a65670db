//! The arguments of `annals count`.

use clap::{Args, ValueEnum};

use super::filter::Filter;
use super::values::whole_number;
use crate::store_path::StorePath;

/// Count events, in total or by type, tag or time
///
/// On a terminal, each row has a bar.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals count my.store
  annals count my.store --by type
  annals count my.store --by day --since 2weeks -t 'book:*'
  annals count my.store --by tag-prefix -f jsonl"#)]
pub(crate) struct Count {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// What each row counts [default: one total]
    #[arg(long, value_enum, value_name = "GROUP")]
    pub(crate) by: Option<By>,

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

/// What a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The events of a type, the most first
    Type,
    /// The events with a tag that begins like this, up to and with the first colon, the most first
    TagPrefix,
    /// The events of a day in UTC, in order; days without events too
    Day,
    /// The events of an hour in UTC, in order; hours without events between two others are left out
    Hour,
}
