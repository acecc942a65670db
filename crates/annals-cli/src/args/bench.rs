//! The arguments of `annals bench`.

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser, ValueParserFactory};

use super::values::{batch_size, payload_bytes, seconds, writer_count};
use crate::store_path::StorePath;

/// Measure how fast annals is on this machine and this disk, in about ten seconds
///
/// Without a STORE, two logs are measured: one in memory, and one in files in the current directory. A log in files is
/// compared with a plain file on the same disk, which gets the same bytes and is synced as often. The plain file grows
/// with each write; no space is reserved for it.
///
/// The column "of disk" is the log's rate in events per second, divided by that of the plain file. For bulk and append
/// with one writer, log and plain file are measured in turn, five times, and the column is the median of the five
/// ratios. For append with several writers and for append-if, it is the log's rate divided by the median rate of the
/// plain file in append with one writer. All other columns are over all turns.
///
/// The bench writes only to its own directory and removes it at the end, also after Ctrl-C and errors. It never writes
/// to an existing store.
#[derive(Debug, Args)]
#[command(
    after_help = r#"These tests are run; results are in events per second and microseconds per call:
  bulk       batches of --batch events, each synced           scan  all events, in order
  append     one event, synced; also with several writers     get   one event, at a random offset
  append-if  one event, if no event in the log has its tag    tag   the 10 events of a tag

Examples:
  annals bench
  annals bench /mnt/disk/new-directory --seconds 30
  annals bench memory: --payload 100 --format jsonl"#
)]
pub(crate) struct Bench {
    /// An empty directory, or a path where nothing exists yet: PATH or rocksdb:PATH; or `memory:` for a log in memory
    pub(crate) store: Option<BenchStore>,

    /// The total time of all measurements, in seconds (0.01 to 3600)
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    #[arg(value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) seconds: f64,

    /// The approximate maximum number of events in bulk (1 to 10000000)
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000), allow_negative_numbers = true)]
    pub(crate) events: u64,

    /// The payload of each event, in bytes (0 to 1048576)
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    #[arg(value_parser = payload_bytes, allow_negative_numbers = true)]
    pub(crate) payload: usize,

    /// The numbers of concurrent writers to measure, in addition to a single writer (2 to 256, comma-separated)
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "16")]
    #[arg(value_parser = writer_count, allow_negative_numbers = true)]
    pub(crate) writers: Vec<usize>,

    /// The number of events per batch in bulk (1 to 65536)
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = batch_size, allow_negative_numbers = true)]
    pub(crate) batch: usize,

    /// Keep the measured log, as STORE/log
    #[arg(long, requires = "store")]
    pub(crate) keep: bool,
}

/// The store that is measured.
#[derive(Debug, Clone)]
pub(crate) enum BenchStore {
    Memory,
    OnDisk(StorePath),
}

impl ValueParserFactory for BenchStore {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        let parse = |argument: std::ffi::OsString| match argument.to_str() {
            Some("memory:") => Ok(Self::Memory),
            _ => StorePath::parse(&argument).map(Self::OnDisk),
        };
        OsStringValueParser::new().try_map(parse).into()
    }
}
