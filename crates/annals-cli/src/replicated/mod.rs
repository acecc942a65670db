//! Replicated logs: a STORE whose record is in an engine, such as `postgres://…`.
//!
//! ```text
//!   address  the address of a record, and the directory of this process's replica
//!   engine   connects to an engine, and waits until it answers
//!   replica  opens a replica
//! ```
//! A new engine is one more kind of address in `address`, and one more arm in `engine`.

pub(crate) mod address;
#[cfg(feature = "replicated")]
pub(crate) mod engine;
#[cfg(feature = "replicated")]
pub(crate) mod replica;
