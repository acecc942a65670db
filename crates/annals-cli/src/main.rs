//! The `annals` command.
//!
//! ```text
//!   args         the command line and its help      commands     one file per command
//!   store_path   a STORE argument                   store        opens a store for reading
//!   record_address  the address of a record       replicated   stores whose record is in an engine
//!   target       a store to append to               selection    the filters: which events
//!   appending    batches                            reports      the reports about them
//!   stdin_lines  standard input, line by line       records      the input of an import
//!   csv          comma-separated values             out          standard output
//!   printer      events on standard output          table, counts, channel_table, human   output for people
//!   console      standard error, and colours        progress     progress bars on standard error
//!   failure      errors, advice, exit codes         log          the library's messages on standard error
//!   signals      Ctrl-C                             waiting      --wait
//!   demo, bench  `annals demo`, `annals bench`
//! ```

#![forbid(unsafe_code)]

mod appending;
mod args;
mod bench;
#[cfg(feature = "channels")]
mod channel_table;
mod commands;
mod console;
mod counts;
mod criteria;
mod csv;
#[cfg(feature = "channels")]
mod demo;
mod failure;
mod human;
mod log;
mod out;
mod printer;
mod progress;
mod record_address;
mod records;
#[cfg(feature = "replicated")]
mod replicated;
mod reports;
mod selection;
mod signals;
mod stdin_lines;
mod store;
mod store_path;
mod table;
mod target;
mod waiting;

use std::process::ExitCode;

use args::{Cli, Command, Format};
use console::settings::Settings;
use failure::Failure;

fn main() -> ExitCode {
    let Cli { command, format, color, quiet, verbose, .. } = Cli::from_command_line();
    Settings::of(color, quiet, verbose).install();
    log::start();
    match run(&command, format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: &Command, format: Option<Format>) -> Result<(), Failure> {
    match command {
        Command::Append(args) => commands::append::run(args, format),
        Command::Read(args) => commands::read::run(args, format),
        Command::Tail(args) => commands::tail::run(args, format),
        Command::Get(args) => commands::get::run(args, format),
        Command::Stats(args) => commands::stats::run(args, format),
        Command::Count(args) => commands::count::run(args, format),
        Command::Tags(args) => commands::tags::run(args, format),
        Command::Types(args) => commands::types::run(args, format),
        Command::Export(args) => commands::export::run(args, format),
        Command::Import(args) => commands::import::run(args, format),
        Command::Verify(args) => commands::verify::run(args, format),
        Command::Copy(args) => commands::copy::run(args, format),
        Command::Salvage(args) => commands::salvage::run(args, format),
        #[cfg(feature = "channels")]
        Command::State(args) => commands::state::run(args, format),
        Command::Record(args) => commands::record::run(args, format),
        Command::Consumers(args) => commands::consumers::run(args, format),
        Command::Key(args) => commands::proof::key::run(args, format),
        Command::Checkpoint(args) => commands::proof::checkpoint::run(args),
        Command::Prove(args) => commands::proof::prove::run(args),
        Command::Check(args) => commands::proof::check::run(args, format),
        Command::Fork(args) => commands::proof::fork::run(args),
        Command::Witness(args) => commands::proof::witness::run(args),
        Command::Publish(args) => commands::proof::publish::run(args),
        #[cfg(feature = "channels")]
        Command::Demo(args) => demo::run(args, format),
        Command::Bench(args) => bench::run(args, format),
        #[cfg(feature = "serve")]
        Command::Serve(args) => commands::serve::run(args, format),
        Command::Completions(args) => commands::completions::run(args, format),
        Command::Man(args) => commands::man::run(args, format),
        #[cfg(feature = "channels")]
        Command::DemoWriter(args) => demo::writer::sign_until_killed(&args.directory),
    }
}
