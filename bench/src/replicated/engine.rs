//! What the measurements need of an engine.

use annals_replicated::{CommitLog, NewEntry};
use bytes::Bytes;

/// Servers of an engine that run.
pub(super) trait Engine: Sync {
    type Log: CommitLog + 'static;
    type Client: Client + 'static;
    /// The ways in which a plain client writes.
    const WRITES: &'static [&'static str];
    /// How a plain client reads.
    const READ: &'static str;

    /// Connects to the record of a store.
    fn connect(&self, store: &str) -> Self::Log;

    /// Connects clients that do without annals, one for each thread of each writer.
    fn clients(&self, writers: usize, threads: usize) -> Vec<Self::Client>;

    /// Stores commits in the record of a store, many at a time.
    fn store(&self, store: &str, entries: Vec<NewEntry>);
}

/// A connection of a program that uses the engine without annals.
pub(super) trait Client: Send {
    /// Writes bytes in the way of this number in [`Engine::WRITES`]. Returns when they are as durable as a commit.
    fn write(&mut self, way: usize, body: &Bytes);

    /// Reads all commits of a record, whose number is `commits`, in pages of `page`.
    ///
    /// # Panics
    /// If fewer commits can be read.
    fn read_record(&mut self, store: &str, page: usize, commits: usize);
}
