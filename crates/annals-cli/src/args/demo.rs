//! The arguments of `annals demo`.

use std::path::PathBuf;

use clap::Args;

/// Run through the life of a state channel, in a few seconds
///
/// A state channel is an account that two parties share: they exchange signed states, and a blockchain is needed only
/// at the beginning, at the end, and in a dispute. In this demo two parties, each with its own log in files, deposit
/// money, sign states with real keys, and withdraw the money. One party is killed while it writes, and recovers. The
/// other cheats. One file convicts it, which a process checks that has neither log. At the end, the channel is shown as
/// it was at several earlier moments.
///
/// Each claim is checked before it is printed; if a claim is not true, the exit code is 1. The output is text for
/// people, whatever --format is.
///
/// The demo writes only to its own directory, which it does not remove, so that you can look at it afterwards.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  annals demo\n  annals demo my.demo")]
pub(crate) struct Demo {
    /// An empty directory, or a path where nothing exists yet [default: annals-demo, or the first of annals-demo-2,
    /// annals-demo-3, … that does not exist]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// Sign states for Alice until the process is killed: the process that the demo kills
#[derive(Debug, Args)]
pub(crate) struct DemoWriter {
    /// The demo's directory
    pub(crate) directory: PathBuf,
}
