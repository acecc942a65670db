//! The command line. The doc comments here are the texts of `annals --help`.
//!
//! ```text
//!   append    append            maintain  verify, copy, salvage    demo   demo
//!   read      read, tail, get   summary   stats, tags, types       bench  bench
//!   state     state             values    checks values
//! ```

pub(crate) mod append;
pub(crate) mod bench;
pub(crate) mod demo;
pub(crate) mod maintain;
pub(crate) mod read;
pub(crate) mod state;
pub(crate) mod summary;
mod values;

use annals::MAX_BATCH_BYTES;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use append::Append;
use bench::{Bench, BenchStore};
use demo::{Demo, DemoWriter};
use maintain::{Copy, Salvage, Verify};
use read::{Get, Read, Tail};
use state::State;
use summary::{Stats, Tags, Types};

/// Append events to an event store, read them and check them
///
/// Events are appended once and never changed. An event has a type, any number of tags, data, and an offset: its
/// position in the log, counted from 0.
///
/// A STORE is either the path of a directory, for a store in files (a
/// Journal), or `rocksdb:PATH`, for a store in RocksDB, if this program was built with RocksDB. `annals append` creates
/// the store. One process at a time can append to a store; meanwhile, any number of processes can read it.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = TOP_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are printed [default: table on a terminal, jsonl otherwise]
    #[arg(long, global = true, value_enum)]
    pub(crate) format: Option<Format>,
}

const TOP_HELP: &str = r#"Watch a complete example:
  annals demo

Create a store of your own and read it:
  echo '{"type":"book-lent","tags":["book:17"],"data":{"days":28}}' | annals append my.store
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

impl Cli {
    /// Parses the command line. On wrong usage or `--help` the process exits here.
    pub(crate) fn from_command_line() -> Self {
        let cli = Self::parse();
        if let Err((kind, problem)) = cli.command.check() {
            Self::command().error(kind, problem).exit();
        }
        cli
    }
}

impl Command {
    /// Checks arguments that depend on each other.
    fn check(&self) -> Result<(), (ErrorKind, String)> {
        match self {
            Self::Read(Read { from, to: Some(to), .. }) if from > to => Err((
                ErrorKind::ValueValidation,
                format!("--from {from} is greater than --to {to}; give --from 0 to {to}"),
            )),
            Self::Bench(Bench { store: Some(BenchStore::Memory), keep: true, .. }) => Err((
                ErrorKind::ArgumentConflict,
                "--keep keeps a log in files, and memory: has no files; give a path, or omit --keep".into(),
            )),
            // Besides its payload, an event of the bench takes less than 100 bytes.
            Self::Bench(Bench { batch, payload, .. })
                if batch * (payload + 100) > MAX_BATCH_BYTES =>
            {
                Err((
                    ErrorKind::ValueValidation,
                    format!(
                        "--batch {batch} with --payload {payload} exceeds the limit of a batch, {MAX_BATCH_BYTES} \
                        bytes; reduce one of them"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}
