//! The questions of an operator about a record and a replica, without opening the log.
//!
//! ```text
//!   status   what the engine is, what the record has, and where a replica is in it
//!   verify   reads the whole record, and compares it with a replica
//!   files    the files of a replica, read-only
//!   rejoined finds out why the record does not have the replica's last commit
//!   asking   asks an engine until it answers
//!   error    why a record could not be examined
//! ```

mod asking;
pub(crate) mod error;
mod files;
mod rejoined;
pub(crate) mod status;
pub(crate) mod verify;
