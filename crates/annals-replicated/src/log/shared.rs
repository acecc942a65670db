//! An engine behind a shared pointer, whose type a program learns only when it runs.

use std::sync::Arc;
use std::time::Instant;

use super::commit_log::{
    CheckError, CommitLog, Done, Fitness, LogError, LogLimits, NewEntry, Page, ReadLimit,
};
use crate::chain::slot::Slot;

/// A shared engine is an engine: a program that chooses one by its address has an `Arc<dyn CommitLog>`.
#[warn(clippy::missing_trait_methods, reason = "a default would hide what the engine does")]
impl<L: CommitLog + ?Sized> CommitLog for Arc<L> {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        (**self).append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        (**self).read(after, limit)
    }

    fn read_again(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        (**self).read_again(after, limit)
    }

    fn compares_hashes(&self) -> bool {
        (**self).compares_hashes()
    }

    fn connection(&self) -> u64 {
        (**self).connection()
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        (**self).ends()
    }

    fn wait(&self, after: Slot, until: Instant) {
        (**self).wait(after, until);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        (**self).check()
    }

    fn limits(&self) -> LogLimits {
        (**self).limits()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn hint(&self) {
        (**self).hint();
    }

    fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        (**self).on_hint(see);
    }
}
