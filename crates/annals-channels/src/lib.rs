//! State channels on the annals event log: what happens to them, event by event, and what follows from it.
//!
//! Parties lock funds on a chain, then agree on states off the chain by signing them, turn by turn. Here nothing of
//! that is overwritten: who signed what, and when, stays in the log, and everything else is folded from it.

#![forbid(unsafe_code)]

mod error;
mod event;
mod fields;
mod hex;
#[cfg(test)]
mod schemas;
mod signing;
mod state;

pub use error::InvalidField;
pub use event::*;
pub use fields::{Amount, EventVersion, Participants};
pub use hex::{Address, Hash, Hex, Signature};
pub use signing::{SecretKey, SignatureError, recover};
pub use state::{Allocation, AssetExit, FixedPart, State};
