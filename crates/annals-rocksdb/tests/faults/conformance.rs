//! The conformance suite on a machine with faults.

use std::error::Error;
use std::sync::Arc;

use annals::Durability;
use annals_conformance::fault::{Call, Hold, Loss};
use annals_conformance::{Fault, Fixture, Sample, Subject};
use annals_rocksdb::{Compression, RocksDb};
use libc::EIO;

use crate::machine::Machine;

struct Rocks(Durability);

struct RocksFixture {
    durability: Durability,
    machine: Machine,
}

impl Subject for Rocks {
    type Backend = RocksDb<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(RocksFixture { durability: self.0, machine: Machine::new(7) })
    }
}

impl Fixture<RocksDb<Sample>> for RocksFixture {
    fn open(&self) -> Result<RocksDb<Sample>, Box<dyn Error + Send + Sync>> {
        // Uncompressed, so that `damage` finds the bytes.
        let options = RocksDb::options().compression(Compression::None).memtable_bytes(1 << 20);
        Ok(options.durability(self.durability).open(self.machine.path("rocks"))?)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        match self.durability {
            Durability::Sync => self.machine.restart(loss),
            Durability::Buffered => self.machine.kill(),
        }
        true
    }

    fn fail(&self, fault: Fault) -> bool {
        match fault {
            Fault::Write => self.machine.fail_on_log(Call::Write, EIO),
            Fault::Sync => self.machine.fail_on_log(Call::Sync, EIO),
            // A full disk is a failed write here, which is not what the suite expects. `full` tests it.
            _ => return false,
        }
        true
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.machine.hold(match self.durability {
            Durability::Sync => Call::Sync,
            Durability::Buffered => Call::Write,
        }))
    }

    fn damage(&self, needle: &[u8]) -> bool {
        let files = std::fs::read_dir(self.machine.path("rocks")).unwrap();
        files
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|end| end == "sst"))
            .any(|file| crate::preflight::flip(&file, needle))
    }
}

mod synced {
    use super::*;
    annals_conformance::conformance!(Rocks(Durability::Sync), skipped: []);
}

mod buffered {
    use super::*;
    annals_conformance::conformance!(Rocks(Durability::Buffered), skipped: []);
}
