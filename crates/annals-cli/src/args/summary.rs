//! The arguments of `annals stats`, `annals tags` and `annals types`.

use clap::{Args, ValueEnum};

use super::values::whole_number;
use crate::store_path::StorePath;

/// Print the size of a store: its events, bytes, files, types and tags
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals stats my.store\n  annals stats my.store --format jsonl"
)]
pub(crate) struct Stats {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,
}

/// Print the tags in a store with their numbers of events
///
/// With --by prefix, each row is for all tags that begin alike, up to and with the first colon.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals tags my.store
  annals tags my.store --prefix book: --sort count -n 20
  annals tags my.store --by prefix"#)]
pub(crate) struct Tags {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// Only tags that begin with this text
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Print one row for each beginning of tags, with the number of its tags
    #[arg(long, value_enum, value_name = "GROUP")]
    pub(crate) by: Option<TagGroup>,

    #[command(flatten)]
    pub(crate) rows: Rows,
}

/// What a row of `annals tags` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TagGroup {
    /// All tags that begin alike, up to and with the first colon
    Prefix,
}

/// The order and the number of rows.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Rows {
    /// The order of the rows
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Sort::Name)]
    pub(crate) sort: Sort,

    /// The maximum number of rows
    #[arg(short = 'n', long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
}

/// An order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name
    Name,
    /// The most events first
    Count,
}

/// Print the event types in a store with their numbers of events
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals types my.store\n  annals types my.store --sort count -n 5"
)]
pub(crate) struct Types {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    #[command(flatten)]
    pub(crate) rows: Rows,
}
