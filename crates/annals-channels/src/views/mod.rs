//! The views: projections that are folded from the events, for the current state and for the state at any offset or
//! time.
//!
//! ```text
//!   Channels      everything by id, for the queries of go-nitro's store
//!     ├ Channel(id)      one channel       ◀─ its rules
//!     ├ Objectives       all objectives    ◀─ their rules: at most one owns a channel
//!     │   └ Objective(id)  one of them
//!     └ last block seen
//!   Message(id)   one message              ◀─ its rules
//! ```
//! A fold takes every event as it is and checks no rule. The rules are checked before an event is appended.

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
