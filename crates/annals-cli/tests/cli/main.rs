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
mod proof_files;
mod proofs;
mod read;
mod record_args;
#[cfg(all(feature = "postgres", unix))]
mod records;
// The server of NATS that the engine's own tests start.
#[cfg(all(feature = "nats", unix))]
#[allow(dead_code, reason = "the engine's tests use more of it")]
#[path = "../../../annals-nats/tests/nats/server.rs"]
mod nats_server;
#[cfg(all(feature = "nats", unix))]
mod records_in_nats;
mod repeated_ids;
#[cfg(feature = "rocksdb")]
mod rocksdb_stores;
#[cfg(feature = "rocksdb")]
mod rocksdb_trouble;
mod round_trip;
mod salvage;
#[cfg(feature = "serve")]
mod serve;
#[cfg(all(feature = "channels", feature = "serve", unix))]
mod serve_channels;
#[cfg(all(feature = "serve", unix))]
mod serve_options;
#[cfg(all(feature = "postgres", feature = "serve", unix))]
mod serve_record;
// The server of PostgreSQL that the engine's own tests start.
#[cfg(all(feature = "postgres", unix))]
#[allow(dead_code, reason = "the engine's tests use more of it")]
#[path = "../../../annals-postgres/tests/postgres/server.rs"]
mod server;
#[cfg(feature = "channels")]
mod state;
mod tail;
