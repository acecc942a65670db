//! A backend for annals logs in RocksDB: the same calls as in memory and in files, and nothing else to change.
//!
//! ```no_run
//! use annals::{EventStore, RawEvent};
//! use annals_rocksdb::RocksDb;
//!
//! let store = EventStore::<RawEvent>::on(RocksDb::open("data/rocks")?);
//! # Ok::<(), annals::OpenError>(())
//! ```
//! For who runs RocksDB already, wants its compression, checkpoints and tools, or one database for a log and the
//! snapshots of its projections. The Journal, which needs no C++, is faster at nearly everything.
//!
//! ```text
//!   backend     the calls                         follow      reading beside another process
//!   writer      the writer's side                 log         the readers' side
//!   verify      everything looked at              snapshots   the projections' snapshots
//!   chunk       the index of 65,536 events        cursor      walking over the events
//!   recovery    what is made again on opening     take_back   a commit that failed
//!   database    opening, column families          options     how it is opened
//!   found       what is there before              keys        what keys look like
//!   block       some events as one value          status      RocksDB's errors as the log's
//!   starts      where blocks start                torn        ends that a loss of power tore
//!   identity    whether the path still leads to the store
//! ```

#![forbid(unsafe_code)]

mod backend;
mod block;
mod chunk;
mod cursor;
mod database;
mod follow;
mod found;
mod identity;
mod keys;
mod log;
mod options;
mod recovery;
mod snapshots;
mod starts;
mod status;
mod take_back;
mod torn;
mod verify;
mod writer;

pub use backend::RocksDb;
pub use options::{Compression, RocksDbOptions};
pub use verify::verify;
