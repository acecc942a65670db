//! The arguments of `annals stats`, `annals tags` and `annals types`.

use clap::Args;

use crate::store_path::StorePath;

/// Print the size of a store: its events, bytes, files, types and tags
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals stats my.store\n  annals stats my.store --format jsonl"
)]
pub(crate) struct Stats {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,
}

/// Print the tags in a store with their numbers of events, sorted by name
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  annals tags my.store\n  annals tags my.store --prefix book:")]
pub(crate) struct Tags {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,

    /// Only tags that begin with this text
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
}

/// Print the event types in a store with their numbers of events, sorted by name
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals types my.store")]
pub(crate) struct Types {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: StorePath,
}
