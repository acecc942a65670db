//! An append-only event log that a Rust program embeds: in memory or in files, one order, for ever.
//!
//! Everything that happened is kept; what a program needs to know now, or needed to know then, it gets by folding
//! the log.

// All but one module, `journal/map.rs`, which says why.
#![deny(unsafe_code)]

// The derive writes `::annals::…`, also in here.
extern crate self as annals;

pub mod backend;
mod error;
mod event;
mod index;
mod journal;
mod metrics;
mod projection;
mod query;
mod snapshot;
mod store;
mod util;

pub use annals_base::Slices;
pub use annals_derive::Event;
pub use backend::backend::{AppendFuture, Backend, Batch, Health, NameCount, NameKind, Selection};
pub use backend::head::callbacks::SubscriberId;
pub use backend::head::{Head, HeadWaiter};
pub use backend::memory::Memory;
pub use error::{
    AppendError, Corruption, FollowError, InvalidQuery, LockHolder, OpenError, ReadError,
};
pub use event::codec::{Codec, Json};
pub use event::error::{CodecError, InvalidEvent};
pub use event::event::{Event, EventRef, Recorded};
pub use event::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES,
    MAX_NAME_BYTES, MAX_QUEUED_BYTES, MAX_TAGS, MAX_TIME_AHEAD_MS,
};
pub use event::raw::{RawEvent, RawEventBuilder};
pub use event::tags::{Metadata, Tags};
pub use journal::{
    DirectorySnapshots, Durability, FileId, FileSystem, Journal, JournalOptions, RealFileSystem,
    SalvageError, SalvageGap, SalvageReport, SalvagedRange, StoreDirectory, StoreFile,
    VerifyReport, salvage, verify,
};
pub use metrics::stats::{Distribution, SegmentStats, Stats};
pub use projection::Projection;
pub use projection::check::{SnapshotCheck, SnapshotVerdict};
pub use projection::decide::{DecideError, Decision, Rejection};
pub use projection::live::{LiveError, LiveGuard, LiveProjection, LiveReader, LiveState};
pub use projection::reconstructor::Reconstructor;
pub use projection::steps::{Step, Steps};
pub use projection::testing::{self, Given, Outcome, given};
pub use query::{Condition, Query, QueryItem};
pub use snapshot::digest::EventDigest;
pub use snapshot::memory::MemorySnapshots;
pub use snapshot::{SnapshotPolicy, SnapshotStore};
pub use store::events::{Events, UnknownEvents};
pub use store::store::EventStore;
pub use store::subscription::{EventStream, Subscription};

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

/// And that of the page on async programs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/ASYNC.md")]
mod async_page {}
