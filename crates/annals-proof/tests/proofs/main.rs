//! Proofs, from the outside: the vectors, other implementations, faults.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

mod agreement;
mod backends;
mod beside_a_writer;
mod changed_logs;
mod common;
mod crashes;
mod evidence;
mod faults;
mod full_disk;
mod hooked;
mod kept_leaves;
mod oracles;
mod publishing;
#[path = "../python_verifier/mod.rs"]
mod python_verifier;
mod tampered;
mod threats;
mod two_signers;
mod vectors;
mod witnesses;
