//! A replicated log as a subject, on a disk that fails as planned.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use annals_conformance::fault::{Call, FaultFileSystem, Hold, Loss, on_disk};
use annals_conformance::{Fault, Fixture, Sample, Subject};
use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::{Replicated, ReplicatedOptions};

/// A [`Replicated`] with small segments.
pub(crate) struct ReplicatedSubject;

impl Subject for ReplicatedSubject {
    type Backend = Replicated<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(ReplicatedFixture::new())
    }
}

/// A record, a disk for the replica under test, and another replica.
pub(crate) struct ReplicatedFixture {
    pub(crate) log: SimLog,
    disk: FaultFileSystem,
    path: PathBuf,
    // Before the directory, so that it is closed first.
    _background: Replicated<Sample>,
    pub(crate) directory: tempfile::TempDir,
}

impl ReplicatedFixture {
    pub(crate) fn new() -> Self {
        let log = SimLog::new(Faults::none(), 7);
        let directory = tempfile::tempdir().expect("a directory");
        let background = Replicated::open(log.clone(), directory.path().join("background"));
        Self {
            disk: FaultFileSystem::new(7),
            path: on_disk("replica"),
            _background: background.expect("a replica"),
            log,
            directory,
        }
    }

    pub(crate) fn options(&self) -> ReplicatedOptions {
        Replicated::options().segment_bytes(4 << 10).file_system(Arc::new(self.disk.process()))
    }
}

impl Fixture<Replicated<Sample>> for ReplicatedFixture {
    fn open(&self) -> Result<Replicated<Sample>, Box<dyn Error + Send + Sync>> {
        Ok(self.options().open(self.log.clone(), &self.path)?)
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
        let is_full = fault == Fault::Full;
        if is_full {
            self.log.set_faults(Faults { full: 100, ..Faults::none() });
        }
        is_full
    }

    fn heal(&self) {
        self.log.set_faults(Faults::none());
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
