//! Replicated logs: a STORE whose record is in an engine, such as `postgres://…`.
//!
//! ```text
//!   engine   connects to an engine, and waits until it answers
//!   replica  opens a replica
//! ```
//! A new engine is one more kind of address in `record_address`, and one more arm in `engine`.

pub(crate) mod engine;
pub(crate) mod replica;
