//! State channels on the annals event log: what happens to them, event by event, and what follows from it.
//!
//! Parties lock funds on a chain, then agree on states off the chain by signing them, turn by turn. Here nothing of
//! that is overwritten: who signed what, and when, stays in the log, and everything else is folded from it.

#![forbid(unsafe_code)]

mod error;
mod event;
mod fields;
mod hex;
mod party;
mod rules;
#[cfg(test)]
mod schemas;
mod signing;
mod state;
mod tagged;
mod text;
mod views;

pub use error::InvalidField;
pub use event::*;
pub use fields::{Amount, EventVersion, Participants};
pub use hex::{Address, Hash, Hex, Signature};
pub use party::{
    Envelope, EnvelopeError, MAX_MESSAGE_BYTES, OnChain, Party, PartyError, PartyOptions, Refusal,
    SupportProof, Taken,
};
pub use rules::{
    RecordError, RecordedEvent, Rule, Violation, check_channel, check_message, check_objective,
    record,
};
pub use signing::{SecretKey, SignatureError, recover};
pub use state::{Allocation, AssetExit, FixedPart, SignedState, State};
pub use views::{
    Challenge, Channel, ChannelState, ChannelStatus, Channels, ChannelsState, Equivocation,
    FinalState, Holding, Message, MessageState, Objective, ObjectiveState, ObjectiveStatus,
    Objectives, ObjectivesState, Signed, Supported, Withdrawal,
};

/// The page's code is compiled and run like any example.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/CHANNELS.md")]
mod page {}
