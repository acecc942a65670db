//! The command as a user runs it: the built binary, its standard streams and its exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod append;
mod bad_lines;
mod bad_stores;
mod copy;
mod harness;
mod kill;
mod read;
mod tail;
