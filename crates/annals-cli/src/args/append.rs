//! The arguments of `annals append`.

use clap::{Args, ValueEnum};

use super::values::{batch_size, tag};
use crate::store_path::StorePath;

/// Append events from standard input, one JSON object per line
///
/// A line is {"type": string, "tags"?: [string], "data"?: any JSON, "id"?: string, "metadata"?: object of strings}.
/// Fields marked with ? are optional. Unknown fields are errors. "data" is stored byte for byte, except for white space
/// between JSON tokens. For data that is not JSON, use `data_base64` in place of "data". A line has at most 64 MiB;
/// blank lines are skipped.
///
/// Lines are appended in batches. A batch is appended completely or not at all. It ends after --batch lines, after
/// about 8 MiB, or when no more input is available at the moment: lines that are typed by hand become durable one by
/// one. When a batch is durable, its first and last offset are printed: {"first":A,"last":B}. At the end a total is
/// printed: {"appended":N,"first":A,"last":B}.
///
/// An invalid line ends the command; the error states its line number, its column and the reason. Batches that were
/// already reported stay in the store. Of the batch with the invalid line, nothing is appended. If an error ends the
/// command before any event is appended, no store is created.
///
/// An event whose "id" is already in the store, or on an earlier line, is not appended again; its report contains
/// "already". So the same input can be appended again, after a crash for example, and only events without an "id" are
/// then duplicated. If only some events of a batch are already in the store, the batch is appended and reported in
/// parts. If an event of another type has the id, the command fails, and the lines before that line are appended.
///
/// If the reader of the reports stops reading, appending continues. If reports cannot be written, to a full disk for
/// example, the command prints a warning, appends all input, and exits with 1.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals append my.store < events.jsonl
  zcat events.jsonl.gz | annals append my.store --batch 10000
  tail -f app.log.jsonl | annals append my.store
  echo '{"type":"seat-sold","tags":["seat:12A"]}' | annals append my.store --if-none seat:12A"#)]
pub(crate) struct Append {
    /// The store: PATH or rocksdb:PATH; created if nothing exists there
    pub(crate) store: StorePath,

    /// The maximum number of lines per batch (1 to 65536)
    #[arg(long, value_name = "N", default_value_t = 1000, hide_default_value = false)]
    #[arg(value_parser = batch_size, allow_negative_numbers = true)]
    pub(crate) batch: usize,

    /// When a batch counts as appended
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    pub(crate) durability: Durability,

    /// Append only if no event in the store has this tag or type; if repeated, any of these
    ///
    /// The check and the append are one atomic step, even if other threads or processes append. The whole input is
    /// one batch, appended completely or not at all, however slowly it arrives: at most 65536 events and 32 MiB. If
    /// an event has the tag or type, its offset is printed and the exit code is 1.
    #[arg(long, value_name = "TAG_OR_TYPE", conflicts_with = "batch", value_parser = tag)]
    pub(crate) if_none: Vec<String>,
}

/// When a batch counts as appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// When it is on the disk: it survives a power failure
    Sync,
    /// When the operating system has it: it survives the end of the process; everything is synced to the disk at the
    /// end
    Buffered,
}
