//! The conformance suite on RocksDB.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::Durability;
use annals_conformance::{Fixture, Sample, Subject};
use annals_rocksdb::{Compression, RocksDb};
use tempfile::TempDir;

/// RocksDB in its own directory.
struct Rocks(Durability);

struct RocksFixture {
    durability: Durability,
    directory: TempDir,
}

impl Subject for Rocks {
    type Backend = RocksDb<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(RocksFixture { durability: self.0, directory: tempfile::tempdir().unwrap() })
    }
}

impl RocksFixture {
    fn path(&self) -> PathBuf {
        self.directory.path().join("rocks")
    }
}

impl Fixture<RocksDb<Sample>> for RocksFixture {
    fn open(&self) -> Result<RocksDb<Sample>, Box<dyn Error + Send + Sync>> {
        // Uncompressed, so that `damage` finds the bytes.
        let options = RocksDb::options().compression(Compression::None).memtable_bytes(1 << 20);
        Ok(options.durability(self.durability).open(self.path())?)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn damage(&self, needle: &[u8]) -> bool {
        let files = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|end| end == "sst"))
            .any(|file| flip(&file, needle))
    }
}

/// Changes a byte of the first occurrence of `needle` in `file`.
fn flip(file: &Path, needle: &[u8]) -> bool {
    let mut bytes = std::fs::read(file).unwrap();
    let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) else {
        return false;
    };
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    true
}

mod synced {
    use super::*;
    annals_conformance::conformance!(Rocks(Durability::Sync), skipped: [
        published_is_durable,
        a_failed_sync_poisons,
    ]);
}

mod buffered {
    use super::*;
    annals_conformance::conformance!(Rocks(Durability::Buffered), skipped: [
        published_is_durable,
        a_failed_sync_poisons,
    ]);
}
