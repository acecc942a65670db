//! The `annals` command.
//!
//! ```text
//!   args         the command line and its help      stdin_lines  standard input, line by line
//!   commands     one file per command               out          standard output
//!   store_path   a STORE argument                   table, channel_table, human   output for people
//!   store        opens a store                      reports      the reports of `annals append`
//!   target       creates a store when needed        progress     progress bars on standard error
//!   failure      errors and advice, exit code 1     log          the library's warnings on standard error
//!   demo         `annals demo`                      bench        `annals bench`
//! ```

#![forbid(unsafe_code)]

mod args;
mod bench;
mod channel_table;
mod commands;
mod demo;
mod failure;
mod human;
mod log;
mod out;
mod progress;
mod reports;
mod stdin_lines;
mod store;
mod store_path;
mod table;
mod target;

use std::process::ExitCode;

use args::{Cli, Command, Format};
use failure::Failure;

fn main() -> ExitCode {
    let Cli { command, format } = Cli::from_command_line();
    log::start();
    match run(&command, format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::FAILURE
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
        Command::Tags(args) => commands::names::tags(args, format),
        Command::Types(args) => commands::names::types(args, format),
        Command::Verify(args) => commands::verify::run(args, format),
        Command::Copy(args) => commands::copy::run(args, format),
        Command::Salvage(args) => commands::salvage::run(args, format),
        Command::State(args) => commands::state::run(args, format),
        Command::Demo(args) => demo::run(args, format),
        Command::Bench(args) => bench::run(args, format),
        Command::DemoWriter(args) => demo::writer::sign_until_killed(&args.directory),
    }
}
