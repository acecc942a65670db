//! A replicated log as a subject, on a disk that fails as planned.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use annals_conformance::fault::{Call, FaultFileSystem, Hold, Loss, on_disk};
use annals_conformance::{Fault, Fixture, Sample, Subject};
use tempfile::TempDir;

use super::record::{TestEngine, TestRecord};
use crate::replicated::options::ReplicatedOptions;
use crate::replicated::replicated::Replicated;

/// An append that takes longer fails, on any machine.
pub(super) const HANGS: Duration = Duration::from_secs(600);

/// A [`Replicated`] with small segments, and another replica of its record that follows in the background.
///
/// It skips one invariant, `a_failed_sync_poisons`: the record is the durable copy, and a batch that the replica's disk
/// did not take is in the log once the replica is opened again.
#[derive(Debug, Clone, Copy)]
pub struct ReplicatedSubject<T>(pub T);

impl<T: TestEngine> Subject for ReplicatedSubject<T> {
    type Backend = Replicated<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(ReplicatedFixture::new(self.0.create()))
    }
}

/// A record, a disk for the replica under test, and another replica.
pub(super) struct ReplicatedFixture<R> {
    pub(super) record: R,
    disk: FaultFileSystem,
    path: PathBuf,
    // Before the directory, so that it is closed first.
    _background: Replicated<Sample>,
    pub(super) directory: TempDir,
}

impl<R: TestRecord> ReplicatedFixture<R> {
    pub(super) fn new(record: R) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let background = Replicated::open(record.connect(), directory.path().join("background"));
        Self {
            disk: FaultFileSystem::new(7),
            path: on_disk("replica"),
            _background: background.expect("a replica"),
            record,
            directory,
        }
    }

    fn options(&self) -> ReplicatedOptions {
        let options = Replicated::options().append_timeout(HANGS).segment_bytes(4 << 10);
        options.file_system(Arc::new(self.disk.process()))
    }
}

impl<R: TestRecord> Fixture<Replicated<Sample>> for ReplicatedFixture<R> {
    fn open(&self) -> Result<Replicated<Sample>, Box<dyn Error + Send + Sync>> {
        Ok(self.options().open(self.record.connect(), &self.path)?)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.disk.restart(loss);
        true
    }

    fn fail(&self, fault: Fault) -> bool {
        fault == Fault::Full && self.record.set_full(true)
    }

    fn heal(&self) {
        self.record.set_full(false);
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.disk.hold(Call::Write))
    }

    fn damage(&self, needle: &[u8]) -> bool {
        let names = self.disk.names(&self.path).unwrap_or_default();
        names.iter().any(|name| {
            let file = self.path.join(name);
            let bytes = self.disk.contents(&file).unwrap_or_default();
            let at = bytes.windows(needle.len()).position(|window| window == needle);
            at.is_some_and(|at| self.disk.flip(&file, at as u64, 1))
        })
    }
}
