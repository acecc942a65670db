//! The events of a simulation.

use annals_replicated::sim::Broken;
use annals_replicated::{
    AppendOutcome, Asked, LogError, NewBatch, NewEntry, ReadKind, SendId, Slot,
};
use bytes::Bytes;

/// An event of the simulation, at a time, for a process or for the engine.
#[derive(Debug)]
pub(crate) enum Event {
    Submit,
    SubmitAgain {
        life: u64,
        batch: NewBatch,
    },
    Arrive {
        from: Sender,
        after: Slot,
        entry: NewEntry,
        answers: bool,
    },
    Answer {
        to: Sender,
        outcome: AppendOutcome,
    },
    Read {
        life: u64,
        kind: ReadKind,
        after: Slot,
    },
    Entries {
        life: u64,
        kind: ReadKind,
        after: Slot,
        entries: Result<Vec<Bytes>, LogError>,
    },
    Anchor {
        life: u64,
        after: Slot,
        count: usize,
        asked: Asked,
    },
    Anchored {
        life: u64,
        after: Slot,
        count: usize,
        asked: Asked,
        entries: Result<Vec<Bytes>, LogError>,
    },
    Apply {
        life: u64,
    },
    Hinted {
        life: u64,
    },
    Reconnected,
    Tick,
    End,
    Start,
    Pause,
    Stranger,
    Break(Broken),
    Operate,
}

/// An append, by the run of a process that sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) life: u64,
    pub(crate) send: SendId,
}
