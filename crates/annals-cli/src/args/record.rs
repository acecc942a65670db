//! The arguments of `annals record`.

use clap::{Args, Subcommand};

use crate::store_path::StorePath;

/// Create, inspect, check and repair the record of a log on several machines
///
/// The record is what an engine such as PostgreSQL stores: the commits of all processes that append to one log, in one
/// order. Each process reads from a replica of its own, in files (--replica).
///
/// If a record lost commits (an engine was restored from a backup, or lost its last writes), a process whose replica has
/// them reports that the two have diverged. `heal` appends the lost commits again. If another process has appended since,
/// they cannot be appended any more: then `epoch` gives them up, and `set-aside` renames the directory of each replica
/// that has them. "When a store has diverged" in docs/REPLICATION.md has the steps.
///
/// The address of a record in PostgreSQL is `postgres://USER@HOST,HOST,…/DATABASE?store=NAME`. Name all servers: annals
/// uses the one that takes writes. One database can have the records of many logs, each under its NAME.
///
/// The address of a record in NATS JetStream is `nats://USER@HOST,HOST,…/NAME`.
///
/// An append fails if it takes longer than 30 s. The parameter `append_timeout` of the address sets another limit, in
/// seconds: `nats://app@n1,n2,n3/shop?append_timeout=60`. It does not matter for the commands below.
///
/// Leave the password out of the address, because arguments show in lists of processes. Set the variable `PGPASSWORD` or
/// `NATS_PASSWORD`, or set `ANNALS_PASSWORD_FILE` to the path of a file whose first line is the password.
#[derive(Debug, Args)]
pub(crate) struct Record {
    #[command(subcommand)]
    pub(crate) command: RecordCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    Create(Create),
    Status(Status),
    Verify(Verify),
    Heal(Heal),
    Epoch(Epoch),
    SetAside(SetAside),
}

impl RecordCommand {
    /// Returns the record that the command is about.
    pub(crate) fn record(&self) -> &StorePath {
        match self {
            Self::Create(Create { record })
            | Self::Status(Status { record })
            | Self::Verify(Verify { record })
            | Self::Heal(Heal { record, .. })
            | Self::Epoch(Epoch { record, .. })
            | Self::SetAside(SetAside { record, .. }) => record,
        }
    }

    /// Returns whether the command works with a replica only.
    pub(super) fn needs_replica(&self) -> bool {
        matches!(self, Self::Heal(_) | Self::Epoch(_) | Self::SetAside(_))
    }

    /// Returns the record that the command is about, to give it a replica.
    pub(super) fn record_mut(&mut self) -> &mut StorePath {
        match self {
            Self::Create(Create { record })
            | Self::Status(Status { record })
            | Self::Verify(Verify { record })
            | Self::Heal(Heal { record, .. })
            | Self::Epoch(Epoch { record, .. })
            | Self::SetAside(SetAside { record, .. }) => record,
        }
    }
}

/// Create the record of a new log, once
///
/// No other command creates a record: if it is missing later, it was lost, and a new one must not take its place
/// unnoticed. The command fails if the record exists.
///
/// In PostgreSQL, it makes the table `annals_commits` if the database has none, and writes the record's first row. In NATS
/// JetStream, it makes the stream, and writes its first message.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals record create 'postgres://app@db1,db2,db3/app?store=shop'"
)]
pub(crate) struct Create {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
}

/// Print what the engine is, what the record has, and how far a replica is behind it
///
/// Nothing is changed. With --replica, the command also reads the files of that replica, which another process may have
/// open meanwhile: the last commit that it has, how many entries of the record are behind that, and whether the record
/// still has that commit.
///
/// The exit code is 1 if the address has no record, if the replica belongs to another record, or if the two have diverged.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals record status 'postgres://app@db1,db2,db3/app?store=shop'\n  annals record status 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop"
)]
pub(crate) struct Status {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
}

/// Read the whole record, check it, and compare every event with a replica
///
/// Nothing is changed, and other processes may append meanwhile. Without --replica, the command only checks that the
/// commits form one chain. An entry that the engine changed, lost or swapped breaks the chain, and the entries behind
/// it do not count; only a replica shows that they once did.
///
/// Each problem means that the record and the replica contradict each other. The exit code is then 1. Void entries are
/// not problems: each is a commit that lost a race, a copy, or an entry of another program, and every reader skips it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals record verify 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop"
)]
pub(crate) struct Verify {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
}

/// Append again the commits that the record lost and a replica has
///
/// --replica names the replica that has the lost commits.
///
/// Stop all processes that append to the log first, and keep copies of the replicas. The commits get the same numbers,
/// offsets and times as before. Nothing is changed if nothing is lost, and the command can be run again after a failure.
///
/// The command fails, and changes nothing, if another process appended since the record lost the commits, or if this
/// replica does not have everything of them; another replica may.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals record heal 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop --dry-run\n  annals record heal 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop"
)]
pub(crate) struct Heal {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
    /// Check everything, and append nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Give up the commits that only a replica has, so that the log goes on without them
///
/// The command appends an epoch to the record: a commit without events, which stores this decision and its reason.
/// --replica names a replica that has the lost commits.
///
/// This cannot be undone: the lost commits can never be appended again. Save their events first: `annals export DIR --from
/// OFFSET` prints them; a dry run prints the offset. A process whose replica has them then reports the epoch when it
/// opens the replica.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals record epoch 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop --reason 'restored the backup of Sunday'"
)]
pub(crate) struct Epoch {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
    /// The reason, for people who read the record later: at most 1,024 bytes
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Check everything, and append nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Rename the directory of a replica that has commits which an epoch gave up
///
/// The new name is the old one with `.cut-` and the number of the epoch. The next command with this --replica builds a new
/// replica from the record. Positions of consumers and snapshots in the directory move with it, since they may rest on
/// events that the log does not have.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals record set-aside 'postgres://app@db1,db2,db3/app?store=shop' --replica data/shop"
)]
pub(crate) struct SetAside {
    /// The address of the record: postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) record: StorePath,
    /// Check everything, and rename nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
