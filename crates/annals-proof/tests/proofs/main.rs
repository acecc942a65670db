//! Proofs, from the outside: the vectors, other implementations, faults.

#![expect(clippy::unwrap_used, reason = "a test fails where something does")]

mod backends;
mod common;
mod crashes;
mod evidence;
mod faults;
mod oracles;
mod vectors;
mod witnesses;
