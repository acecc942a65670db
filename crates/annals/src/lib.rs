//! annals is an embedded event store for Rust. Events are appended once and never changed. A program computes its
//! current state, and its state at any earlier point, by replaying them.
//!
//! ```
//! use annals::{Condition, Event, EventStore, Query};
//!
//! #[derive(Event, Debug, Clone)]
//! enum Booking {
//!     SeatSold { #[event(tag = "seat")] seat: String, price: u32 },
//!     SeatFreed { #[event(tag = "seat")] seat: String },
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = EventStore::<Booking>::in_memory(); // or EventStore::<Booking>::open("bookings.store")?
//!     let seat = Query::tag("seat:12A");
//!     let head = store.len(); // the offset that the next event gets
//!     let last = store.query(&seat).next_back().transpose()?; // the newest event about the seat
//!     let is_sold = last.is_some_and(|last| matches!(last.event, Booking::SeatSold { .. }));
//!     if !is_sold {
//!         let sold = Booking::SeatSold { seat: "12A".into(), price: 90 };
//!         // Fails if an event about the seat was appended at `head` or after it.
//!         store.append_if([sold], &Condition::fail_if(seat.clone()).after(head))?;
//!     }
//!     assert_eq!(store.query(&seat).count(), 1);
//!     Ok(())
//! }
//! ```
//!
//! Use it for facts that must not be lost or changed, for decisions on past events while several threads append, and
//! for views that can be rebuilt. Do not use it if single records must be changed or deleted. One process writes, and
//! any number of processes on the same machine can read; the crate `annals-replicated` has a backend to which several
//! machines append.
//!
//! # What you can rely on
//!
//! * In files, an append that succeeded is synced to the disk, unless the store was opened with
//!   [`Durability::Buffered`].
//! * A batch is in the log whole or not at all, after a crash too. A condition and its append are one step.
//! * Readers never block, neither on a writer nor on each other. References to events in memory stay valid.
//! * An event with a known id is not appended again: a retry is safe.
//!
//! # Where to find what
//!
//! | you want to | use |
//! |---|---|
//! | define events | [`Event`] and `#[derive(Event)]`; [`RawEvent`] for events without a type of their own |
//! | append and read | [`EventStore`], [`Batch`], [`Query`], [`Condition`] |
//! | follow the log | [`EventStore::subscription`], [`Subscription`], [`EventStream`] |
//! | remember how far a reader got, share work among workers | the crate `annals-consumer` |
//! | compute state | [`Projection`], [`Reconstructor`], [`LiveProjection`], [`SnapshotPolicy`] |
//! | decide on state | [`Reconstructor::decide`], [`Decision`] |
//! | test | [`testing`]: [`given`], `assert_round_trip` |
//! | keep the log in files | [`Journal`], [`JournalOptions`]; [`verify()`], [`verify_watched()`], [`salvage()`] |
//! | watch it | [`EventStore::health`], [`EventStore::stats`], and the recorder of the crate `metrics` |
//! | write a backend | [`Backend`] and the module [`backend`] |
//!
//! The crate has no async runtime, no C++ and no network code.
//!
//! # Features
//!
//! All are on by default. A library that needs only a part of the crate switches the default features off and the
//! needed ones on.
//!
//! | feature | what it adds |
//! |---|---|
//! | `derive` | `#[derive(Event)]` |
//! | `journal` | the log in files: [`Journal`], [`EventStore::open`], [`verify()`], [`salvage()`] |
//! | `metrics` | reports to the recorder of the crate `metrics`; [`EventStore::stats`] does not need it |
//! | `snapshots` | snapshots of projections: [`Reconstructor::snapshots`], [`SnapshotStore`] |
//!
//! The guide is in the folder `docs/` of the project: getting started, event sourcing, consistency boundaries, retries,
//! async programs, testing, operating, backup. `docs/GLOSSARY.md` defines the terms.

// All but one module, `journal/map.rs`, which says why.
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without a feature, parts of the code that others share have no user.
#![cfg_attr(not(all(feature = "journal", feature = "snapshots")), allow(dead_code, unused_imports))]

// The derive writes `::annals::…`, also in here.
extern crate self as annals;

pub mod backend;
mod error;
mod error_text;
mod event;
mod index;
#[cfg(feature = "journal")]
mod journal;
mod metrics;
mod projection;
mod query;
#[cfg(feature = "snapshots")]
mod snapshot;
mod store;
mod util;

pub use annals_base::{SharedRef, Slices};
#[cfg(feature = "derive")]
#[cfg_attr(docsrs, doc(cfg(feature = "derive")))]
pub use annals_derive::Event;
pub use backend::backend::{Backend, NameCount, NameKind, Selection};
pub use backend::batch::{AppendFuture, Appended, Appending, Batch};
pub use backend::commit::clock::Clock;
pub use backend::head::callbacks::SubscriberId;
pub use backend::head::{Head, HeadWaiter};
pub use backend::health::Health;
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
#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub use journal::replica::JournalReplica;
#[cfg(all(feature = "journal", feature = "snapshots"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "journal", feature = "snapshots"))))]
pub use journal::snapshots::DirectorySnapshots;
#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub use journal::{
    Durability, FileId, FileSystem, Journal, JournalOptions, RealFileSystem, SalvageError,
    SalvageGap, SalvageReport, SalvagedRange, StoreDirectory, StoreFile, VerifyReport, salvage,
    verify, verify_watched,
};
pub use metrics::stats::{Distribution, SegmentStats, Stats};
pub use projection::Projection;
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use projection::check::{SnapshotCheck, SnapshotVerdict};
pub use projection::decide::{DecideError, Decision, Rejection};
pub use projection::live::{LiveError, LiveGuard, LiveProjection, LiveReader, LiveState};
pub use projection::reconstructor::Reconstructor;
pub use projection::steps::{Step, Steps};
pub use projection::testing::{self, Given, Outcome, given};
pub use query::{Condition, Query, QueryItem};
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use snapshot::SnapshotStore;
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use snapshot::digest::EventDigest;
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use snapshot::memory::MemorySnapshots;
#[cfg(feature = "snapshots")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
pub use snapshot::policy::SnapshotPolicy;
pub use store::events::{Events, UnknownEvents};
pub use store::store::EventStore;
#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub use store::store::JournalStore;
pub use store::stream::EventStream;
pub use store::subscription::Subscription;
pub use store::waited::Waited;

/// For the fuzz targets; no part of the face.
#[cfg(all(fuzzing, feature = "journal"))]
#[doc(hidden)]
pub use journal::fuzzing;

/// For what `#[derive(Event)]` writes; no part of the face.
#[doc(hidden)]
pub mod __private {
    pub use crate::event::metadata_field::MetadataField;
    pub use crate::event::payload::Payload;
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

/// The page that begins from an empty project.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/GETTING-STARTED.md")]
mod getting_started_page {}

/// The page for readers who are new to event sourcing.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/EVENT-SOURCING.md")]
mod event_sourcing_page {}

/// The page on conditions and decisions.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/CONSISTENCY.md")]
mod consistency_page {}

/// The page on ids.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/RETRIES.md")]
mod retries_page {}

/// The page on what is measured.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/METRICS.md")]
mod metrics_page {}
