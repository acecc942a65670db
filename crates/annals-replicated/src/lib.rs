//! The replicated log of the event store annals: processes on several machines append to one record and read it.
//!
//! A *record* is a sequence of commits in an engine that users already run. Each process has a replica of it. What
//! makes this safe is the chain rule, not the engine: a commit carries the hash of the commit that it was decided on,
//! and it is valid only if that one is the last valid commit. Every reader skips all other entries.
//!
//! [`Replicated`] is the backend. An engine is a crate of its own, which implements [`CommitLog`].
//!
//! ```text
//!   format/   the bytes of a commit
//!   chain/    the chain rule: which entries are valid
//!   log/      the seam to an engine
//!   core/     the protocol of a writer and reader, as a state machine without input, output and clock
//!   replicated/  the backend: a replica in files, and the threads that keep it equal to the record
//!   record/   what an operator asks of a record: its status, and whether it is whole
//!   tail/     the file that says where a replica's last commits are in the record
//!   repair/   appends lost commits again, or an epoch, and sets a replica aside
//!   suite     what an engine must pass
//!   sim/      a simulated engine, with faults by a seed
//!   history/  checks the calls that processes made on a log, and their results
//!   testing/  the conformance suite of annals on an engine (feature `testing`)
//! ```

#![forbid(unsafe_code)]

mod chain;
mod core;
mod format;
pub mod history;
mod log;
mod random;
mod record;
pub mod repair;
mod replicated;
pub mod sim;
pub mod suite;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;

pub use chain::chain::{Chain, Position, Step};
pub use chain::slot::Slot;
pub use chain::tip::{Tip, Void};
pub use core::core::{Core, Start};
pub use core::messages::{
    Asked, Divergence, Input, NewBatch, Now, Output, ReadKind, Refusal, RequestId, SendId,
};
pub use core::replica::Replica;
pub use core::settings::CoreSettings;
pub use core::state::Counts;
pub use format::body::{CommitBatch, Content, Epoch, Genesis, MAX_TEXT_BYTES, encoded_bytes};
pub use format::commit::Commit;
pub use format::entry::{Entry, EntryError, MIN_ENTRY_BYTES};
pub use format::hash::CommitHash;
pub use format::header::{
    AnyVersion, FORMAT, HEADER_BYTES, Header, Kind, MAX_BODY_BYTES, MAX_COMMIT_BATCHES, Part,
};
pub use log::commit_log::{
    AppendAnswer, AppendOutcome, Cause, CheckError, CommitLog, Done, Fitness, LogError, LogLimits,
    NewEntry, Page, ReadLimit, Unfit,
};
pub use log::news::News;
pub use record::error::InspectError;
pub use record::status::{Origin, ReplicaReport, StatusReport, status};
pub use record::verify::{VerifyProblem, VerifyReport, verify};
pub use replicated::create::create;
pub use replicated::open_error::{CreateError, OpenReplicatedError};
pub use replicated::options::ReplicatedOptions;
pub use replicated::replicated::Replicated;
pub use replicated::status::RecordStatus;
