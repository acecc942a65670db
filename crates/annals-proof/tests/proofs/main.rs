//! Proofs, from the outside: the vectors, other implementations, faults.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

mod backends;
mod common;
mod crashes;
mod evidence;
mod faults;
mod oracles;
mod vectors;
mod witnesses;
