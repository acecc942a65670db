//! The command line. The doc comments here are the texts of `annals --help`.
//!
//! ```text
//!   append  append         read     read, tail, get        maintain  verify, copy, salvage    state  state
//!   export  export         filter   which events           summary   stats, tags, types       demo   demo
//!   import  import         count    count                  generate  completions, man         bench  bench
//!   creation  how a store is opened for appending          usage     help and wrong usage     values  checks values
//!   record     record           replica  --replica, and the stores of a command
//!   consumers  consumers and groups      proof    key, checkpoint, prove, check, witness, publish
//!   serve      serve            environment  ANNALS_STORE for commands with another argument
//! ```

pub(crate) mod append;
pub(crate) mod bench;
pub(crate) mod consumers;
pub(crate) mod count;
pub(crate) mod creation;
#[cfg(feature = "channels")]
pub(crate) mod demo;
mod environment;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod maintain;
pub(crate) mod proof;
pub(crate) mod read;
pub(crate) mod record;
mod replica;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "channels")]
pub(crate) mod state;
pub(crate) mod summary;
mod usage;
mod values;

use std::sync::LazyLock;

use annals::MAX_BATCH_BYTES;
use clap::error::ErrorKind;
use clap::{
    ArgAction, ArgMatches, CommandFactory, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

use append::Append;
use bench::{Bench, BenchStore};
use consumers::Consumers;
use count::Count;
#[cfg(feature = "channels")]
use demo::{Demo, DemoWriter};
use export::Export;
use generate::{Completions, Man};
use import::Import;
use maintain::{Copy, Salvage, Verify};
use proof::{Check, Checkpoint, Fork, Key, Prove, Publish, Witness};
use read::{Get, Read, Tail, View};
use record::Record;
#[cfg(feature = "serve")]
use serve::Serve;
#[cfg(feature = "channels")]
use state::State;
use summary::{Stats, Tags, Types};

use crate::console::settings::Color;
#[cfg(feature = "serve")]
use crate::store_path::StorePath;

/// The features that this program was built with, and the format of files that it reads and writes.
fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let features = [
            cfg!(feature = "channels").then_some("channels"),
            cfg!(feature = "nats").then_some("nats"),
            cfg!(feature = "postgres").then_some("postgres"),
            cfg!(feature = "rocksdb").then_some("rocksdb"),
            cfg!(feature = "serve").then_some("serve"),
        ];
        let features: Vec<&str> = features.into_iter().flatten().collect();
        let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
        format!("{}\nfeatures: {features}\nfile format: {FILE_FORMAT}", env!("CARGO_PKG_VERSION"))
    });
    &TEXT
}

/// The newest format of a Journal that this program reads, and the one that it writes.
const FILE_FORMAT: u32 = 1;

/// Append events to an event store, read them and check them
///
/// Events are appended once and never changed. An event has a type, any number of tags, data, and an offset: its
/// position in the log, counted from 0.
///
/// A STORE is the path of a directory, for a store in files (a Journal), or `rocksdb:PATH`, for a store in RocksDB, if
/// this program was built with RocksDB. The environment variable `ANNALS_STORE` names the store for commands that are
/// given none. `annals append` creates the store. One process at a time can append to a store; meanwhile, any number of
/// processes can read it.
///
/// A STORE can also be the address of a record: `postgres://USER@HOST,HOST,…/DATABASE?store=NAME` or
/// `nats://USER@HOST,HOST,…/NAME`, if this program was built with the feature `postgres` or `nats`. Any number of
/// processes, on any number of machines, can then append to one log. Each keeps a replica in a directory of its own,
/// which --replica names. `annals record create` creates the record.
#[derive(Debug, Parser)]
#[command(name = "annals", version, long_version = long_version(), after_help = TOP_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are printed [default: table on a terminal, jsonl otherwise]
    #[arg(short, long, global = true, value_enum, help_heading = GLOBAL)]
    pub(crate) format: Option<Format>,

    /// The directory of this process's replica, for a STORE that is the address of a record [env: ANNALS_REPLICA]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(crate) replica: Option<std::path::PathBuf>,

    /// When results and messages are coloured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, help_heading = GLOBAL)]
    #[arg(hide_possible_values = true)]
    pub(crate) color: Color,

    /// Print no notes and no progress on standard error
    #[arg(short, long, global = true, action = ArgAction::SetTrue, help_heading = GLOBAL)]
    pub(crate) quiet: bool,

    /// Also print what the library does
    #[arg(short, long, global = true, action = ArgAction::SetTrue, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub(crate) verbose: bool,
}

/// The heading of the options that every command has.
const GLOBAL: &str = "Options of every command";

const TOP_HELP: &str = r#"Create a store and read it:
  annals append my.store --type book-lent --tag book:17 --data '{"days":28}'
  annals read my.store --tag book:17

Results are written to standard output, warnings, errors and progress to standard error.
Exit codes: 0 success, 1 refused or failed, 2 wrong usage. If the reader of the results stops
early (`annals read my.store | head`), annals exits with 0 and without an error message."#;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line, for programs
    Jsonl,
    /// Columns, for people
    Table,
    /// Comma-separated values, for `annals export`
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Append(Append),
    Read(Read),
    Tail(Tail),
    Get(Get),
    Count(Count),
    Stats(Stats),
    Tags(Tags),
    Types(Types),
    Export(Export),
    Import(Import),
    Verify(Verify),
    Copy(Copy),
    Salvage(Salvage),
    #[cfg(feature = "channels")]
    State(State),
    Record(Record),
    Consumers(Consumers),
    Key(Key),
    Checkpoint(Checkpoint),
    Prove(Prove),
    Check(Check),
    Fork(Fork),
    Witness(Witness),
    Publish(Publish),
    #[cfg(feature = "serve")]
    Serve(Serve),
    #[cfg(feature = "channels")]
    Demo(Demo),
    Bench(Bench),
    Completions(Completions),
    Man(Man),
    #[cfg(feature = "channels")]
    #[command(hide = true)]
    DemoWriter(DemoWriter),
}

impl Cli {
    /// Parses the command line. On wrong usage or `--help` the process exits here.
    pub(crate) fn from_command_line() -> Self {
        // Help and wrong usage are printed while the arguments are parsed, and in the right colours.
        let color = color_of(std::env::args_os());
        let mut command = usage::with_whole_examples(Self::command(), color);
        let parsed = command.try_get_matches_from_mut(std::env::args_os());
        let names = parsed.as_ref().map(names_of).unwrap_or_default();
        let parsed = parsed.and_then(|found| Self::from_arg_matches(&found));
        let checked = parsed.and_then(|mut cli| match cli.check() {
            Ok(()) => Ok(cli),
            // Its usage is that of the command that was given.
            Err((kind, problem)) => Err(error_of(&mut command, &names, kind, problem)),
        });
        match checked {
            Ok(cli) => cli,
            Err(error) => usage::exit(&error, color),
        }
    }

    /// Checks arguments that depend on each other, and resolves those that need each other.
    fn check(&mut self) -> Result<(), (ErrorKind, String)> {
        if self.format == Some(Format::Csv) && !matches!(self.command, Command::Export(_)) {
            let right = "only `annals export` prints CSV; give jsonl or table";
            return Err((ErrorKind::InvalidValue, right.to_owned()));
        }
        if let Command::Get(args) = &mut self.command {
            args.resolve().map_err(|problem| (ErrorKind::MissingRequiredArgument, problem))?;
        }
        self.command.take_store_from_environment()?;
        self.place_replica()?;
        self.check_record_options()?;
        self.command.check(self.format)
    }
}

/// Returns the names of the command that was given and of the one inside it, as in `record create`.
fn names_of(found: &ArgMatches) -> Vec<String> {
    let mut names = Vec::new();
    let mut found = found;
    while let Some((name, inner)) = found.subcommand() {
        names.push(name.to_owned());
        found = inner;
    }
    names
}

/// Returns wrong usage of the command inside `command` that has these names.
fn error_of(
    command: &mut clap::Command,
    names: &[String],
    kind: ErrorKind,
    problem: String,
) -> clap::Error {
    let [name, names @ ..] = names else { return command.error(kind, problem) };
    match command.find_subcommand_mut(name) {
        Some(inner) => error_of(inner, names, kind, problem),
        None => command.error(kind, problem),
    }
}

/// Returns the value of --color among the arguments, or the default.
fn color_of(args: impl Iterator<Item = std::ffi::OsString>) -> Color {
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let next = args.iter().skip(1).chain([&args[0]]);
    let values =
        args.iter().zip(next).filter_map(|(arg, next)| match arg.strip_prefix("--color") {
            Some("") => Some(next.as_str()),
            Some(value) => value.strip_prefix('='),
            None => None,
        });
    values.last().and_then(|value| Color::from_str(value, true).ok()).unwrap_or_default()
}

impl Command {
    /// Checks arguments that depend on each other.
    fn check(&self, format: Option<Format>) -> Result<(), (ErrorKind, String)> {
        let value = |problem: String| (ErrorKind::ValueValidation, problem);
        match self {
            Self::Read(args) => {
                check_range(args.from, args.to).and(args.filter.check()).map_err(value)?;
                check_view(args.view, format)
            }
            Self::Export(args) => {
                check_range(args.from, args.to).and(args.filter.check()).map_err(value)?;
                if format == Some(Format::Table) {
                    let right = "`annals export` prints jsonl or csv; `annals read` prints tables";
                    return Err((ErrorKind::InvalidValue, right.to_owned()));
                }
                Ok(())
            }
            Self::Count(args) => {
                check_range(args.from, args.to).and(args.filter.check()).map_err(value)
            }
            Self::Tail(args) => {
                args.filter.check().map_err(value)?;
                check_view(args.view, format)
            }
            Self::Import(args) => check_import(args),
            Self::Consumers(args) if args.name.is_none() && args.changes_one() => {
                let missing = "no consumer or group was given; give its NAME";
                Err((ErrorKind::MissingRequiredArgument, missing.to_owned()))
            }
            Self::Prove(args) => args.check(),
            Self::Publish(args) if args.directory.is_none() => {
                let missing = "no directory was given; give the DIRECTORY to write to";
                Err((ErrorKind::MissingRequiredArgument, missing.to_owned()))
            }
            Self::Bench(bench) => check_bench(bench),
            #[cfg(feature = "serve")]
            Self::Serve(args) => check_serve(args),
            _ => Ok(()),
        }
    }
}

fn check_range(from: u64, to: Option<u64>) -> Result<(), String> {
    match to {
        Some(to) if from > to => {
            Err(format!("--from {from} is greater than --to {to}; give --from 0 to {to}"))
        }
        _ => Ok(()),
    }
}

fn check_view(view: View, format: Option<Format>) -> Result<(), (ErrorKind, String)> {
    if (view.wide || view.vertical) && format == Some(Format::Jsonl) {
        let right = "--wide and --vertical are forms of the table; leave out --format jsonl";
        return Err((ErrorKind::ArgumentConflict, right.to_owned()));
    }
    Ok(())
}

fn check_import(import: &Import) -> Result<(), (ErrorKind, String)> {
    let csv = &import.csv;
    if import.keep_times && csv.event_type.is_some() && csv.time.is_none() {
        let right = "with --type, --keep-times needs the column of the times: --time COLUMN";
        return Err((ErrorKind::MissingRequiredArgument, right.to_owned()));
    }
    Ok(())
}

#[cfg(feature = "serve")]
fn check_serve(serve: &Serve) -> Result<(), (ErrorKind, String)> {
    if serve.segment_bytes.is_some() && matches!(serve.store, StorePath::RocksDb(_)) {
        let right = "a store in RocksDB has no segments; leave out --segment-bytes";
        return Err((ErrorKind::ArgumentConflict, right.to_owned()));
    }
    Ok(())
}

fn check_bench(bench: &Bench) -> Result<(), (ErrorKind, String)> {
    let Bench { batch, payload, .. } = bench;
    if matches!(bench, Bench { store: Some(BenchStore::Memory), keep: true, .. }) {
        let problem =
            "--keep keeps a log in files, and memory: has no files; give a path, or omit --keep";
        return Err((ErrorKind::ArgumentConflict, problem.into()));
    }
    // Besides its payload, an event of the bench takes less than 100 bytes.
    if batch * (payload + 100) > MAX_BATCH_BYTES {
        let problem = format!(
            "--batch {batch} with --payload {payload} exceeds the limit of a batch, {MAX_BATCH_BYTES} bytes; reduce one \
            of them"
        );
        return Err((ErrorKind::ValueValidation, problem));
    }
    Ok(())
}
