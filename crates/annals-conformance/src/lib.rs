//! The conformance suite of annals, the embedded event store: the invariants of every backend, as tests for any
//! backend.
//!
//! ```text
//!   Subject ──fixture()──▶ Fixture ──open()──▶ your Backend<Sample> ◀──the suite
//!                        └─ crash, fail, hold, damage: the faults that it supports
//! ```
//!
//! # Running it on your own backend
//! Implement [`Subject`] and [`Fixture`] in the tests of your crate. [`conformance!`] then makes a test of each
//! invariant:
//!
//! ```
//! use annals::Memory;
//! use annals_conformance::{Fixture, Sample, Subject};
//! use std::sync::Arc;
//!
//! struct InMemory;
//!
//! impl Subject for InMemory {
//!     type Backend = Memory<Sample>;
//!     fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
//!         Arc::new(InMemory)
//!     }
//!     fn encodes(&self) -> bool {
//!         false
//!     }
//! }
//!
//! impl Fixture<Memory<Sample>> for InMemory {
//!     fn open(&self) -> Result<Memory<Sample>, Box<dyn std::error::Error + Send + Sync>> {
//!         Ok(Memory::new())
//!     }
//! }
//!
//! // In the tests of your crate: annals_conformance::conformance!(InMemory, skipped: [recovery_keeps_…, …]);
//! let report = annals_conformance::run(&InMemory);
//! assert_eq!(report.violations().count(), 0, "{report}");
//! ```
//! An invariant that needs more than the [`Fixture`] supports is skipped: a log in memory has no recovery. Skipped
//! invariants must be listed, so that none is skipped unnoticed; [`Report`] has the reasons. The optional methods of
//! [`Fixture`] enable more checks: losing unsynced changes (`crash`), failing a write or sync (`fail`), stopping a
//! writer in the middle (`hold`), and changing stored bytes (`damage`). A backend that uses [`annals::FileSystem`]
//! gets all of them from [`fault::FaultFileSystem`].
//!
//! The suite never sleeps and measures no time. It stops writers and readers at chosen points instead, and checks that
//! they do not stop each other.

#![forbid(unsafe_code)]

mod check;
pub mod fault;
mod hang;
mod journal;
mod memory;
mod random;
mod sample;
mod subject;
mod suite;

pub use check::{Outcome, Report, Violation, judge};
pub use hang::or_abort;
pub use journal::JournalSubject;
pub use memory::MemorySubject;
pub use random::Random;
pub use sample::Sample;
pub use subject::{Fault, Fixture, Subject};
pub use suite::*;

/// The page on tests, whose code uses this crate.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TESTING.md")]
mod testing_page {}
