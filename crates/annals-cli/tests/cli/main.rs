//! The command as a user runs it: the built binary, its standard streams and its exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod append;
mod append_again;
mod append_options;
mod bad_lines;
mod bad_stores;
mod bench;
mod consumers;
mod copy;
mod counting;
mod damaged_stores;
#[cfg(feature = "channels")]
mod demo;
mod filters;
mod follow_ends;
mod harness;
mod import;
mod kill;
mod left_behind;
mod no_room;
mod numbers;
mod options;
mod proofs;
mod read;
mod repeated_ids;
#[cfg(feature = "rocksdb")]
mod rocksdb_stores;
#[cfg(feature = "rocksdb")]
mod rocksdb_trouble;
mod round_trip;
mod salvage;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "channels")]
mod state;
mod tail;
