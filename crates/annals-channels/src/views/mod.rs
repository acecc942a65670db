//! What follows from the events: folds, each to be had now, at any offset and at any time.
//!
//! ```text
//!   Channels      everything by id, as go-nitro's store answers it
//!     ├ Channel(id)      one channel       ◀─ its rules
//!     ├ Objectives       all objectives    ◀─ their rules, for no two own a channel
//!     │   └ Objective(id)  one of them
//!     └ last block seen
//!   Message(id)   one message              ◀─ its rules
//! ```
//! A fold takes every event as it is, right or wrong: rules are for those who append.

mod channel;
mod channels;
mod message;
mod objective;

pub use channel::{
    Challenge, Channel, ChannelState, ChannelStatus, Equivocation, FinalState, Holding, Signed,
    Supported, Withdrawal,
};
pub use channels::{Channels, ChannelsState};
pub use message::{Message, MessageState};
pub use objective::{Objective, ObjectiveState, ObjectiveStatus, Objectives, ObjectivesState};

pub(crate) use channel::{second_state, signed as signed_by, subject as channel_of};
pub(crate) use message::subject as message_of;
pub(crate) use objective::subject as objective_of;
