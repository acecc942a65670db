//! The arguments of `annals state`.

use annals_channels::Hash;
use clap::Args;

use super::values::{channel_id, whole_number};
use crate::store_path::StorePath;

/// Print a state channel, as it is now or as it was at an earlier offset
///
/// The state is computed from the channel's events in the log: who signed which state, which state is supported, and
/// what the chain holds. Events of unknown types are skipped with a warning. Unless standard output is a terminal, the
/// state is printed as one line of JSON with sorted keys, so the same events give the same bytes. If the store has no
/// such channel, the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals state my.store --channel 0x5f…
  annals state my.store --channel 0x5f… --at 7
  annals tags my.store --prefix channel:"#)]
pub(crate) struct State {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The channel's id: 0x and 64 hex digits; or its tag, channel:0x…
    #[arg(long, value_name = "ID", value_parser = channel_id)]
    pub(crate) channel: Hash,

    /// Print the state right after the event at this offset, that event included [default: the current state]
    #[arg(long, value_name = "OFFSET", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) at: Option<u64>,
}
