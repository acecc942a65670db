//! The protocol, as a state machine.
//!
//! ```text
//!   core      the state machine's face        admit      whether a batch may be appended
//!   messages  its inputs and outputs          overlay    the events that are under way
//!   replica   the seam to a replica           sending    gathers and sends commits
//!   settings  the settings                    landing    settles commits; follows the record
//!   state     everything that it knows        deadlines  what the passing of time does
//!   flight    a commit under way             anchor     checks that the record still has what was read
//!   recent    the last commits                anchor_check  one of these checks
//!   rejoin    a replica's commits at an opening   rejoining  finds them in the record again
//!   fingerprint  a number for the state, for model checkers
//! ```

mod admit;
mod anchor;
mod anchor_check;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod core;
mod deadlines;
mod fingerprint;
mod flight;
mod landing;
pub(crate) mod messages;
mod overlay;
mod recent;
mod rejoin;
mod rejoining;
pub(crate) mod replica;
mod sending;
pub(crate) mod settings;
pub(crate) mod state;
