//! The protocol, as a state machine.
//!
//! ```text
//!   core      the state machine's face        admit      whether a batch may be appended
//!   messages  its inputs and outputs          overlay    the events that are under way
//!   replica   what it reads in a replica      sending    commits are gathered and sent
//!   settings  what it is set to               landing    what became of them; the record is followed
//!   state     everything that it knows        deadlines  what the passing of time does
//!   flight    a commit under way
//! ```

mod admit;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod core;
mod deadlines;
mod flight;
mod landing;
pub(crate) mod messages;
mod overlay;
pub(crate) mod replica;
mod sending;
pub(crate) mod settings;
pub(crate) mod state;
