//! The arguments of `annals consumers`.

use clap::Args;

use super::values::whole_number;
use crate::store_path::StorePath;

/// List the consumers and groups of a store, and repair one: replay parked events, reset or delete it
///
/// Programs create consumers and groups with the library annals-consumer. The lag is the number of events between a
/// position and the end of the log. An event that failed too often is parked: it waits until it is replayed or dropped.
///
/// With NAME, the command prints that consumer or group and the first 1,000 of its parked events. The options change
/// it; they fail while a program is running it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals consumers my.store\n  annals consumers my.store billing\n  annals consumers my.store billing --replay-parked\n  annals consumers my.store mailer --reset 1200"
)]
pub(crate) struct Consumers {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The consumer or group
    pub(crate) name: Option<String>,

    /// Let the group deliver its parked events again when it is next opened
    #[arg(long)]
    pub(crate) replay_parked: bool,

    /// Drop the parked events: they count as handled
    #[arg(long, conflicts_with = "replay_parked")]
    pub(crate) drop_parked: bool,

    /// Continue at this offset: events from there on are delivered, whether or not they were before
    #[arg(
        long,
        value_name = "OFFSET",
        value_parser = whole_number,
        allow_negative_numbers = true,
        conflicts_with_all = ["replay_parked", "drop_parked"]
    )]
    pub(crate) reset: Option<u64>,

    /// Delete the consumer or group: its position, and its list of parked events
    #[arg(long, conflicts_with_all = ["replay_parked", "drop_parked", "reset"])]
    pub(crate) delete: bool,
}

impl Consumers {
    /// Returns whether an option changes a consumer or group.
    pub(super) fn changes_one(&self) -> bool {
        self.replay_parked || self.drop_parked || self.reset.is_some() || self.delete
    }
}
