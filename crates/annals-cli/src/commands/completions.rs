//! `annals completions` prints a script for a shell.

use clap::CommandFactory as _;

use crate::args::generate::Completions;
use crate::args::{Cli, Format};
use crate::failure::Failure;
use crate::out::Out;

/// Prints the script.
pub(crate) fn run(args: &Completions, format: Option<Format>) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "annals", &mut script);
    let mut out = Out::new(format);
    out.with(|out| std::io::Write::write_all(out, &script))?;
    out.flush()
}
