//! Repairs a record that lost commits, and the replicas that have them.
//!
//! ```
//! use annals::{EventStore, RawEvent};
//! use annals_replicated::repair::Repair;
//! use annals_replicated::sim::{Faults, SimLog};
//! use annals_replicated::Replicated;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("replica");
//! let log = SimLog::new(Faults::none(), 1); // a test's engine, in memory
//! let store = EventStore::<RawEvent, _>::on(Replicated::open(log.clone(), &path)?);
//! let before = log.change(|record| record.clone());
//! store.append(RawEvent::builder("seat-sold").build()?)?;
//! drop(store);
//! log.change(|record| *record = before); // a backup is restored: the commit is lost
//!
//! let found = Repair::new().dry_run(true).heal(&log, &path)?;
//! assert_eq!((found.lost.commits(), found.lost.events), (1, 0..1));
//! let healed = Repair::new().heal(&log, &path)?;
//! assert_eq!(healed.appended, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Stop all processes that append to the log first. Nothing wrong comes of it otherwise, but one of them may append
//! while the record is healed, and then the commits that were still lost are lost for good.
//!
//! ```text
//!   repair   the face: what an operator does      compare   finds where a record and a replica part
//!   held     what a replica has, as a trait       standing  what was found
//!   journal  what a replica in files has          healing   appends the lost commits
//!   error    why a repair failed                  epochs    appends an epoch
//!   writing  appends one commit and settles it    reading   reads the record and waits for its end
//! ```

mod compare;
mod epochs;
mod error;
mod healing;
mod held;
mod journal;
mod reading;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
mod repair;
mod standing;
mod writing;

pub use compare::compare;
pub use epochs::append_epoch;
pub use error::RepairError;
pub use healing::heal;
pub use held::Held;
pub use reading::Patience;
pub use repair::Repair;
pub use standing::{EpochMade, Healed, Lost, OtherCommit, SetAside, Standing};
