//! An append-only event log that a Rust program embeds: in memory or in files, one order, for ever.
//!
//! Everything that happened is kept; what a program needs to know now, or needed to know then, it gets by folding
//! the log.

// All but one module, `journal/map.rs`, which says why.
#![deny(unsafe_code)]

// The derive writes `::annals::…`, also in here.
extern crate self as annals;

mod backend;
mod codec;
mod commit;
mod crc32c;
mod decision;
mod encode;
mod error;
mod event;
mod events;
mod head;
mod histogram;
pub mod home;
mod index;
mod journal;
mod json;
mod labels;
mod limits;
mod little_endian;
mod live;
mod local;
mod memory;
mod meters;
mod name;
mod process;
mod projection;
mod query;
mod raw;
mod read_back;
mod snapshot;
mod spelling;
mod stats;
mod store;
mod subscription;
mod tags;
pub mod testing;

pub use annals_base::Slices;
pub use annals_derive::Event;
pub use backend::{AppendFuture, Backend, Batch, Health, NameCount, NameKind, Selection};
pub use codec::{Codec, Json};
pub use decision::{DecideError, Decision, Rejection};
pub use error::{
    AppendError, CodecError, Corruption, FollowError, InvalidEvent, InvalidQuery, LockHolder,
    OpenError, ReadError,
};
pub use event::{Event, EventRef, Recorded};
pub use events::{Events, UnknownEvents};
pub use head::{Head, HeadWaiter, SubscriberId};
pub use journal::{
    DirectorySnapshots, Durability, FileId, FileSystem, Journal, JournalOptions, RealFileSystem,
    SalvageError, SalvageGap, SalvageReport, SalvagedRange, StoreDirectory, StoreFile,
    VerifyReport, salvage, verify,
};
pub use limits::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES,
    MAX_NAME_BYTES, MAX_QUEUED_BYTES, MAX_TAGS, MAX_TIME_AHEAD_MS,
};
pub use live::{LiveError, LiveGuard, LiveProjection, LiveReader, LiveState};
pub use memory::Memory;
pub use projection::{Projection, Reconstructor, SnapshotCheck, SnapshotVerdict, Step, Steps};
pub use query::{Condition, Query, QueryItem};
pub use raw::{RawEvent, RawEventBuilder};
pub use snapshot::{EventDigest, MemorySnapshots, SnapshotPolicy, SnapshotStore};
pub use stats::{Distribution, SegmentStats, Stats};
pub use store::EventStore;
pub use subscription::{EventStream, Subscription};
pub use tags::{Metadata, Tags};
pub use testing::{Given, Outcome, given};

/// For the fuzz targets; no part of the face.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use journal::fuzzing;

/// For what `#[derive(Event)]` writes; no part of the face.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}

/// The README's code is compiled and run like any example.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

/// So is that of the page on projections.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/PROJECTIONS.md")]
mod projections_page {}

/// And that of the page on how events change over time.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/EVOLUTION.md")]
mod evolution_page {}
