//! The Journal as a subject, on a disk that fails as planned.

use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{Durability, Journal};

use crate::fault::{Call, FaultFileSystem, Hold, Loss, on_disk};
use crate::{Fault, Fixture, Sample, Subject};

/// A [`Journal`] on a [`FaultFileSystem`], with small segments.
#[derive(Debug, Clone, Copy)]
pub struct JournalSubject {
    /// The durability of appends. A crash ends only the process if appends are buffered, and cuts the power otherwise.
    pub durability: Durability,
    /// The size of a segment in bytes.
    pub segment_bytes: u64,
}

impl JournalSubject {
    /// Returns a subject with segments of 4 KiB, the smallest size, so that segments are sealed often.
    #[must_use]
    pub fn new(durability: Durability) -> Self {
        Self { durability, segment_bytes: 4 << 10 }
    }

    /// Returns the options for opening a Journal on `disk`, in the process that runs there now.
    #[must_use]
    pub fn options(&self, disk: &FaultFileSystem) -> annals::JournalOptions {
        Journal::options()
            .durability(self.durability)
            .segment_bytes(self.segment_bytes)
            .file_system(Arc::new(disk.process()))
    }
}

impl Subject for JournalSubject {
    type Backend = Journal<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(JournalFixture {
            subject: *self,
            disk: FaultFileSystem::new(7),
            path: on_disk("store"),
        })
    }
}

struct JournalFixture {
    subject: JournalSubject,
    disk: FaultFileSystem,
    path: PathBuf,
}

impl Fixture<Journal<Sample>> for JournalFixture {
    fn open(&self) -> Result<Journal<Sample>, Box<dyn Error + Send + Sync>> {
        Ok(self.subject.options(&self.disk).open(&self.path)?)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        match self.subject.durability {
            Durability::Sync => self.disk.restart(loss),
            Durability::Buffered => self.disk.kill(),
        }
        true
    }

    fn fail(&self, fault: Fault) -> bool {
        match fault {
            Fault::Write => self.disk.fail(Call::Write, 1, ErrorKind::Other),
            Fault::Sync => self.disk.fail(Call::Sync, 1, ErrorKind::Other),
            Fault::Full => self.disk.set_room(Some(0)),
        }
        true
    }

    fn heal(&self) {
        self.disk.set_room(None);
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.disk.hold(match self.subject.durability {
            Durability::Sync => Call::Sync,
            Durability::Buffered => Call::Write,
        }))
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
