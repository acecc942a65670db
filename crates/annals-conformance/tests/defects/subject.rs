//! The subjects: a backend with a defect, and how the suite opens it and injects faults.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals::{Backend, Durability};
use annals_conformance::fault::{FaultFileSystem, Hold, Loss, on_disk};
use annals_conformance::{Fault, Fixture, JournalSubject, MemorySubject, Sample, Subject};

use crate::backend::{Defect, Defective};

/// A backend with a defect, in memory or in files.
pub(super) struct With {
    pub(super) defect: Defect,
    pub(super) files: bool,
    pub(super) disk_lies: bool,
}

impl With {
    pub(super) fn memory(defect: Defect) -> Self {
        Self { defect, files: false, disk_lies: false }
    }

    pub(super) fn files(defect: Defect) -> Self {
        Self { defect, files: true, disk_lies: false }
    }
}

impl Subject for With {
    type Backend = Defective;

    fn fixture(&self) -> Arc<dyn Fixture<Defective>> {
        let fails = Arc::default();
        if self.disk_lies {
            let disk = FaultFileSystem::new(1);
            disk.ignore_syncs();
            return Arc::new(LyingFixture { disk });
        }
        if self.files {
            let fixture = JournalSubject::new(Durability::Sync).fixture();
            return Arc::new(DefectiveFixture { defect: self.defect, fixture, fails });
        }
        let fixture = MemorySubject.fixture();
        Arc::new(DefectiveFixture { defect: self.defect, fixture, fails })
    }

    fn encodes(&self) -> bool {
        self.files
    }

    /// Short for defects that wait forever, since waiting longer would not show more.
    fn patience(&self) -> Duration {
        match self.defect {
            Defect::LocksReadersOut | Defect::BlocksWhoMustNot | Defect::WaitsForReaders => {
                Duration::from_millis(300)
            }
            _ => Duration::from_secs(120),
        }
    }
}

struct DefectiveFixture<B> {
    defect: Defect,
    fixture: Arc<dyn Fixture<B>>,
    fails: Arc<AtomicBool>,
}

impl<B: Backend<Sample> + 'static> Fixture<Defective> for DefectiveFixture<B> {
    fn open(&self) -> Result<Defective, Box<dyn Error + Send + Sync>> {
        Ok(Defective::new(Box::new(self.fixture.open()?), self.defect, Arc::clone(&self.fails)))
    }

    fn keeps(&self) -> bool {
        self.fixture.keeps()
    }

    fn is_exclusive(&self) -> bool {
        // Memory can be opened any number of times, so it violates this invariant.
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.fixture.crash(loss)
    }

    fn fail(&self, fault: Fault) -> bool {
        if self.defect == Defect::ForgetsItsPoison {
            self.fails.store(true, Ordering::SeqCst);
            return true;
        }
        self.fixture.fail(fault)
    }

    fn heal(&self) {
        self.fixture.heal();
    }

    fn hold(&self) -> Option<Hold> {
        self.fixture.hold()
    }

    fn damage(&self, needle: &[u8]) -> bool {
        self.fixture.damage(needle)
    }
}

/// A Journal on a disk whose syncs do nothing.
struct LyingFixture {
    disk: FaultFileSystem,
}

impl Fixture<Defective> for LyingFixture {
    fn open(&self) -> Result<Defective, Box<dyn Error + Send + Sync>> {
        let journal =
            JournalSubject::new(Durability::Sync).options(&self.disk).open(on_disk("store"))?;
        Ok(Defective::new(Box::new(journal), Defect::Nothing, Arc::default()))
    }

    fn keeps(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.disk.restart(loss);
        true
    }
}
