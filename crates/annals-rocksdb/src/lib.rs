//! A RocksDB backend for annals, the embedded event store. A program uses it through the same calls as the other
//! backends.
//!
//! ```no_run
//! use annals::{EventStore, RawEvent};
//! use annals_rocksdb::RocksDb;
//!
//! let store = EventStore::<RawEvent, _>::on(RocksDb::open("data/rocks")?);
//! # Ok::<(), annals::OpenError>(())
//! ```
//! Choose it if you run RocksDB already, or if you want its compression, checkpoints and tools. The log and the
//! snapshots of its projections are in one database. The Journal of `annals` is faster at nearly everything and needs
//! no C++.
//!
//! ```text
//!   backend       the `Backend` that programs use         options      settings
//!   writer        the commit path's target                follower     reads beside a writing process
//!   log           reads for all readers                   cursor       reads events in order or at random
//!   index_cursor  searches the keys of the index          chunk        the index of 65,536 events
//!   block_index   the starts of blocks                    block        consecutive events as one value
//!   ordinals      counts the events of a name       count_cache  the counts of names that were counted
//!   recovery      rebuilds the last chunk on opening      rollback     removes a failed commit
//!   verify        checks a whole store                    snapshots    the snapshots of projections
//!   database      opens and closes the database           preflight    what a path has before it is opened
//!   family        a column family                         metadata     the keys that make a database a store
//!   keys          the formats of keys                     status       converts RocksDB's errors
//!   identity      whether the path still leads to the store
//!   wal_repair    repairs write-ahead logs after a loss of power
//!   wal_record    the records of write-ahead logs
//! ```

#![forbid(unsafe_code)]

mod backend;
mod block;
mod block_index;
mod chunk;
mod count_cache;
mod cursor;
mod database;
mod family;
mod follower;
mod identity;
mod index_cursor;
mod keys;
mod log;
mod metadata;
mod options;
mod ordinals;
mod preflight;
mod recovery;
mod rollback;
mod snapshots;
mod status;
mod verify;
mod wal_record;
mod wal_repair;
mod writer;

pub use backend::RocksDb;
pub use options::{Compression, RocksDbOptions};
pub use verify::{verify, verify_watched};
