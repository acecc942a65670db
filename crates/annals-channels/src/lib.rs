//! State channels on an annals event store: their events, their rules, and the views that are folded from the events.
//!
//! The parties of a channel lock funds on a chain. Then they agree on states off the chain by signing them, turn by
//! turn. This crate overwrites nothing: each signature stays in the log with its signer and its time, and every other
//! fact is folded from the log.

#![forbid(unsafe_code)]

mod check;
mod envelope;
mod error;
mod event;
mod fields;
mod hex;
mod log;
mod party;
mod rules;
#[cfg(test)]
mod schemas;
mod signing;
mod state;
mod statement;
mod strict;
mod tagged;
mod text;
mod views;

pub use check::backdated::{Backdated, ComparedTimes};
pub use check::evidence::{ChannelFindings, EvidenceError, Trust, check_evidence};
pub use check::folded::FoldedState;
pub use check::signatures::{Convicted, ShownSignature, ShownState};
pub use envelope::{Envelope, EnvelopeError, MAX_MESSAGE_BYTES};
pub use error::InvalidField;
pub use event::*;
pub use fields::{Amount, EventVersion, Participants};
pub use hex::{Address, Hash, Hex, Signature};
pub use log::incoming::LogTaken;
pub use log::party_log::PartyLog;
pub use log::refusal::{LogError, LogRefusal};
pub use party::{
    ChannelEvidence, OnChain, Party, PartyError, PartyOptions, Refusal, SupportProof, Taken,
};
pub use rules::{
    RecordError, RecordedEvent, Rule, Violation, check_channel, check_message, check_objective,
    record,
};
pub use signing::{SecretKey, SignatureError, recover};
pub use state::{Allocation, AssetExit, FixedPart, SignedState, State};
pub use statement::{KeyStatement, StatementError};
pub use views::{
    Challenge, Channel, ChannelState, ChannelStatus, Channels, ChannelsState, Equivocation,
    FinalState, Holding, Message, MessageState, Objective, ObjectiveState, ObjectiveStatus,
    Objectives, ObjectivesState, Signed, Supported, Withdrawal,
};

/// Compiles and runs the code of docs/CHANNELS.md.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/CHANNELS.md")]
mod page {}
