//! What every backend of an annals log must do, as tests that anyone's backend can run.
//!
//! ```text
//!   Subject ──fixture()──▶ Fixture ──open()──▶ your Backend<Sample> ◀──the suite
//!                        └─ crash, fail, hold, damage: as far as it can be harmed
//! ```
//!
//! # Running it on your own backend
//! Say how to get one, in the tests of your crate, and let [`conformance!`] make a test of each invariant:
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
//! What a [`Fixture`] cannot do is skipped: a log in memory has no recovery. A skip must be listed, so that none comes
//! about unseen; [`Report`] tells which and why. The more of [`Fixture`] you write, the more is tried: to lose what is
//! not durable (`crash`), to fail a write or sync (`fail`), to stop a writer in the middle (`hold`), to harm what is
//! stored (`damage`). For a backend that is on [`annals::FileSystem`], [`fault::FaultFileSystem`] does all of that.
//!
//! The suite does not sleep and measures no time: writers and readers are stopped, and seen not to stop each other.

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
