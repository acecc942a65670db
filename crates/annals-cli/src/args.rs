//! What the command line may say. The texts here are what `annals --help` shows.

use std::path::PathBuf;
use std::str::FromStr;

use annals::{InvalidQuery, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Query};
use annals_channels::{Hash, InvalidField};
use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser, ValueParserFactory};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::place::Place;

/// An append-only event log, on the command line.
///
/// A STORE is the path of a directory with a log in files, a Journal; or `rocksdb:PATH`, one with a log in RocksDB, if
/// this was built with that. `append` creates it; one process at a time appends, and any number read beside it.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = TOP_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are shown [default: table on a terminal, jsonl elsewhere]
    #[arg(long, global = true, value_enum)]
    pub(crate) format: Option<Format>,
}

const TOP_HELP: &str = r#"See it at work: annals demo

Begin like this:
  echo '{"type":"book-lent","tags":["book:17","reader:ada"],"data":{"days":28}}' | annals append my.store
  annals read my.store --tag book:17

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 refused or failed, 2 bad
usage. When whoever reads the results stops early (`annals read my.store | head`), annals ends quietly with 0."#;

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line, for programs
    Jsonl,
    /// Columns, for people
    Table,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Append(Append),
    Read(Read),
    Tail(Tail),
    Get(Get),
    Stats(Stats),
    Tags(Tags),
    Types(Types),
    Verify(Verify),
    Copy(Copy),
    Salvage(Salvage),
    State(State),
    Demo(Demo),
    Bench(Bench),
    #[command(hide = true)]
    DemoWriter(DemoWriter),
}

/// Append events, one JSON object a line, from standard input
///
/// A line is {"type": string, "tags"?: [string], "data"?: any JSON, "id"?: string, "metadata"?: object of strings}.
/// Unknown fields are errors. Data is kept byte for byte, but for white space between tokens; bytes that are no JSON
/// are given as `data_base64` in place of "data". A line has at most 64 MiB; blank lines are skipped.
///
/// Lines are appended in batches, each all or not at all. As soon as a batch is durable, its first and last offset are
/// reported: {"first":A,"last":B}. At the end comes {"appended":N,"first":A,"last":B}. A batch ends after --batch
/// lines, after about 8 MiB, and when no more input is there for now: what is fed by hand is durable line by line.
///
/// A bad line ends it with its number, its column and the reason. What was reported stays; of the batch that the bad
/// line is in, nothing is appended. If nothing at all is appended because of an error, no store is created.
///
/// Events with an "id" that the store has already, or that an earlier line has, are not appended again: their report says
/// "already". A batch that the store has in part is appended and reported in parts, so the same input may be given again, after a kill say;
/// only events without an "id" are then there twice. An id that the store has for an event of another type is an error,
/// and what stands before that line is appended.
///
/// Reports that nobody reads any more do not stop it. Nor do reports that cannot be written, to a full disk say: that
/// is told at once, all input is appended, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals append my.store < events.jsonl
  zcat events.jsonl.gz | annals append my.store --batch 10000
  tail -f app.log.jsonl | annals append my.store
  echo '{"type":"seat-sold","tags":["seat:12A"]}' | annals append my.store --if-none seat:12A"#)]
pub(crate) struct Append {
    /// The store: PATH or rocksdb:PATH; it is created if nothing is there
    pub(crate) store: Place,

    /// Append at most so many lines at once (1 to 65536)
    #[arg(long, value_name = "N", default_value_t = 1000, hide_default_value = false)]
    #[arg(value_parser = batch_size, allow_negative_numbers = true)]
    pub(crate) batch: usize,

    /// When a batch counts as appended
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    pub(crate) durability: Durability,

    /// Append only if no event in the store has this as a tag or as its type; given several times, any of them
    ///
    /// To look and to append are one step, whoever else appends. The whole input is then one batch, all or nothing,
    /// however slowly it comes: at most 65536 events and 32 MiB. If an event is in the way, its offset is told and the
    /// exit code is 1.
    #[arg(long, value_name = "TAG_OR_TYPE", conflicts_with = "batch", value_parser = tag)]
    pub(crate) if_none: Vec<String>,
}

/// When a batch counts as appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// When it is on the disk: it survives loss of power
    Sync,
    /// When the system has it: it survives the end of the process; all is synced at the end
    Buffered,
}

/// Show events, oldest first
///
/// A line shows what `annals append` takes, with "offset" and "time" in front. Data that is no JSON is shown as
/// `data_base64`. What is appended while this runs is not shown; `annals tail` goes on.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals read my.store
  annals read my.store --tag book:17 --type book-lent --type book-returned
  annals read my.store --reverse --limit 10
  annals read my.store --from 1000 --to 2000 > events.jsonl"#)]
pub(crate) struct Read {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,

    /// Begin with this offset
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) from: u64,

    /// End before this offset [default: the end of the log]
    #[arg(long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) to: Option<u64>,

    #[command(flatten)]
    pub(crate) filter: Filter,

    /// The newest first
    #[arg(long)]
    pub(crate) reverse: bool,

    /// Show at most so many events
    #[arg(long, value_name = "N", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
}

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only events of this type; given several times, of any of them
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    pub(crate) types: Vec<String>,

    /// Only events with this tag; given several times, with all of them
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    pub(crate) tags: Vec<String>,
}

/// Show the last events, then each new one as it comes
///
/// It follows while another process appends, and shows each event at once. It may show an event a moment before that
/// is safe from loss of power. Ctrl-C or a SIGTERM ends it, with exit code 0. When whoever reads the events is gone, it
/// ends quietly at the next event that it would show, not at once.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals tail my.store
  annals tail my.store --from end --tag book:17
  annals tail my.store --from 0 | my-program"#)]
pub(crate) struct Tail {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,

    /// Begin with this offset, or with what is appended from now on: `end` [default: the last 10 events]
    #[arg(long, value_name = "N|end", allow_negative_numbers = true)]
    pub(crate) from: Option<From>,

    #[command(flatten)]
    pub(crate) filter: Filter,
}

/// Where to begin.
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
        whole_number(text).map(Self::Offset).map_err(|right| format!("{right}, or `end`"))
    }
}

/// Show one event, as indented JSON
///
/// The exit code is 1 if there is none. With --format jsonl it is shown on one line.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals get my.store 7")]
pub(crate) struct Get {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,

    /// The event's offset
    #[arg(value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) offset: u64,
}

/// Show how much is in a store
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals stats my.store\n  annals stats my.store --format jsonl"
)]
pub(crate) struct Stats {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,
}

/// Show the tags in a store, each with its number of events, sorted by name
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  annals tags my.store\n  annals tags my.store --prefix book:")]
pub(crate) struct Tags {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,

    /// Only tags that begin so
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
}

/// Show the event types in a store, each with its number of events, sorted by name
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals types my.store")]
pub(crate) struct Types {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,
}

/// Check every byte of a store: every checksum, every index entry against its event
///
/// It changes nothing, and a process may be appending meanwhile. Problems are damage: the exit code is then 1. If all
/// are in a Journal's index files (*.idx, *.flt), no event is lost: without these files, they are made again from the log when
/// the store is next opened for appending. Notes are no damage (a commit that a crash cut off): they are put right then, too.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals verify my.store")]
pub(crate) struct Verify {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,
}

/// Copy a store to another, of the same kind or the other, offsets and times kept
///
/// It goes on where an earlier copy stopped, so it may be stopped and run again, also to bring a copy up to date. At
/// the end everything is made durable and compared, event by event. Of a damaged store it copies what is good. The copy
/// must not be the store itself, nor be in its directory.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals copy my.store backup.store\n  annals copy my.store rocksdb:my.rocks"
)]
pub(crate) struct Copy {
    /// The store to copy: PATH or rocksdb:PATH
    pub(crate) from: Place,

    /// The copy, of either kind; it is created if nothing is there
    pub(crate) to: Place,
}

/// Save every whole event of a damaged store to a new one
///
/// `copy` stops at the first damage; this goes on behind it. Each event has a checksum of its own, so it is known which are
/// whole. The damaged store is read only, and nothing of it is changed. The new store has no gaps: what is shown tells which
/// offsets are missing, what stands in their place, and where each event is now. Content, ids, tags, metadata, times and order
/// are kept; where an event's time is damaged, it has that of the nearest event.
///
/// The exit code is 0 if no event is missing that is known to have been durable, and 1 if one is; what is whole is saved in
/// both cases. A commit that a crash left unfinished is not counted as missing. Stop what writes to the store first.
///
/// Only a Journal can be salvaged. Of a damaged `rocksdb:PATH`, `annals copy` saves the events before the damage.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals salvage my.store saved.store")]
pub(crate) struct Salvage {
    /// The damaged store: PATH
    pub(crate) from: Place,

    /// The new store: PATH, where nothing is yet
    pub(crate) to: Place,
}

/// Show a state channel, as it is or as it was
///
/// It is folded from the channel's events in the log: who signed what, what is supported, what the chain holds. Events
/// of types that this annals does not know are passed over, with a warning. Elsewhere than on a terminal it is one line
/// of JSON with sorted keys: the same events give the same bytes. The exit code is 1 if the log knows no such channel.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals state my.store --channel 0x5f…
  annals state my.store --channel 0x5f… --at 7
  annals tags my.store --prefix channel:"#)]
pub(crate) struct State {
    /// The store: PATH or rocksdb:PATH
    pub(crate) store: Place,

    /// The channel's id, 0x and 64 hex digits; or its tag, channel:0x…
    #[arg(long, value_name = "ID", value_parser = channel_id)]
    pub(crate) channel: Hash,

    /// As it was right after the event at this offset, that event included [default: as it is now]
    #[arg(long, value_name = "OFFSET", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) at: Option<u64>,
}

/// Show a state channel's whole life, in a few seconds
///
/// From deposit to withdrawal: two parties, each with a log in files, sign states with real keys. One is killed while it
/// writes and comes back, one cheats and is noticed, and in the end the channel is shown as it was at any time.
/// Everything that is claimed is checked first; if something is not so, the exit code is 1. It is a text for people,
/// whatever --format says.
///
/// It writes only to its own directory, which it leaves for you to look at: remove it when you are done.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  annals demo\n  annals demo my.demo")]
pub(crate) struct Demo {
    /// A directory that is empty, or not there yet [default: annals-demo, or annals-demo-2, …, the first not there]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// Measure how fast this machine and this disk are, in about ten seconds
///
/// Without a STORE: a log in memory, then one in files in the current directory, in turn with a plain file on the same
/// disk, which gets the same bytes and is synced as often. That file grows as it is written: no room is made for it
/// beforehand.
///
/// "of disk" is events a second, as a multiple of that file's. Of bulk and append it is the median of five turns: in
/// each, first the log is written, then the file. Of several writers and append-if, which take no turns, it is their
/// rate divided by the median of the file's turns with one writer. All other figures are of all turns together.
///
/// It writes only to a directory of its own, which it removes at the end, also after Ctrl-C and errors. It never
/// appends to a store that is there.
#[derive(Debug, Args)]
#[command(after_help = r#"Measured are, in events a second and microseconds a call:
  bulk       batches of --batch events, each batch synced      scan  all events, in order
  append     one event, synced; also with several writers      get   one event, at random
  append-if  one event, if no event in the log has its tag     tag   a tag's 10 events

Examples:
  annals bench
  annals bench /mnt/disk/new-directory --seconds 30
  annals bench memory: --payload 100 --format jsonl"#)]
pub(crate) struct Bench {
    /// A directory that is empty, or not there yet: PATH or rocksdb:PATH; or memory: for a log in memory
    pub(crate) store: Option<Target>,

    /// How long to measure, all together, in seconds (0.01 to 3600)
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    #[arg(value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) seconds: f64,

    /// In bulk, append at most about so many events (1 to 10000000)
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000), allow_negative_numbers = true)]
    pub(crate) events: u64,

    /// Payload of an event, in bytes (0 to 1048576)
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    #[arg(value_parser = payload_bytes, allow_negative_numbers = true)]
    pub(crate) payload: usize,

    /// Writers that append at once, beside one alone (2 to 256, several with commas)
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "16")]
    #[arg(value_parser = writer_count, allow_negative_numbers = true)]
    pub(crate) writers: Vec<usize>,

    /// Events of a bulk batch (1 to 65536)
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = batch_size, allow_negative_numbers = true)]
    pub(crate) batch: usize,

    /// Leave the log that was measured there, as STORE/log
    #[arg(long, requires = "store")]
    pub(crate) keep: bool,
}

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Memory,
    Place(Place),
}

impl ValueParserFactory for Target {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        let parse = |argument: std::ffi::OsString| match argument.to_str() {
            Some("memory:") => Ok(Self::Memory),
            _ => Place::parse(&argument).map(Self::Place),
        };
        OsStringValueParser::new().try_map(parse).into()
    }
}

/// The process that the demo kills: signs for Alice until then
#[derive(Debug, Args)]
pub(crate) struct DemoWriter {
    /// The demo's directory
    pub(crate) directory: PathBuf,
}

/// An offset or a number of events.
fn whole_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("give a whole number from 0 on, at most {}", u64::MAX))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds from 0.01 to 3600".to_owned())
}

fn payload_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| *bytes <= 1 << 20);
    bytes.ok_or_else(|| "give a whole number of bytes from 0 to 1048576".to_owned())
}

fn writer_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (2..=256).contains(count));
    count.ok_or_else(|| "give whole numbers from 2 to 256; one alone is always measured".to_owned())
}

/// A number of lines that can be one batch.
fn batch_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (1..=MAX_BATCH_EVENTS).contains(size));
    size.ok_or_else(|| format!("give a whole number from 1 to {MAX_BATCH_EVENTS}"))
}

/// A tag that an event can have.
fn tag(text: &str) -> Result<String, InvalidQuery> {
    Query::tag(text).check().map(|()| text.to_owned())
}

/// A type that an event can have.
fn event_type(text: &str) -> Result<String, InvalidQuery> {
    Query::event_type(text).check().map(|()| text.to_owned())
}

/// A channel's id, with or without what tags have in front of it.
fn channel_id(text: &str) -> Result<Hash, String> {
    let right = |problem: InvalidField| {
        format!("{problem}; a channel's id is 0x and 64 hex digits, 32 bytes")
    };
    text.strip_prefix("channel:").unwrap_or(text).parse().map_err(right)
}

impl Cli {
    /// What the command line says; on bad usage or `--help` the process ends here.
    pub(crate) fn from_command_line() -> Self {
        let cli = Self::parse();
        if let Command::Read(Read { from, to: Some(to), .. }) = &cli.command
            && from > to
        {
            let problem = format!("--from {from} is beyond --to {to}; give --from 0 to {to}");
            Self::command().error(clap::error::ErrorKind::ValueValidation, problem).exit();
        }
        if let Command::Bench(Bench { store: Some(Target::Memory), keep: true, .. }) = &cli.command
        {
            let problem = "--keep leaves a log in files, and memory: has none; give a path, or leave --keep out";
            Self::command().error(clap::error::ErrorKind::ArgumentConflict, problem).exit();
        }
        // Beside its payload, an event of the bench takes less than 100 bytes.
        if let Command::Bench(Bench { batch, payload, .. }) = &cli.command
            && batch * (payload + 100) > MAX_BATCH_BYTES
        {
            let problem = format!(
                "--batch {batch} with --payload {payload} is more than a batch can have, {MAX_BATCH_BYTES} bytes; give less of either"
            );
            Self::command().error(clap::error::ErrorKind::ValueValidation, problem).exit();
        }
        cli
    }
}
