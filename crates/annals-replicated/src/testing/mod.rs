//! Runs the conformance suite of annals on replicated logs over an engine. Needs the feature `testing`.
//!
//! ```text
//!   record    how a test makes records in the engine, and connects to them
//!   fixture   a replicated log as a subject of the suite
//!   pair      two of them on one record: appends go to one, and everything else to the other
//! ```
//! The simulated engine:
//!
//! ```no_run
//! use annals_replicated::sim::{Faults, SimLog};
//! use annals_replicated::testing::{PairSubject, ReplicatedSubject, TestEngine, TestRecord};
//!
//! struct Simulated;
//!
//! impl TestEngine for Simulated {
//!     type Record = SimLog;
//!     fn create(&self) -> SimLog {
//!         SimLog::new(Faults::none(), 7)
//!     }
//! }
//!
//! let report = annals_conformance::run(&ReplicatedSubject(Simulated));
//! assert_eq!(report.violations().count(), 0, "{report}");
//! let report = annals_conformance::run_where(&PairSubject(Simulated), PairSubject::<Simulated>::has);
//! assert_eq!(report.violations().count(), 0, "{report}");
//! ```

mod fixture;
mod pair;
mod record;

pub use fixture::ReplicatedSubject;
pub use pair::{Pair, PairSubject};
pub use record::{TestEngine, TestRecord};
