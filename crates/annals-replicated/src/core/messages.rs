//! What goes into the core and what comes out of it.

use std::sync::Arc;

use annals::{AppendError, Appended, Condition, RawEvent};
use bytes::Bytes;

use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::format::commit::Commit;
use crate::format::header::AnyVersion;
use crate::log::commit_log::{AppendOutcome, LogError, NewEntry};

/// The time, as the driver of a core reads it from two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// A clock that never goes back, in ms from any start. Time limits are measured with it.
    pub steady_ms: u64,
    /// The system's clock, in ms since 1970 UTC. Events get their times from it.
    pub wall_ms: u64,
}

/// The number of a request, which the driver chooses. Each request has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The number of a send, which the core chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendId(pub u64);

/// When a core asked for something, and on which connection. A driver returns it with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Asked {
    /// How often the core was told that the engine was connected again.
    pub(super) connection: u64,
    /// The steady time, in ms.
    pub(super) steady_ms: u64,
}

/// A batch to append. Without events it is a barrier: its answer comes after a commit that was decided on after it was
/// submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewBatch {
    /// The events.
    pub events: Vec<RawEvent>,
    /// The conditions. All of them must hold.
    pub conditions: Vec<Condition>,
    /// The time at which the events were recorded, in ms since 1970 UTC; `None`: now.
    pub time_ms: Option<u64>,
    /// Whether that time may be more than a day ahead of the clock.
    pub allow_future_time: bool,
}

/// Which read is meant: a core has at most one of each under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadKind {
    /// Waits until there may be an entry, or for a while, and then reads.
    Watch,
    /// Reads at once.
    Now,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A caller wants a batch appended.
    Submitted {
        /// The request.
        request: RequestId,
        /// The batch.
        batch: NewBatch,
        /// The steady time at which the caller gets an answer in any case, in ms; `None`: when the time limit for
        /// appends has passed from now on.
        deadline_ms: Option<u64>,
    },
    /// The engine answered an append.
    Answered {
        /// The append.
        send: SendId,
        /// What became of the entry.
        outcome: AppendOutcome,
        /// The engine's clock, in ms since 1970 UTC.
        time_ms: Option<u64>,
    },
    /// A read returned.
    Entries {
        /// The read.
        kind: ReadKind,
        /// The slot behind which was read.
        after: Slot,
        /// The entries, or why there are none.
        entries: Result<Vec<Bytes>, LogError>,
        /// The engine's clock, in ms since 1970 UTC.
        time_ms: Option<u64>,
    },
    /// The read of an anchor check returned.
    Anchored {
        /// The slot behind which was read, as [`Output::Anchor`] had it.
        after: Slot,
        /// The number of entries that it asked for.
        count: usize,
        /// When it was asked for.
        asked: Asked,
        /// The entries, or why there are none.
        entries: Result<Vec<Bytes>, LogError>,
    },
    /// The replica has applied the commit with this number, and shows its events. Commits are applied in order, but a
    /// callback that sees the events of one may append, and then the later commit is reported first.
    Applied {
        /// The number of the commit.
        number: u64,
    },
    /// The replica could not apply a commit. It takes no more.
    ApplyFailed,
    /// The replica has other events than the commit that was to be applied. The record was changed. The replica applies
    /// no later commit either.
    ApplyDiffers {
        /// The slot of the commit.
        slot: Slot,
    },
    /// The connection to the engine was lost and is back.
    Reconnected,
    /// Another writer waits for a turn.
    Hinted,
    /// Time passed.
    Ticked,
}

/// What the driver is to do.
#[derive(Debug, Clone)]
pub enum Output {
    /// Append an entry, and return the answer as [`Input::Answered`].
    Append {
        /// The append.
        send: SendId,
        /// The slot behind which it is to be stored.
        after: Slot,
        /// The entry.
        entry: NewEntry,
    },
    /// Read entries, and return them as [`Input::Entries`].
    Read {
        /// Whether to wait first.
        kind: ReadKind,
        /// The slot behind which to read.
        after: Slot,
    },
    /// Read entries again, those of a commit and those around it, and return them as [`Input::Anchored`].
    Anchor {
        /// The slot behind which to read.
        after: Slot,
        /// The number of entries up to the last one of the commit.
        to_commit: usize,
        /// The number of all entries.
        count: usize,
        /// When it was asked for.
        asked: Asked,
    },
    /// Apply a commit to the replica, and return [`Input::Applied`]. Commits are applied in this order.
    Apply {
        /// The commit. A genesis, a barrier and an epoch have no events.
        commit: Arc<Commit>,
        /// The position in the record after it.
        position: Position,
    },
    /// Answer a caller. Each request is answered once.
    Answer {
        /// The request.
        request: RequestId,
        /// The offsets, or why there are none.
        reply: Result<Appended, Refusal>,
    },
    /// Tell the other writers that this one waits for a turn.
    Hint,
    /// The record no longer contains what the replica contains. It is returned once. Nothing is appended or applied
    /// after it.
    Diverged(Divergence),
}

/// Why a batch was not appended, or may not have been.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The batch cannot be appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The time limit passed. Nothing of the batch is in the record or ever will be. Append it again, now or later.
    #[error("the engine could not be reached in time; nothing was appended, now or later")]
    Unavailable,
    /// The batch was sent, and the time limit passed before its outcome was known. It is in the record whole, or will
    /// be, or never will be.
    ///
    /// If all its events have ids, append the same batch again: it is in the log once. Otherwise append a barrier,
    /// which ends the doubt, look for the events, and append them only if they are absent.
    #[error("the batch was sent, and whether it is in the log is not known yet")]
    InDoubt,
    /// The record no longer contains what this replica contains.
    #[error("nothing more is appended: {0}")]
    Diverged(Divergence),
    /// This machine's clock is more than 10 s ahead of the engine's. Nothing was appended. Correct the clock.
    #[error("this machine's clock is {ahead_ms} ms ahead of the engine's; correct it")]
    ClockAhead {
        /// How far the clock is ahead, in ms.
        ahead_ms: u64,
    },
    /// The engine has no room. Nothing was appended.
    #[error("the engine has no room; appends work again once there is room")]
    Full,
    /// The replica could not apply a commit. If the batch was appended, it is in the record. Open the replica again.
    #[error("the replica failed; open it again")]
    ReplicaFailed,
}

/// How a record differs from a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// The record ends before the replica's position.
    #[error(
        "the record ends before slot {slot}, up to which this replica has read it; it has lost commits"
    )]
    Lost {
        /// The slot of the replica's last commit.
        slot: Slot,
    },
    /// The record has another entry at the replica's position.
    #[error("the record has another commit at slot {slot} than this replica has read there")]
    Changed {
        /// The slot of the replica's last commit.
        slot: Slot,
    },
    /// The entries behind the replica's position no longer exist.
    #[error(
        "the record begins at slot {first}, beyond slot {slot}, up to which this replica has read it"
    )]
    Trimmed {
        /// The first slot of the record.
        first: Slot,
        /// The slot up to which the replica has read.
        slot: Slot,
    },
    /// The record ends before the replica's last event.
    #[error(
        "the record has {head} events, and this replica has {replica}; the record has lost commits"
    )]
    Shorter {
        /// The number of events of the record.
        head: u64,
        /// The number of events of the replica.
        replica: u64,
    },
    /// An operator has decided, by an epoch, to go on without the commits that the record lost and this replica has.
    #[error(
        "commit {epoch} of the record says that the log goes on without the commits that this replica has behind commit {cut}; set the replica aside and open a new one"
    )]
    Cut {
        /// The number of the last commit that the record shares with this replica.
        cut: u64,
        /// The number of the epoch.
        epoch: u64,
    },
    /// The next commit has a format that this version does not know.
    #[error(
        "commit {} has format {}, which this version of annals does not know; use a newer one",
        .0.number, .0.format
    )]
    Newer(AnyVersion),
}
