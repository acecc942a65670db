//! The arguments of `annals append`.

use clap::{Args, ValueEnum};

use super::creation::Creation;
use super::values::{batch_size, event_type, id, metadata, tag};
use crate::store_path::StorePath;

/// Append events: one that the options describe, or those of standard input, one JSON object per line
///
/// With --type the options describe one event, and standard input is not read unless --data is @-.
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
/// After Ctrl-C, the command ends with the total of what is appended, and states the line to continue with. A second
/// Ctrl-C ends it at once.
///
/// If the reader of the reports stops reading, appending continues. If reports cannot be written, to a full disk for
/// example, the command prints a warning, appends all input, and exits with 1.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals append my.store < events.jsonl
  annals append my.store --type book-lent --tag book:17 --data '{"days":28}'
  annals append my.store --type scan --data @scan.png
  zcat events.jsonl.gz | annals append my.store --batch 10000
  annals read other.store | annals append my.store --reread
  tail -f app.log.jsonl | annals append my.store --wait=10s
  echo '{"type":"seat-sold","tags":["seat:12A"]}' \
    | annals append my.store --if-none seat:12A"#)]
pub(crate) struct Append {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…; a path is created if nothing exists there
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
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

    /// Accept lines that `annals read` or `annals export` printed; their offsets and times are ignored
    ///
    /// The events are recorded now. To keep their times, use `annals import --keep-times`.
    #[arg(long)]
    pub(crate) reread: bool,

    #[command(flatten)]
    pub(crate) creation: Creation,

    #[command(flatten)]
    pub(crate) event: OneEvent,
}

/// An event on the command line.
#[derive(Debug, Args)]
#[command(next_help_heading = "One event")]
pub(crate) struct OneEvent {
    /// The type of the event to append
    #[arg(short = 'T', long = "type", value_name = "TYPE", value_parser = event_type)]
    #[arg(conflicts_with_all = ["batch", "reread"])]
    pub(crate) event_type: Option<String>,

    /// A tag of the event; can be repeated
    #[arg(short = 't', long = "tag", value_name = "TAG", value_parser = tag, requires = "event_type")]
    pub(crate) tags: Vec<String>,

    /// Its data: JSON; or @FILE for the bytes of a file, whatever they are, and @- for those of standard input
    #[arg(
        short = 'd',
        long,
        value_name = "JSON|@FILE",
        requires = "event_type",
        allow_hyphen_values = true
    )]
    pub(crate) data: Option<String>,

    /// Its id: an event whose id is in the store is not appended again
    #[arg(long, value_name = "ID", value_parser = id, requires = "event_type")]
    pub(crate) id: Option<String>,

    /// A name and a text for its metadata; can be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = metadata, requires = "event_type")]
    pub(crate) metadata: Vec<(String, String)>,
}

impl From<Durability> for annals::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Sync => Self::Sync,
            Durability::Buffered => Self::Buffered,
        }
    }
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
