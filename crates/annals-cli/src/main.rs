//! The `annals` command: reads what it is asked, does it, and says what went wrong.
//!
//! ```text
//!   args       the command line             lines     standard input, line by line
//!   commands   one file a command           out       standard output; table, channel_table: for people
//!   place      what a STORE says            progress  bars on standard error
//!   store      opening it                   log       the library's warnings on standard error
//!   target     creating it                  words     the library's errors, for a person at a shell
//!   failure    what ends it with exit 1     reports   what append tells of batches
//!   demo       `annals demo`                    bench    `annals bench`
//! ```

#![forbid(unsafe_code)]

mod args;
mod bench;
mod channel_table;
mod commands;
mod demo;
mod failure;
mod lines;
mod log;
mod out;
mod place;
mod progress;
mod reports;
mod store;
mod table;
mod target;
mod words;

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
            failure.tell();
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
        Command::DemoWriter(args) => demo::sign_until_killed(&args.directory),
    }
}
